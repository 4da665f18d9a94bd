"""`cai setup`."""

import os

from containai.app import App
from containai.cli import checks
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Note, Report

#: The exit code where what setup makes is not all right in the end.
FOUND = 1


def run(
    app: App,
    *,
    dry_run: bool,
    image_archive: str | None,
    offline_dir: str | None,
) -> Report:
    """Install and start everything that boxes need; end with the checks of `cai doctor`."""
    from containai.flows import setup
    from containai.provision import apply, steps
    from containai.provision.step import Choices
    from containai.work.actions import dry_run as dry_run_of

    chosen = Choices(app.settle(), image_archive=image_archive or "", offline_dir=offline_dir or "")
    if dry_run:
        plans = setup.preview(app.host, steps.steps(app.host, chosen))
        text = dry_run_of(plans)
        return Report({"changed": False, "plan": text.splitlines()}, [text])
    made = steps.steps(app.host, chosen)
    if not setup.set_up(app.host, made, app.ui):
        return Report({"changed": False}, ["everything is set up; nothing was changed\n"])
    rows = apply.examine(app.host, apply.quick(steps.checks(app.host, chosen)))
    views = [apply.table(rows), "set up\n", _advice(app)]
    value = {"changed": True, "checks": checks.value(rows)}
    titles = {step.title for step in made}
    code = 0 if checks.is_fine([row for row in rows if row.step.title in titles]) else FOUND
    # What users made before, boxes and their entries, is not setup's to mend.
    others = Note("something else is missing or wrong", "run: cai doctor --fix")
    notes = [others] if code == 0 and not checks.is_fine(rows) else []
    return Report(value, views, code, notes)


def _advice(app: App) -> str:
    """Return how to do without sudo, for whoever has to go through it."""
    import getpass

    user = app.host.invoker()
    if user is None and not app.engine.needs_root:
        return ""
    name, group = user.name if user is not None else getpass.getuser(), app.layout.engine_group
    return (
        f"cai asks for sudo to reach the engine. To do without: sudo usermod -aG {group} {name}\n"
        f"Whoever is in the group {group} is root on this machine.\n"
    )


def _file(text: str) -> str:
    path = os.path.abspath(text)
    if not os.path.isfile(path) or not os.access(path, os.R_OK):
        raise ValueError("no file that can be read")
    return path


def _directory(text: str) -> str:
    path = os.path.abspath(text)
    if not os.path.isdir(path) or not os.access(path, os.R_OK | os.X_OK):
        raise ValueError("no directory that can be read")
    return path


COMMANDS = (
    Command(
        "setup",
        "install and start everything that boxes need",
        run,
        group="machine",
        arguments=(
            Argument("--dry-run", "print what would be done"),
            Argument(
                "--image-archive",
                "load the image from an archive of `docker save` instead of building it",
                metavar="FILE",
                parse=_file,
            ),
            Argument(
                "--offline-dir",
                "take packages from a directory with their SHA256SUMS, nothing from the network",
                metavar="DIR",
                parse=_directory,
            ),
        ),
        examples=(
            Example("cai setup", "show what is missing, ask, do it"),
            Example("cai setup --dry-run", "every command and file, and nothing done"),
        ),
        more="Shows what is missing and what would be done (# as root), asks once, does it, and "
        "ends with the checks of cai doctor. A second run changes nothing. --dry-run prints every "
        "command and the content of every file instead, a line for all else that is done, and what "
        "is known only when earlier steps are done as such. With --offline-dir "
        "missing packages are the .deb files in DIR, each as DIR/SHA256SUMS says; nothing is "
        "fetched. With --image-archive the image is not built but loaded from FILE, which "
        "`docker save` wrote on a machine with the same version of cai.",
        asks=True,
    ),
)
