"""`cai shell [PATH]`."""

import argparse

from containai.cli import shared


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    shared.workspace_arguments(parser)
    shared.start_arguments(parser, "shell")


def run(arguments: argparse.Namespace) -> int:
    """Open a login shell in the workspace's box. Does not return when it works."""
    return shared.session(arguments, [])
