"""What is compared of files where there is no git: each side with the last exchange. Pure."""

import json
from collections.abc import Mapping
from typing import NamedTuple

from containai.errors import CopyError
from containai.host.unpack import parts

FILE, DIRECTORY, LINK = "f", "d", "l"
#: How many names there may be.
_MOST = 1 << 20


class Facts(NamedTuple):
    """A file, a directory or a link: its permissions, bytes, SHA-256, and where it leads."""

    kind: str
    mode: int = 0
    size: int = 0
    sum: str = ""
    target: str = ""


#: What is where: names as of os.fsdecode.
Manifest = Mapping[str, Facts]


class Comparison(NamedTuple):
    """Names that only changed here, only there, and on both sides in different ways."""

    here: tuple[str, ...]
    there: tuple[str, ...]
    both: tuple[str, ...]


def compare(base: Manifest, here: Manifest, there: Manifest) -> Comparison:
    """Return what has changed since `base`, and where that is in the other's way."""
    ours = {n for n in here.keys() | base.keys() if here.get(n) != base.get(n)}
    theirs = {n for n in there.keys() | base.keys() if there.get(n) != base.get(n)}
    same = {n for n in ours & theirs if here.get(n) == there.get(n)}
    both = (ours & theirs) - same
    # Two that made, or left, a directory with other permissions have nothing to lose.
    both -= {n for n in both if _is_directory(here, n) and _is_directory(there, n)}
    for mine, changed, others, in_the_way in (
        (here, ours, there, theirs),
        (there, theirs, here, ours),
    ):
        for name in changed & mine.keys():
            both |= {a for a in above(name) if a in in_the_way and _is_no_directory(others, a)}
    ours, theirs = ours - same - both, theirs - same - both
    return Comparison(tuple(sorted(ours)), tuple(sorted(theirs - ours)), tuple(sorted(both)))


def above(name: str) -> list[str]:
    """Return the names of the directories that something is in."""
    every = name.split("/")[:-1]
    return ["/".join(every[: at + 1]) for at in range(len(every))]


def agreed(base: Manifest, here: Manifest, there: Manifest) -> dict[str, Facts]:
    """Return what both sides have in common after an exchange."""
    known = {}
    for name in here.keys() | there.keys() | base.keys():
        mine = here.get(name)
        kept = mine if mine == there.get(name) else base.get(name)
        if kept is not None:
            known[name] = kept
    return known


def from_box(text: str) -> dict[str, Facts]:
    """Return what a box says that it has. Raises CopyError for what is no such answer."""
    found: dict[str, Facts] = {}
    lines = text.splitlines()
    if not lines or lines[-1] != "[]" or len(lines) > _MOST:
        raise strange()
    try:
        for line in lines[:-1]:
            name, *rest = json.loads(line)
            facts = from_list(rest)
            raw = name.encode("utf-8", "surrogateescape")
            if b"/".join(parts(raw)) != raw:
                raise ValueError
            found[name] = facts
    except (ValueError, TypeError, AttributeError, RecursionError, CopyError):
        raise strange() from None
    return found


def from_list(values: list[object]) -> Facts:
    """Return facts from JSON. Raises ValueError."""
    match values:
        case [str(kind), int(mode), int(size), str(sum_), str(target)] if (
            kind in (FILE, DIRECTORY, LINK)
            and 0 <= mode <= 0o777
            and 0 <= size < 1 << 62
            and "\0" not in target
        ):
            target.encode("utf-8", "surrogateescape")
            return Facts(kind, mode, size, sum_, target)
    raise ValueError("no facts")


def strange() -> CopyError:
    """Return the error for a box that answers something else."""
    return CopyError("the box answered something else than its files", hint="look there")


def _is_no_directory(manifest: Manifest, name: str) -> bool:
    return name in manifest and manifest[name].kind != DIRECTORY


def _is_directory(manifest: Manifest, name: str) -> bool:
    return name in manifest and manifest[name].kind == DIRECTORY
