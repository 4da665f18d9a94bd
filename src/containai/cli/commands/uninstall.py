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
    from containai.cli.consent import Terminal
    from containai.flows import uninstall
    from containai.provision import steps
    from containai.provision.step import Choices
    from containai.work.actions import dry_run

    layout = Layout.from_environment()
    checks = steps.checks(Choices(shared.settings_of(layout, arguments)))
    scope = _scope(arguments)
    if arguments.dry_run:
        sys.stdout.write(dry_run([uninstall.plan(layout, checks, scope)]))
        return 0
    with Terminal(agreed=shared.agreed(arguments)) as terminal:
        plan, packages = uninstall.uninstall(layout, checks, scope, terminal)
    if not plan.actions:
        sys.stdout.write("nothing of ContainAI is set up here\n")
        return 0
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
