"""`cai update`."""

import re

from containai.app import App
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Note, Report
from containai.errors import UsageError


def run(
    app: App, *, check: bool, dry_run: bool, version: str | None, releases: str | None
) -> Report:
    """Bring cai itself up to date, where a release's install.sh installed it."""
    from containai.flows import update

    if check and dry_run:
        raise UsageError("--check or --dry-run, not both", hint="cai update --help")
    seen, release = update.look(app, place=releases, version=version)
    value = seen._asdict() | {"changed": False}
    if not seen.newer:
        if not check:
            update.refuse_older(seen)
        return Report(value, [f"cai {seen.version} is up to date ({seen.place})\n"])
    if check:
        note = Note(f"cai {seen.available} is there, this is {seen.version}", "run: cai update")
        return Report(value, [f"{seen.available}\n"], notes=[note])
    if dry_run:
        plan = update.commands(seen, release)
        return Report(value | {"plan": plan}, ["".join(f"{line}\n" for line in plan)])
    update.install(app, seen, release)
    text = f"updated cai {seen.version} to {seen.available}\n"
    note = Note("the machine follows without a box being stopped", "run: cai setup")
    return Report(value | {"changed": True}, [text], notes=[note])


def _version(text: str) -> str:
    if not re.fullmatch(r"v?[0-9]{1,6}(\.[0-9]{1,6}){0,3}", text):
        raise ValueError("expected a version, for example 0.2.0")
    return text.removeprefix("v")


COMMANDS = (
    Command(
        "update",
        "bring cai itself up to date",
        run,
        group="machine",
        arguments=(
            Argument("--check", "only say whether there is a newer one"),
            Argument("--dry-run", "print what would be done"),
            Argument("--version", "that release (default: the newest)", "VERSION", _version),
            Argument("--releases", "where, if not where this one came from", "URL"),
        ),
        examples=(
            Example("cai update", "the newest release"),
            Example("cai update --check --json", "whether there is one, for machines"),
        ),
        more="For a cai that the install.sh of a release installed; for any other it says what to "
        "do instead. Each file is checked against the sum that the release's install.sh has, and "
        "the old cai stays until the new one works. Boxes go on; engine and runtime follow with "
        "cai setup, or the next cai run. An older release is refused.",
    ),
)
