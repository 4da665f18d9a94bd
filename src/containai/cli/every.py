"""What the commands with --all have in common."""

from typing import TYPE_CHECKING

from containai.cli.report import Note, Report

if TYPE_CHECKING:
    from containai.flows.several import Outcome


def report(done: "Outcome", state: str) -> Report:
    """Return what is said of each box; `state` is what those are now that it worked with."""
    value = [{"name": name, state: True} for name in done.names]
    return Report(value, (), done.code, [Note(str(why), why.hint) for why in done.failures])
