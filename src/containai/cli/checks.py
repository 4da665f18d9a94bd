"""How people and machines see what was checked, and what would be done about it."""

import json
import os
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from containai.cli.report import Note, Report

if TYPE_CHECKING:
    from containai.flows.doctor import Proposal
    from containai.provision.apply import Row

#: The exit code where a check is not all right.
FOUND = 1
#: The version of the document: another one where what a reader relies on is no more.
VERSION = 1


def schema() -> Any:
    """Return the schema of the document."""
    with open(os.path.join(os.path.dirname(__file__), "doctor.schema.json"), "rb") as file:
        return json.load(file)


def shown(rows: "Sequence[Row]", *, box: str | None, mended: bool) -> Report:
    """Return what doctor says of `box`, or of the machine; `mended` is whether it was to mend."""
    from containai.provision import apply

    value, views = document(rows, box), [apply.table(rows)]
    if is_fine(rows):
        return Report(value, views)
    return Report(value, views, FOUND, [_note(rows, mended=mended)])


def _note(rows: "Sequence[Row]", *, mended: bool) -> Note:
    if all(row.finding.passes or row.finding.is_unknown for row in rows):
        return Note("something could not be looked at")
    if mended:
        return Note("not everything could be mended", "what there is to do stands beside each")
    return Note("something is missing or wrong", "run: cai doctor --fix")


def planned(rows: "Sequence[Row]", proposals: "Sequence[Proposal]", *, box: str | None) -> Report:
    """Return what doctor would do."""
    value = document(rows, box) | {"plan": [_as_value(each) for each in proposals]}
    text = "".join(map(_as_text, proposals)) or "nothing to do\n"
    return Report(value, [text], 0 if is_fine(rows) else FOUND)


def _as_value(proposal: "Proposal") -> dict[str, Any]:
    error = proposal.error
    return {
        "step": proposal.row.step.title,
        "actions": [action.describe() for action in proposal.plan.actions],
        "interrupts": proposal.interrupts,
        "error": "" if error is None else str(error),
        "hint": "" if error is None else error.hint,
    }


def _as_text(proposal: "Proposal") -> str:
    row, plan, interrupts, error = proposal
    lines = [f"{row.step.title}: {row.finding.seen}\n"]
    if error is not None:
        lines.append(f"    left as it is: {error}\n")
        lines += [f"    hint: {error.hint}\n"] if error.hint else []
    if interrupts:
        lines.append(f"    asked before: this {interrupts}\n")
    return "".join(lines) + textwrap.indent(plan.describe(), "    ")


def document(rows: "Sequence[Row]", box: str | None) -> dict[str, Any]:
    """Return what doctor says for machines; `box` is the one that was looked into."""
    return {"version": VERSION, "box": box, "fine": is_fine(rows), "checks": value(rows)}


def value(rows: "Sequence[Row]") -> list[dict[str, Any]]:
    """Return the rows for machines."""
    return [
        {
            "step": row.step.title,
            "area": row.step.area.value,
            **row.finding.told(),
            "means": row.step.means,
        }
        for row in rows
    ]


def is_fine(rows: "Sequence[Row]") -> bool:
    """Whether nothing has to be done, and everything could be looked at."""
    return all(row.finding.passes for row in rows)
