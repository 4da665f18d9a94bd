"""How much of a machine a box may use, as a word says it: so much, a share of it, or no limit."""

import re
from typing import NamedTuple


class Amount(NamedTuple):
    """A number (of bytes, processors, processes), or a share of what the machine has.

    0 of both is `none`; ALL is more than any machine has.
    """

    number: float = 0
    percent: float = 0
    #: Half of what the machine has, but not too little: what is enough, who resolves it knows.
    is_auto: bool = False


NONE = Amount()
AUTO = Amount(is_auto=True)
ALL = Amount(-1)
#: What a box needs to boot systemd, sshd and its own Docker: bytes, processors, processes.
LEAST_MEMORY, LEAST_PROCESSORS, LEAST_PROCESSES = 256 << 20, 0.1, 256
#: What `auto` gives at least, where the machine has it: bytes, processors.
ENOUGH_MEMORY, ENOUGH_PROCESSORS = 2 << 30, 1.0
#: A root file system grows from the first start on, in bytes.
LEAST_DISK = 1 << 30
#: The kernel has no more (PID_MAX_LIMIT in linux/threads.h).
MOST_PROCESSES = 1 << 22
#: Spare boxes: each takes memory, and nobody starts more at once.
MOST_SPARES = 16
_HALF = 50
_UNITS = {"m": 20, "g": 30, "t": 40}
_SIZE = re.compile("[0-9]{1,15}[mgt]", re.IGNORECASE)
_PERCENT = re.compile(r"[0-9]{1,3}(\.[0-9]{1,2})?%")
_PROCESSORS = re.compile(r"[0-9]{1,5}(\.[0-9]{1,2})?")
_PROCESSES = re.compile("[0-9]{1,7}")


def memory(value: object) -> Amount:
    """Parse "512m", "4g", "50%", "auto" or "none". Raises ValueError for anything else."""
    if value == "auto":
        return AUTO
    return _size(value, LEAST_MEMORY, "a number with m, g or t, like 4g, a share like 50%, auto")


def swap(value: object) -> Amount:
    """Parse "2g", "50%", "all" or "none". Raises ValueError for anything else."""
    if value == "all":
        return ALL
    return _size(value, 1, "a number with m, g or t, for example 2g, a share like 50%, all")


def disk(value: object) -> Amount:
    """Parse "20g", "25%" or "none". Raises ValueError for anything else."""
    return _size(value, LEAST_DISK, "a number with m, g or t, for example 20g, a share like 25%")


def processors(value: object) -> Amount:
    """Parse 2, "1.5", "50%", "auto" or "none". Raises ValueError for anything else."""
    if value == "auto":
        return AUTO
    if (common := _common(value)) is not None:
        return common
    # Not float(): that takes "nan", "inf" and "1_000".
    if isinstance(value, bool) or not _PROCESSORS.fullmatch(str(value)):
        raise ValueError("expected a number, for example 2 or 1.5, a share like 50%, auto or none")
    if float(str(value)) < LEAST_PROCESSORS:
        raise ValueError(f"expected at least {LEAST_PROCESSORS}, or none")
    return Amount(float(str(value)))


def processes(value: object) -> Amount:
    """Parse 16384, "50%" or "none". Raises ValueError for anything else."""
    if (common := _common(value)) is not None:
        return common
    if isinstance(value, bool) or not _PROCESSES.fullmatch(str(value)):
        raise ValueError("expected a number, for example 16384, a share like 50%, or none")
    if not LEAST_PROCESSES <= int(str(value)) < MOST_PROCESSES:
        raise ValueError(f"expected {LEAST_PROCESSES} to {MOST_PROCESSES - 1}, or none")
    return Amount(int(str(value)))


def spares(value: object) -> Amount:
    """Parse a small number, or "auto". Raises ValueError for anything else."""
    if value == "auto":
        return AUTO
    text = str(value)
    if not re.fullmatch("[0-9]{1,2}", text, re.ASCII) or int(text) > MOST_SPARES:
        raise ValueError(f"expected a number up to {MOST_SPARES}, or auto")
    return Amount(int(text))


def lowers(limit: Amount, users: Amount, enough: float = 0) -> bool:
    """Whether a limit leaves no more than another, on any machine; `enough` is the least of auto.

    Of a number and a share nobody knows, here.
    """
    if limit in (NONE, ALL):
        return False
    if users == NONE or limit == users:
        return True
    if users.is_auto:
        return 0 < limit.percent <= _HALF or 0 < limit.number <= enough
    if limit.percent and users.percent:
        return limit.percent <= users.percent
    return 0 < limit.number <= users.number


def _size(value: object, least: int, expected: str) -> Amount:
    if (common := _common(value)) is not None:
        return common
    text = str(value).lower()
    if not _SIZE.fullmatch(text) or not text.isascii():
        raise ValueError(f"expected {expected}, or none")
    size = int(text[:-1]) << _UNITS[text[-1]]
    if not least <= size < 1 << 62:
        raise ValueError(f"expected at least {max(least >> 20, 1)}m, or none")
    return Amount(size)


def _common(value: object) -> Amount | None:
    """Return what is the same for all: no limit, or a share. Raises ValueError for no share."""
    if value in (0, "0", "none") and value is not False:
        return NONE
    if isinstance(value, str) and _PERCENT.fullmatch(value):
        share = float(value[:-1])
        if not 0 < share <= 100:
            raise ValueError("expected a share of more than 0% and at most 100%")
        return Amount(percent=share)
    return None
