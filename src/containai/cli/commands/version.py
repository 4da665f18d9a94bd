"""`cai version`."""

from containai import __version__
from containai.app import App
from containai.cli.command import Command
from containai.cli.report import Report


def run(app: App) -> Report:
    """Return the version."""
    return Report({"version": __version__}, [f"cai {__version__}\n"])


COMMANDS = (Command("version", "print the version", run, group="machine"),)
