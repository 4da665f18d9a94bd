"""`cai reclaim [PATH]`."""

import argparse
import json
import os
import sys

from containai.layout import Layout

#: How many of the files that could not be changed are named.
_SHOWN = 10


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument(
        "path", nargs="?", metavar="PATH", help="a workspace, or what is in one (default: here)"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say how many files it is")
    parser.epilog = (
        "Set-user-id and set-group-id bits and capabilities of these files go. No link is "
        "followed, and files of anybody else are left alone. Interrupted, it can be run again."
    )


def run(arguments: argparse.Namespace) -> int:
    """Make the owner of a workspace the owner of what other users of its boxes made in it."""
    from containai.boxes import owner
    from containai.errors import ContainAIError, NotSetUpError, WorkspaceError
    from containai.host import proc

    layout = Layout.from_environment()
    path = os.path.realpath(arguments.path or ".")
    if not os.path.lexists(path):
        raise WorkspaceError(f"{arguments.path!r} does not exist")
    if not os.path.exists(layout.runtime_program):
        raise NotSetUpError("this machine is not set up", hint="run: cai setup")
    if not arguments.dry_run:
        _refuse_running(layout, path)
    uid, gid = owner.of(layout, path)
    options = ["--dry-run"] if arguments.dry_run else []
    argv = [layout.runtime_program, "reclaim", *options, path, str(uid), str(gid)]
    said = json.loads(proc.run(argv, root=True, timeout=None).out)
    verb = "would belong" if arguments.dry_run else "now belong"
    whose = f"{owner.user_name(uid)}:{owner.group_name(gid)}"
    sys.stdout.write(f"{said['changed']} files and directories {verb} to {whose}\n")
    if said["problems"]:
        some = "\n  ".join(said["problems"][:_SHOWN])
        raise ContainAIError(f"{len(said['problems'])} could not be changed:\n  {some}")
    return 0


def _refuse_running(layout: Layout, path: str) -> None:
    """Raise ContainAIError where a box runs whose services could lose their files."""
    from containai.boxes import box
    from containai.engine import daemon
    from containai.engine.client import Engine
    from containai.errors import ContainAIError

    if daemon.configuration(layout) is None or not daemon.answering(layout):
        return
    for each in box.every(Engine(layout)):
        common = os.path.commonpath([each.workspace or "/", path])
        ends = (box.Status.STOPPED, box.Status.UNFINISHED, box.Status.BROKEN)
        if each.workspace and common in (each.workspace, path) and each.status not in ends:
            raise ContainAIError(
                f"the box {each.name!r} is {each.status}: its services would lose their files",
                hint=f"stop it first: cai stop --name {each.name}",
            )
