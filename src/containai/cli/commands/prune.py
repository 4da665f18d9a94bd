"""`cai prune`."""

from typing import TYPE_CHECKING

from containai.app import App
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Note, Report, Table
from containai.errors import ContainAIError, UsageError
from containai.work.sizes import size

if TYPE_CHECKING:
    from containai.flows.pruning import Doomed

#: The age of boxes that go, unless another is said.
AGE = "30d"


def run(app: App, *, older_than: int | None, all: bool, data: bool, dry_run: bool) -> Report:  # noqa: A002
    """Remove boxes that were not used for long, and what is left of what is gone."""
    from containai.flows import pruning

    if all and older_than is not None:
        raise UsageError("--all is every age: it does not go with --older-than", hint="leave one")
    age = 0 if all else pruning.seconds(AGE) if older_than is None else older_than
    wanted = pruning.Wanted(age, data)
    rows = pruning.found(app, wanted)
    if dry_run or not rows:
        value = {"changed": False, "removed": rows, "size": _total(rows)}
        return Report(value, [*_shown(rows), _summary(rows, "would be removed")])
    app.ui.tell("".join(f"  {'  '.join(row)}\n" for row in _cells(rows)))
    if not app.ui.ask(f"{_summary(rows, 'go').strip()}. Go on?"):
        raise ContainAIError("nothing was removed", hint="agree to it: cai prune --yes")
    done = pruning.remove(app, rows, wanted)
    value = {"changed": bool(done.removed), "removed": done.removed, "size": _total(done.removed)}
    notes = [Note(str(failed), failed.hint) for failed in done.failures]
    code = done.failures[0].exit_code if done.failures else 0
    return Report(value, [_summary(done.removed, "removed")], code, notes)


def _total(rows: "list[Doomed]") -> int:
    return sum(row.size or 0 for row in rows)


def _cells(rows: "list[Doomed]") -> list[list[str]]:
    return [[r.kind, r.name, "?" if r.size is None else size(r.size), r.why] for r in rows]


def _shown(rows: "list[Doomed]") -> list[Table]:
    return [Table(_cells(rows), ["KIND", "NAME", "SIZE", "WHY"])] if rows else []


def _summary(rows: "list[Doomed]", verb: str) -> str:
    return f"{len(rows)} {verb}, {size(_total(rows))}\n" if rows else "nothing to remove\n"


def _age(text: str) -> int:
    from containai.flows.pruning import seconds

    return seconds(text)


COMMANDS = (
    Command(
        "prune",
        "remove boxes that were not used for long, and what is left of what is gone",
        run,
        group="boxes",
        arguments=(
            Argument(
                "--older-than", f"how long a box has to be off ({AGE})", metavar="AGE", parse=_age
            ),
            Argument("--all", "boxes that are off, however short that is"),
            Argument("--data", "data volumes that no box has, as well"),
            Argument("--dry-run", "only say what would go"),
        ),
        examples=(
            Example("cai prune --dry-run", "what would go"),
            Example("cai prune --older-than 2w", "what was off for two weeks"),
            Example("cai prune --all --data --yes", "all that does not run"),
        ),
        more="Boxes of yours that are off for so long, that were never finished or whose workspace "
        "is gone; parts of boxes that are gone; images that no box uses and no new one would, "
        "and the cache of builds. What runs and what is marked stays (cai keep). A box's data "
        "volume stays without --data; with it, those that no box has now go. A workspace on a "
        "disk that is not there now is gone, too: look before you agree.",
        asks=True,
    ),
)
