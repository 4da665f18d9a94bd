"""What a box may use of a server, as settings and flags of boxes say it, in Incus's words. Pure.

`auto` is what the place's own profile says. https://linuxcontainers.org/incus/docs/main/reference/instance_options/
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from containai.away.place import cannot
from containai.boxes.limits import size
from containai.config.amounts import ALL, Amount
from containai.config.setting import Setting
from containai.config.settings import Settings

MEMORY, CPU, TIME, PROCESSES = (
    "limits.memory", "limits.cpu", "limits.cpu.allowance", "limits.processes",
)  # fmt: skip
KEYS = (MEMORY, CPU, TIME, PROCESSES)
#: The window in which a share of a processor is measured, in milliseconds.
_WINDOW = 100

Value = Callable[[Setting[Amount]], Amount | None]


class Wanted(NamedTuple):
    """Limits by Incus's keys, "" for none of the box's own; bytes of disk, 0 for the profile's."""

    config: dict[str, str]
    disk: int = 0


def wanted(value: Value, flagged: Value, place: str) -> Wanted:
    """Return the limits that settings say, for a box on a place; only those that say something.

    Raises NotThereError for what a flag says and cannot be there.
    """
    if flagged(Settings.box_swap) is not None:
        cannot("a limit on swap", place, "leave out --swap: it is the server's to say")
    config: dict[str, str] = {}
    memory, cpus, pids = (
        value(row) for row in (Settings.box_memory, Settings.box_cpus, Settings.box_pids)
    )
    if memory is not None:
        config[MEMORY] = _memory(memory)
    if cpus is not None:
        config |= _processors(cpus, place)
    if pids is not None:
        if pids.percent:
            cannot("a share of the processes", place, "say a number: --pids NUMBER")
        config[PROCESSES] = _number(pids)
    disk = value(Settings.box_disk)
    if disk is not None and disk.percent:
        cannot("a share of the disk", place, "say a size: --disk SIZE")
    return Wanted(config, int(disk.number) if disk is not None else 0)


def _memory(amount: Amount) -> str:
    if amount.percent:
        return f"{amount.percent:g}%"
    return str(int(amount.number)) if amount.number and not amount.is_auto else ""


def _number(amount: Amount) -> str:
    return str(int(amount.number)) if amount.number and amount != ALL else ""


def _processors(amount: Amount, place: str) -> dict[str, str]:
    if amount.percent:
        cannot("a share of the processors", place, "say a number: --cpus NUMBER")
    if amount.is_auto or not amount.number:
        return {CPU: "", TIME: ""}
    whole = math.ceil(amount.number)
    share = round(amount.number * _WINDOW)
    return {CPU: str(whole), TIME: "" if whole == amount.number else f"{share}ms/{_WINDOW}ms"}


def described(config: Mapping[str, str]) -> str:
    """Return what a box has, in a few words."""
    memory, cpus = config.get(MEMORY, ""), config.get(CPU, "")
    shown = size(int(memory)) if memory.isdecimal() else memory
    words = [f"{shown} of memory" if shown else "memory as the place has it"]
    share = re.fullmatch(rf"([0-9]{{1,9}})ms/{_WINDOW}ms", config.get(TIME, ""))
    if share is not None:
        cpus = f"{int(share[1]) / _WINDOW:g}"
    plural = "" if cpus == "1" else "s"
    words.append(f"{cpus} processor{plural}" if cpus else "processors as the place has them")
    return ", ".join(words)
