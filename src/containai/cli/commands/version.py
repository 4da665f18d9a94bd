"""`cai version`."""

import argparse
import sys

from containai import __version__


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""


def run(arguments: argparse.Namespace) -> int:
    """Print the version."""
    sys.stdout.write(f"cai {__version__}\n")
    return 0
