"""`cai doctor`."""

from containai.app import App
from containai.boxes.target import Target
from containai.cli.command import Argument, Command, Example, box_name
from containai.cli.report import Note, Report

#: The exit code where a check is not all right.
FOUND = 1


def run(app: App, *, fix: bool, attack: str | None) -> Report:
    """Check what was asked for; end with 1 where something is not as it should be."""
    if attack is not None:
        return _attack(app, Target(name=attack or None))
    from containai.cli import checks
    from containai.flows import doctor
    from containai.provision import apply, steps
    from containai.provision.step import Choices

    wanted = steps.checks(app.host, Choices(app.settings))
    if fix:
        doctor.fix(app.host, wanted, app.ui)
    rows = apply.examine(app.host, wanted)
    if checks.is_fine(rows):
        return Report(checks.value(rows), [apply.table(rows)])
    note = Note("something is missing or wrong", "run: cai doctor --fix")
    return Report(checks.value(rows), [apply.table(rows)], FOUND, [note])


def _attack(app: App, target: Target) -> Report:
    from containai.cli import selftest
    from containai.flows.selftest import selftest as tested

    return selftest.shown(tested(app, target), code=FOUND)


def _box_or_none(text: str) -> str:
    return box_name(text) if text else text


COMMANDS = (
    Command(
        "doctor",
        "check whether everything that boxes need is there",
        run,
        group="machine",
        arguments=(
            Argument("--fix", "mend what is wrong, as cai setup would, and check again"),
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
            Example("cai doctor --fix", "mend what can be mended"),
            Example("cai doctor --attack", "try to get out of the box of this directory"),
        ),
        more=f"Changes nothing without --fix, and ends with {FOUND} where something is not right. "
        "--fix also removes ssh entries of boxes that are gone. --attack is the escape self-test: "
        "probes of what must not be possible, from inside and from the host; a stopped box is "
        f"started. It ends with 0 where all are fine, with {FOUND} where any is found or could not "
        "be looked at, and with another code where the probes could not run.",
    ),
)
