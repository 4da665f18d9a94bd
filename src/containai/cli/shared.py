"""What several commands need: their common options, and the way into a box."""

import argparse
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from containai.boxes import workspace as workspaces
from containai.boxes.workspace import Workspace
from containai.layout import Layout
from containai.ssh import session as ssh

if TYPE_CHECKING:
    from containai.boxes.box import Box
    from containai.boxes.lifecycle import Boxes
    from containai.config.settings import Setting, Settings


def workspace_arguments(parser: argparse.ArgumentParser) -> None:
    """Add PATH and --name."""
    parser.add_argument(
        "path", nargs="?", metavar="PATH", help="the workspace (default: the current directory)"
    )
    parser.add_argument("--name", metavar="NAME", type=box_name, help="the box's name")


def start_arguments(parser: argparse.ArgumentParser, command: str) -> None:
    """Add the options of commands that may make a box, or set this machine up."""
    parser.add_argument(
        "--force",
        action="store_true",
        help="take a workspace that is refused: /, $HOME, another user's",
    )
    parser.add_argument(
        "--skip-mounts", action="store_true", help="make a box without what is mounted in PATH"
    )
    setting_arguments(parser, command)
    yes_argument(parser)


def setting_arguments(parser: argparse.ArgumentParser, command: str) -> None:
    """Add the settings that the command line of a command can say."""
    from containai.config import settings

    for row in settings.flags(command):
        parser.add_argument(
            row.flag, dest=row.key, metavar=row.metavar, type=_checked(row), help=row.help
        )


def yes_argument(parser: argparse.ArgumentParser) -> None:
    """Add --yes."""
    parser.add_argument(
        "-y", "--yes", action="store_true", help="agree to what would be asked (or CAI_YES=1)"
    )


def box_name(text: str) -> str:
    """Parse a box's name: what Docker, host names and ssh all take."""
    allowed = set("abcdefghijklmnopqrstuvwxyz0123456789-")
    if not text or len(text) > 63 or not allowed.issuperset(text) or text[0] == "-":
        raise argparse.ArgumentTypeError(
            f"{text!r}: 1 to 63 of a-z, 0-9 and -, not beginning with -"
        )
    return text


def _checked(row: "Setting[Any]") -> Callable[[str], str]:
    def checked(text: str) -> str:
        try:
            return row.checked(text)
        except ValueError as wrong:
            raise argparse.ArgumentTypeError(f"{text!r}: {wrong}") from None

    return checked


def agreed(arguments: argparse.Namespace) -> bool:
    """Whether the user agreed beforehand to everything that would be asked."""
    return bool(arguments.yes) or os.environ.get("CAI_YES", "") in ("1", "true", "yes")


def workspace_of(layout: Layout, arguments: argparse.Namespace, *, force: bool = True) -> Workspace:
    """Return the workspace that the arguments name."""
    return workspaces.resolve(layout, arguments.path, force=force)


def settings_of(layout: Layout, arguments: argparse.Namespace | None = None) -> "Settings":
    """Return the user's settings, with what the command line says over them."""
    from containai.config.settings import Settings

    return Settings.load(layout.config_file, os.environ).over(vars(arguments) if arguments else {})


def boxes_of(layout: Layout, settings: "Settings | None" = None) -> "Boxes":
    """Return the boxes of this user, with the user's settings."""
    from containai.boxes.lifecycle import Boxes
    from containai.boxes.limits import Limits

    settings = settings or settings_of(layout)
    return Boxes(
        layout,
        port_range=settings.ssh_port_range,
        forward_agent=settings.ssh_forward_agent,
        limits=Limits(settings.box_memory, settings.box_cpus),
    )


def find_box(layout: Layout, arguments: argparse.Namespace, *, to_enter: bool = False) -> "Box":
    """Return the box that the arguments name; by --name also where its workspace is gone.

    Root may have anybody's, but not `to_enter` it, as a box knows its owner's key.
    Raises BoxNotFoundError, and NameTakenError for a box that is another user's or workspace's.
    """
    from containai.boxes import box
    from containai.engine import daemon
    from containai.errors import BoxNotFoundError

    daemon.start(layout)
    boxes = boxes_of(layout)
    if arguments.name is None:
        return boxes.get(workspace_of(layout, arguments))
    found = box.get(boxes.engine, arguments.name)
    if found is None:
        raise BoxNotFoundError(f"there is no box {arguments.name!r}", hint="see: cai ls")
    box.refuse_others(found, layout.uid, to_root=to_enter)
    if arguments.path is not None:
        box.refuse_workspace(found, workspace_of(layout, arguments).path)
    return found


def session(arguments: argparse.Namespace, command: Sequence[str]) -> int:
    """Enter the workspace's box, making and starting whatever is missing. Does not return."""
    layout = Layout.from_environment()
    workspace = workspace_of(layout, arguments, force=arguments.force)
    name = arguments.name or workspaces.box_name(workspace.path, layout.uid)
    from containai.config import settings

    limited = any(vars(arguments)[row.key] is not None for row in settings.flags("run"))
    if limited or not ssh.is_warm(layout, name, workspace.path, workspace.inode):
        from containai.cli import cold

        name = cold.bring_up(layout, workspace, arguments)
    ssh.enter(layout, name, command, workspace.directory)


def session_in_existing(arguments: argparse.Namespace, command: Sequence[str]) -> int:
    """Enter the workspace's box, started if need be. Raises BoxNotFoundError where it has none."""
    layout = Layout.from_environment()
    workspace = workspace_of(layout, arguments)
    name = arguments.name or workspaces.box_name(workspace.path, layout.uid)
    if not ssh.is_warm(layout, name, workspace.path, workspace.inode):
        from containai.cli import cold

        name = cold.wake(layout, workspace, arguments)
    ssh.enter(layout, name, command, workspace.directory)
