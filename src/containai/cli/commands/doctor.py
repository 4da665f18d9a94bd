"""`cai doctor [BOX]`."""

from typing import TYPE_CHECKING

from containai.app import App
from containai.boxes.target import Target
from containai.cli import checks
from containai.cli.command import Argument, Command, Example, box_name
from containai.cli.report import Note, Report
from containai.errors import UsageError

if TYPE_CHECKING:
    from containai.provision.apply import Row


def run(
    app: App,
    *,
    box: str | None = None,
    fix: bool = False,
    dry_run: bool = False,
    all: bool = False,  # noqa: A002 - the option's name
    attack: str | None = None,
    report: str | None = None,
) -> Report:
    """Check what was asked for; end with 1 where something is not as it should be."""
    if report is not None and dry_run:
        raise UsageError("doctor: --report is of how things are", hint="leave --dry-run out")
    if attack is not None:
        if box is not None:
            raise UsageError("doctor: two boxes are named", hint="cai doctor --attack BOX")
        if fix or dry_run or all or report is not None:
            raise UsageError("doctor: --attack goes alone", hint="cai doctor --attack [BOX]")
        return _attack(app, Target(name=attack or None))
    if box is None and "box.on" in app.flags:
        hint = "the box, too: cai doctor BOX --on PLACE; of a server: cai remote doctor PLACE"
        raise UsageError("doctor: --on is of a box", hint=hint)
    from containai.flows import doctor
    from containai.provision import apply

    name = None
    if box is None:
        wanted = doctor.of_machine(app, every=all, to_mend=fix)
    else:
        name, wanted = doctor.of_box(app, _target(box))
    if fix and not dry_run:
        doctor.fix(app.host, wanted, app.ui)
    app.ui.say(f"looking at {name or 'this machine'}")
    if dry_run:
        return checks.planned(*doctor.preview(app.host, wanted), box=name)
    rows = apply.examine(app.host, wanted)
    if report is not None:
        return _reported(app, rows, report)
    return checks.shown(rows, box=name, mended=fix)


def _reported(app: App, rows: "list[Row]", path: str) -> Report:
    """Write the report, where there is nothing yet, for this user alone; "-" shows it."""
    from containai.flows import bug_report

    text, code = bug_report.written(app, rows), 0 if checks.is_fine(rows) else checks.FOUND
    if path == "-":
        return Report({"report": text}, [text], code)
    bug_report.save(path, text)
    note = Note(f"the report is in {path}: read it before you send it")
    return Report({"file": path}, code=code, notes=[note])


def _target(word: str) -> Target:
    from containai.cli import naming

    return naming.target(word)


def _attack(app: App, target: Target) -> Report:
    from containai.cli import selftest
    from containai.flows.selftest import selftest as tested

    return selftest.shown(tested(app, target), code=checks.FOUND)


def _box_or_none(text: str) -> str:
    return box_name(text) if text else text


COMMANDS = (
    Command(
        "doctor",
        "check whether everything that boxes need is there",
        run,
        group="machine",
        arguments=(
            Argument(
                "BOX", "a box to look into, by its name or its workspace's path", kind="boxes"
            ),
            Argument("--all", "look at what takes longer, too"),
            Argument("--fix", "mend what is wrong, as cai setup would, and check again"),
            Argument("--dry-run", "print what --fix would do, and change nothing"),
            Argument(
                "--report",
                "write a report of a fault, names and secrets masked; - shows it",
                metavar="FILE",
            ),
            Argument(
                "--attack",
                "try what must not be possible in a box (default: the current directory's)",
                metavar="BOX",
                parse=_box_or_none,
                const="",
            ),
        ),
        examples=(
            Example("cai doctor", "look, and change nothing"),
            Example("cai doctor api", "look into one box"),
            Example("cai doctor --fix", "mend what can be mended"),
            Example("cai doctor --fix --dry-run", "every command and file of that"),
            Example("cai doctor --report fault.txt", "what to send with the report of a fault"),
            Example("cai doctor --attack", "try to get out of the box of this directory"),
        ),
        more=f"Changes nothing without --fix, and ends with {checks.FOUND} where something is not "
        "right, or could not be looked at. A BOX that is a path has a slash, or is a dot. --fix "
        "asks before anything that stops a box or removes a file, goes on after what it cannot "
        "mend and says what to do about that; what could not be looked at, it leaves. --report "
        "writes versions, checks, which settings are set where, and the ends of logs to a FILE "
        "that is not there yet; names of users, hosts and boxes, paths, addresses and secrets are "
        "masked, the same always by the same word. --attack is "
        "the escape self-test: probes of what must not be possible, from inside and from the host; "
        f"a stopped box is started. It ends with 0 where all are fine, with {checks.FOUND} where "
        "any is found or could not be looked at, and with another code where the probes could not "
        "run.",
        asks=True,
    ),
)
