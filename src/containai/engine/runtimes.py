"""The runtimes that the engine knows, and which of them starts boxes on this machine."""

import json
import os
from typing import NamedTuple

from containai.errors import DamagedError
from containai.host import files
from containai.layout import Layout
from containai.machine_layout import RUNTIME, SYSBOX_RUNC

#: Where the package of Sysbox puts its runtime: a Sysbox of the host's own is used as it is, for
#: its daemons are there once a machine.
HOST_SYSBOX = "/usr/bin/sysbox-runc"


class Choice(NamedTuple):
    """What `cai setup` found: the runtime, why that one, and the versions it was probed with."""

    runtime: str
    why: str
    versions: dict[str, str]


def read_choice(layout: Layout) -> Choice | None:
    """Return what was chosen, or None where nothing was yet, or the record is damaged."""
    try:
        return parse_choice(files.read_roots(layout.runtime_choice, owners=layout.owners) or "")
    except (DamagedError, ValueError):
        return None


def parse_choice(text: str) -> Choice:
    """Return the choice that a record says. Raises ValueError where it says none."""
    try:
        record = files.from_json(text)
        versions = {str(name): str(version) for name, version in record["versions"].items()}
        choice = Choice(str(record["runtime"]), str(record["why"]), versions)
    except (LookupError, TypeError, AttributeError):
        raise ValueError("it says no runtime") from None
    if choice.runtime not in (RUNTIME, SYSBOX_RUNC):
        raise ValueError(f"there is no runtime {choice.runtime!r}")
    return choice


def choice_text(choice: Choice) -> str:
    """Return the record of a choice."""
    return json.dumps(choice._asdict(), indent=4) + "\n"


def chosen(layout: Layout) -> str:
    """Return the name of the runtime for new boxes."""
    choice = read_choice(layout)
    return choice.runtime if choice is not None else RUNTIME


def sysbox_program(layout: Layout) -> str | None:
    """Return the path of Sysbox's runtime: ours, else the host's own, or None.

    The host's own is for the machine's own ContainAI only, not for one under a root of a test.
    """
    if os.path.exists(layout.sysbox_program):
        return layout.sysbox_program
    return HOST_SYSBOX if layout.is_default and os.path.exists(HOST_SYSBOX) else None


def programs(layout: Layout) -> dict[str, str]:
    """Return every runtime that is there, by its name in daemon.json."""
    sysbox = {SYSBOX_RUNC: layout.sysbox_wrapper} if sysbox_program(layout) else {}
    return {RUNTIME: layout.runtime_program, **sysbox}
