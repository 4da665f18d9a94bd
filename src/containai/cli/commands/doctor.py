"""`cai doctor`."""

import argparse
import json
import sys
from typing import TYPE_CHECKING

from containai.cli import shared
from containai.layout import Layout

if TYPE_CHECKING:
    from containai.provision.step import AnyStep

#: The exit code where a check is not all right.
FOUND = 1


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument(
        "--fix", action="store_true", help="mend what is wrong, as cai setup would, and check again"
    )
    parser.add_argument(
        "--attack",
        nargs="?",
        const="",
        metavar="BOX",
        type=_box_or_none,
        help="try what must not be possible in a box (default: the current directory's)",
    )


def _box_or_none(text: str) -> str:
    return shared.box_name(text) if text else text


def run(arguments: argparse.Namespace) -> int:
    """Check what was asked for; end with 1 where something is not as it should be."""
    layout = Layout.from_environment()
    if arguments.attack is not None:
        from containai.cli import attack

        return attack.run(layout, arguments.attack or None, as_json=arguments.json)
    if arguments.fix:
        from containai.cli.consent import Terminal
        from containai.flows import doctor

        with Terminal() as terminal:
            doctor.fix(layout, _checks(layout), terminal)
    return examine(layout, as_json=arguments.json)


def examine(layout: Layout, *, as_json: bool) -> int:
    """Check everything and print what was seen. Nothing is changed."""
    from containai.provision import apply

    rows = apply.examine(layout, _checks(layout))
    if as_json:
        found = [{"step": row.step.title, **row.finding.told()} for row in rows]
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        sys.stdout.write(apply.table(rows))
    if all(row.finding.passes for row in rows):
        return 0
    sys.stderr.write("cai: something is missing or wrong\n  hint: run: cai doctor --fix\n")
    return FOUND


def _checks(layout: Layout) -> "list[AnyStep]":
    from containai.provision import steps
    from containai.provision.step import Choices

    return steps.checks(Choices(shared.settings_of(layout)))
