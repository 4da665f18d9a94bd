"""`cai ls [--all] [--json]`."""

import argparse
import json
import sys

from containai.layout import Layout


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument("--all", action="store_true", help="list other users' boxes as well")
    parser.add_argument("--json", action="store_true", help="for machines")


def run(arguments: argparse.Namespace) -> int:
    """List the user's boxes, or everybody's.

    Where nothing is set up there are none, and nothing is started.
    """
    from containai.boxes import box
    from containai.engine import daemon
    from containai.engine.client import Engine
    from containai.host import machine

    layout = Layout.from_environment()
    boxes: list[box.Box] = []
    if daemon.configuration(layout) is not None:
        daemon.start(layout)
        boxes = box.every(Engine(layout)) if arguments.all else box.own(Engine(layout))
    if arguments.json:
        rows = [each._asdict() | {"status": str(each.status)} for each in boxes]
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return 0
    owner = ["OWNER"] if arguments.all else []
    table = [["BOX", *owner, "STATUS", "SSH", "WORKSPACE"]]
    for each in boxes:
        port = f"127.0.0.1:{each.ssh_port}" if each.ssh_port else "-"
        owner = [machine.user_name(each.owner)] if arguments.all else []
        table.append([each.name, *owner, str(each.status), port, each.workspace])
    widths = [max(map(len, column)) for column in list(zip(*table, strict=True))[:-1]]
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        sys.stdout.write("  ".join([*cells, row[-1]]) + "\n")
    for each in boxes:
        for problem in each.problems if each.belongs_to(layout.uid) else ():
            sys.stderr.write(f"cai: {each.name}: {problem}\n")
            sys.stderr.write(f"  hint: remove it: cai rm --name {each.name}\n")
    return 0
