"""`cai exec [PATH] -- COMMAND…`."""

import argparse

from containai.cli import shared
from containai.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.usage = "cai exec [--name NAME] [PATH] -- COMMAND …"
    shared.workspace_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run a command in a box that is there; start the box if it is stopped."""
    if not arguments.command:
        raise UsageError("exec needs a COMMAND", hint="for example: cai exec . -- uname -a")
    return shared.session_in_existing(arguments, arguments.command)
