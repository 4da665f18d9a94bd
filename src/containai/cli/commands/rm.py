"""`cai rm [PATH]`."""

import argparse

from containai.cli import shared
from containai.layout import Layout


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    shared.workspace_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Remove the workspace's box and all that is its own."""
    layout = Layout.from_environment()
    box = shared.find_box(layout, arguments)
    shared.boxes_of(layout).remove(box)
    return 0
