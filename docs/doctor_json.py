"""The page of what `cai doctor --json` prints, of its schema."""

from collections.abc import Callable
from typing import Any

from containai.cli import checks


def page(table: Callable[..., str]) -> str:
    """Return the page of what doctor prints for machines."""
    schema = checks.schema()
    parts = ["# What `cai doctor --json` prints\n", _DOCTOR_JSON]
    for heading, shape in (
        ("The document", schema),
        ("A check", schema["$defs"]["check"]),
        ("A plan", schema["$defs"]["plan"]),
    ):
        required = shape["required"]
        rows = [
            (f"`{name}`", _type(row), "always" if name in required else "", row["description"])
            for name, row in shape["properties"].items()
        ]
        head = ("key", "what it is", "there", "what it says")
        parts += [f"## {heading}\n", shape["description"] + "\n", table(head, rows)]
    return "\n".join(parts)


_DOCTOR_JSON = f"""\
Version {checks.VERSION}. Its schema (JSON Schema, 2020-12) comes with ContainAI, as
`containai/cli/doctor.schema.json` where Python's packages are. Within a version keys may be added,
and none is taken away or means something else. The exit code is 0 where `fine` is true,
and 1 where it is not. `cai setup --json` has the same checks.
"""


def _type(shape: dict[str, Any]) -> str:
    kinds = shape.get("type", "")
    words = [kinds] if isinstance(kinds, str) else kinds
    if "enum" in shape:
        words = [f"`{each}`" for each in shape["enum"]]
    elif "const" in shape:
        words = [f"`{shape['const']}`"]
    return " or ".join(words)
