"""`cai uninstall`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from containai.app import App
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Note, Report

if TYPE_CHECKING:
    from containai.layout import Layout


def run(
    app: App, *, dry_run: bool, containers: bool, volumes: bool, images: bool, purge: bool
) -> Report:
    """Take away what setup made; name the packages that stay."""
    from containai.flows import uninstall
    from containai.provision import steps
    from containai.provision.step import Choices, Scope
    from containai.work.actions import dry_run as dry_run_of

    scope = Scope(containers=containers, volumes=volumes, images=images, purge=purge)
    wanted = steps.checks(app.host, Choices(app.settle()))
    away = _away(app)
    if dry_run:
        text = dry_run_of([uninstall.plan(app.host, wanted, scope)])
        return Report({"changed": False, "plan": text.splitlines()}, [text], notes=away)
    kept = [] if volumes or purge else _kept(app)
    done = uninstall.uninstall(app.host, wanted, scope, app.ui)
    if not done.plan.actions:
        return Report({"changed": False}, ["nothing of ContainAI is set up here\n"])
    value = {"changed": True, "packages": done.packages, "data_volumes": kept}
    stay = f"These data volumes stay for a later cai setup: {', '.join(kept)}\n" if kept else ""
    views = ["uninstalled\n", stay, _packages(done.packages), _CAI]
    return Report(value, views, notes=[*_include(app.layout), *away])


def _include(layout: "Layout") -> list[Note]:
    """Return what is to be said where the user's ssh configuration could not be changed."""
    from containai.ssh import include

    if not include.is_ours(layout):
        return []
    line = include.line(layout.ssh_blocks)
    said = f"{layout.ssh_config} could not be changed, and says {line}: nothing is there any more"
    return [Note(said, "have whatever makes it leave that out")]


def _away(app: App) -> list[Note]:
    """Return what is to be said of boxes that are not on this machine: they stay."""
    from containai.flows import whereabouts

    boxes = [f"{entry.name} on {entry.place}" for entry in whereabouts.every_known(app)]
    if not boxes:
        return []
    hint = "cai rm while their keys are here; later only an administrator of the server can"
    return [Note(f"these boxes stay where they are: {', '.join(boxes)}", hint)]


def _kept(app: App) -> list[str]:
    """Return the user's data volumes, where the engine runs."""
    from containai.boxes import volumes
    from containai.engine import daemon

    if not daemon.answering(app.host):
        return []
    return [volume.name for volume in volumes.every(app.engine)]


_CAI = "To remove cai itself: ./install.sh --uninstall\n"


def _packages(names: Sequence[str]) -> str:
    if not names:
        return ""
    return (
        "These packages came with cai setup and stay, as others may use them by now:\n"
        f"  {' '.join(names)}\n"
        f"To remove them: sudo apt-get purge {' '.join(names)}\n"
    )


COMMANDS = (
    Command(
        "uninstall",
        "take ContainAI off this machine; settings and data stay unless told",
        run,
        group="machine",
        arguments=(
            Argument("--dry-run", "print what would be done"),
            Argument("--containers", "remove every container, running ones too"),
            Argument("--volumes", "remove every volume"),
            Argument("--images", "remove every image"),
            Argument("--purge", "remove the engine's data, your settings and your key as well"),
        ),
        examples=(
            Example("cai uninstall --dry-run", "what would be done"),
            Example("cai uninstall --purge", "without a trace, but for workspaces and packages"),
        ),
        more="From the last step of setup to the first; the packages that stay are named. "
        "Workspaces are never touched, other users' ~/.ssh/containai.d neither. Without "
        "options, boxes, volumes, images, settings and your key stay for a later cai setup. "
        "Refused while containers run, unless --containers; boxes of other users are named as "
        "theirs.",
        asks=True,
    ),
)
