"""`cai doctor --attack`: the escape self-test of a box, as a table or as JSON."""

import argparse
import json
import sys

from containai.attack import facts, report, send
from containai.attack.design import BY_DESIGN
from containai.boxes.box import Box, Status
from containai.boxes.workspace import Workspace
from containai.cli import shared
from containai.errors import BoxStartError, ContainAIError, SelfTestError
from containai.host import files
from containai.layout import Layout
from containai.ssh import session

#: The exit code where a probe is not fine.
FOUND = 1


def run(layout: Layout, name: str | None, *, as_json: bool) -> int:
    """Run all probes in a box (None: that of the current directory); 1 if any is not fine.

    A stopped box is started. Raises ContainAIError where the probes could not run.
    """
    try:
        box = _running(layout, name)
        known = facts.gather(shared.boxes_of(layout).engine, box.container)
        rows = report.run(ways(layout, box), known)
    except (ContainAIError, OSError) as failed:
        # 1 says that something was found.
        if getattr(failed, "exit_code", FOUND) != FOUND:
            raise
        raise SelfTestError(str(failed), hint=getattr(failed, "hint", "")) from None
    if as_json:
        _print_json(box, rows)
    else:
        _print_table(box, rows)
    return FOUND if any(row.status != "ok" for row in rows) else 0


def _running(layout: Layout, name: str | None) -> Box:
    wanted = argparse.Namespace(name=name, path=None)
    box = shared.find_box(layout, wanted, to_enter=True)
    if not session.is_live(layout, box.name) or box.status is not Status.RUNNING:
        from containai.cli import cold

        if box.status in (Status.UNFINISHED, Status.BROKEN, Status.PAUSED):
            raise BoxStartError(f"{box.name} is {box.status}", hint="see: cai ls")
        cold.wake(layout, Workspace(box.workspace), argparse.Namespace(name=box.name))
    return box


def ways(layout: Layout, box: Box) -> report.Ways:
    """Return the ways into a box: as the agent, as root through sudo, and through the engine."""
    engine = shared.boxes_of(layout).engine
    opened = files.read(layout.opened_ports) or ""

    def over_ssh(*prefix: str) -> list[send.Answer]:
        command = [*prefix, *send.PYTHON]
        return send.run(session.ssh_argv(layout, box.name, command, terminal=False), opened=opened)

    def through_engine() -> list[send.Answer]:
        argv = engine.argv("exec", "-i", box.container, *send.PYTHON)
        return send.run(argv, opened=opened, root=engine.needs_root)

    return {
        "root": lambda: over_ssh("sudo", "-n"),
        "agent": over_ssh,
        "exec": through_engine,
    }


def _print_json(box: Box, rows: list[report.Row]) -> None:
    value = {
        "box": box.name,
        "fine": all(row.status == "ok" for row in rows),
        "probes": report.as_json(rows),
        "by_design": [each._asdict() for each in BY_DESIGN],
    }
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def _print_table(box: Box, rows: list[report.Row]) -> None:
    width = max(len(row.probe.name) for row in rows)
    for row in rows:
        where = "" if row.status == "ok" else f"[{row.way}] "
        sys.stdout.write(f"{row.status:10}  {row.probe.name:<{width}}  {where}{row.seen}\n")
        if row.status != "ok":
            sys.stdout.write(f"{'':{width + 14}}stands for: {row.probe.stands_for}\n")
            sys.stdout.write(f"{'':{width + 14}}hint: {row.probe.remedy}\n")
    sys.stdout.write("\nDifferent from the benchmarks by design, and why that is no way out:\n")
    for each in BY_DESIGN:
        sys.stdout.write(f"  {each.check}: {each.differs}; {each.reason}\n")
    counts = {status: sum(row.status == status for row in rows) for status in send.STATUSES}
    sys.stdout.write(
        f"\n{box.name}: {len(rows)} probes, {counts['ok']} ok, {counts['found']} found, "
        f"{counts['unverified']} unverified\n"
    )
