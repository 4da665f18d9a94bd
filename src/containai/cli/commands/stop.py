"""`cai stop [PATH]`."""

import argparse

from containai.cli import shared
from containai.layout import Layout


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    shared.workspace_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Shut the workspace's box down through its systemd."""
    layout = Layout.from_environment()
    box = shared.find_box(layout, arguments)
    shared.boxes_of(layout).stop(box)
    return 0
