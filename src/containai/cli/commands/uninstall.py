"""`cai uninstall`."""

import argparse
import sys
from typing import TYPE_CHECKING

from containai.cli import shared
from containai.layout import Layout

if TYPE_CHECKING:
    from containai.provision.step import Scope


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    shared.yes_argument(parser)
    parser.add_argument("--dry-run", action="store_true", help="print what would be done")
    parser.add_argument(
        "--containers", action="store_true", help="remove every container, running ones too"
    )
    parser.add_argument("--volumes", action="store_true", help="remove every volume")
    parser.add_argument("--images", action="store_true", help="remove every image")
    parser.add_argument(
        "--purge",
        action="store_true",
        help="remove the engine's data, your settings and your key as well",
    )
    parser.epilog = (
        "Workspaces are never touched. Without options, boxes, volumes, images, settings and your "
        "key stay for a later cai setup."
    )


def run(arguments: argparse.Namespace) -> int:
    """Take away what setup made; name the packages that stay."""
    from containai.cli import consent
    from containai.cli.progress import Display
    from containai.errors import NotSetUpError
    from containai.host import locks
    from containai.provision import steps, uninstall
    from containai.provision.step import Choices

    layout = Layout.from_environment()
    choices = Choices(shared.settings_of(layout, arguments))
    packages = uninstall.packages(layout)
    actions = uninstall.plan(layout, steps.checks(choices), _scope(arguments))
    if arguments.dry_run:
        lines = [action.describe() for action in actions]
        sys.stdout.write("".join(line + "\n" for line in lines or ["nothing to do"]))
        return 0
    if not actions:
        sys.stdout.write("nothing of ContainAI is set up here\n")
        return 0
    consent.show_actions([actions])
    if not shared.agreed(arguments) and not consent.ask("Do it now?"):
        raise NotSetUpError("nothing was changed", hint="run: cai uninstall --yes")
    what = "setting this machine up"
    with (
        locks.hold(layout.lock_dir, locks.SETUP, wait=1800, what=what),
        Display() as display,
    ):
        uninstall.apply(actions, display.step("uninstall", 1, 1))
    sys.stdout.write("uninstalled\n")
    if packages:
        sys.stdout.write(
            "These packages came with cai setup and stay, as others may use them by now:\n"
            f"  {' '.join(packages)}\n"
            f"To remove them: sudo apt-get purge {' '.join(packages)}\n"
        )
    sys.stdout.write("To remove cai itself: ./install.sh --uninstall\n")
    return 0


def _scope(arguments: argparse.Namespace) -> "Scope":
    from containai.provision.step import Scope

    return Scope(
        containers=arguments.containers,
        volumes=arguments.volumes,
        images=arguments.images,
        purge=arguments.purge,
    )
