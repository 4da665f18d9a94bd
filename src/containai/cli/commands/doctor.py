"""`cai doctor`."""

import argparse
import json
import sys

from containai.cli import shared
from containai.layout import Layout

#: The exit code where a check is not all right.
FOUND = 1


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument("--json", action="store_true", help="for machines")
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
    return examine(layout, as_json=arguments.json)


def examine(layout: Layout, *, as_json: bool) -> int:
    """Check every step of setup and print what was seen. Nothing is changed."""
    from containai.config import settings
    from containai.provision import setup, steps

    values = settings.load(layout.config_file)
    rows = setup.examine(layout, steps.steps(shared.choices(values)))
    if as_json:
        found = [{"step": row.step.title, **row.finding._asdict()} for row in rows]
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        for row in rows:
            wrong = "none" if row.finding.optional else "wrong"
            mark = "ok" if row.finding.ok else wrong
            sys.stdout.write(f"{mark:5}  {row.step.title}: {row.finding.seen}\n")
    if all(row.finding.ok or row.finding.optional for row in rows):
        return 0
    sys.stderr.write("cai: something is missing or wrong\n  hint: run: cai setup\n")
    return FOUND
