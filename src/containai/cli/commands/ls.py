"""`cai ls [--json]`."""

import argparse
import json
import sys

from containai.layout import Layout


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument("--json", action="store_true", help="for machines")


def run(arguments: argparse.Namespace) -> int:
    """List all boxes. Where nothing is set up there are none, and nothing is started."""
    from containai.boxes import box
    from containai.engine import daemon
    from containai.engine.client import Engine

    layout = Layout.from_environment()
    boxes: list[box.Box] = []
    if daemon.configuration(layout) is not None:
        daemon.start(layout)
        boxes = box.every(Engine(layout))
    if arguments.json:
        rows = [each._asdict() | {"status": str(each.status)} for each in boxes]
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return 0
    table = [("BOX", "STATUS", "SSH", "WORKSPACE")]
    for each in boxes:
        port = f"127.0.0.1:{each.ssh_port}" if each.ssh_port else "-"
        table.append((each.name, str(each.status), port, each.workspace))
    widths = [max(len(row[column]) for row in table) for column in range(3)]
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        sys.stdout.write("  ".join([*cells, row[3]]) + "\n")
    for each in boxes:
        for problem in each.problems:
            sys.stderr.write(f"cai: {each.name}: {problem}\n")
            sys.stderr.write(f"  hint: remove it: cai rm --name {each.name}\n")
    return 0
