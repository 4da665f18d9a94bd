"""How people and machines see what was checked."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from containai.provision.apply import Row


def value(rows: "Sequence[Row]") -> list[dict[str, Any]]:
    """Return the rows for machines."""
    return [{"step": row.step.title, **row.finding.told()} for row in rows]


def is_fine(rows: "Sequence[Row]") -> bool:
    """Whether nothing has to be done."""
    return all(row.finding.passes for row in rows)
