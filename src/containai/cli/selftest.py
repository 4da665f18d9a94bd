"""How people and machines see the escape self-test."""

from collections.abc import Iterator
from typing import Any

from containai.attack import report, send
from containai.attack.design import BY_DESIGN
from containai.cli.report import Report, Table
from containai.flows.selftest import Tested


def shown(tested: Tested, *, code: int) -> Report:
    """Return the report; `code` is what it ends with where a probe is not fine."""
    box, rows = tested
    value: dict[str, Any] = {
        "box": box,
        "fine": tested.is_fine,
        "probes": report.as_json(rows),
        "by_design": BY_DESIGN,
    }
    counts = {status: sum(row.status == status for row in rows) for status in send.STATUSES}
    design = "".join(
        f"  {difference.check}: {difference.differs}; {difference.reason}\n"
        for difference in BY_DESIGN
    )
    views: list[str | Table] = [
        Table([line for row in rows for line in _lines(row)]),
        f"\nDifferent from the benchmarks by design, and why that is no way out:\n{design}",
        f"\n{box}: {len(rows)} probes, {counts['ok']} ok, {counts['found']} found, "
        f"{counts['unverified']} unverified\n",
    ]
    return Report(value, views, 0 if tested.is_fine else code)


def _lines(row: report.Row) -> Iterator[tuple[str, str, str]]:
    if row.status == "ok":
        yield row.status, row.probe.name, row.seen
        return
    yield row.status, row.probe.name, f"[{row.way}] {row.seen}"
    yield "", "", f"stands for: {row.probe.stands_for}"
    yield "", "", f"hint: {row.probe.remedy}"
