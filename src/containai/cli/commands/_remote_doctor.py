"""`cai remote doctor`, a row of remote.py."""

from typing import TYPE_CHECKING

from containai.app import App
from containai.cli.checks import FOUND, VERSION
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Note, Report

if TYPE_CHECKING:
    from containai.flows.remote_doctor import Looked


def run(app: App, *, name: str | None) -> Report:
    """Look at a place; end with 1 where something is not as it should be."""
    from containai.flows import remote_doctor
    from containai.provision import apply

    looked = remote_doctor.look(app, name)
    views = ["".join(apply.shown(row.title, row.finding, row.means) for row in looked.rows)]
    if looked.is_fine:
        return Report(_value(looked), views)
    return Report(_value(looked), views, FOUND, [_note(looked)])


def _value(looked: "Looked") -> dict[str, object]:
    rows = [{"check": row.title, **row.finding.told(), "means": row.means} for row in looked.rows]
    name = looked.remote.name
    return {"version": VERSION, "remote": name, "fine": looked.is_fine, "checks": rows}


def _note(looked: "Looked") -> Note:
    if all(row.finding.passes or row.finding.is_unknown for row in looked.rows):
        return Note("something could not be looked at")
    return Note("something is missing or wrong", "what there is to do stands beside each")


COMMAND = Command(
    "remote doctor",
    "check whether a server is as boxes need it",
    run,
    group="places",
    arguments=(
        Argument("NAME", "the place (default: that of cai remote use)",
                 kind="remotes"),
    ),
    examples=(
        Example("cai remote doctor work", "look, and change nothing"),
        Example("cai remote doctor work --json", "for machines"),
    ),
    more=f"It asks the server with your own certificate, and ends with {FOUND} where something is "
    "not right, or could not be looked at: what your certificate may not see is unknown, and said "
    "by name. What only a box can tell is read in one of yours that runs. Which known holes are "
    "mended is judged by the server's version, and by the package that its administrator noted.",
)  # fmt: skip
