"""What of a box's work is odd: names and links that steer programs on this machine. Pure.

git refuses `.git` in a tree, by any name that some file system takes for it, as objects come in
(fsck), and checks nothing out by such names; it is looked at here once more, for files that come
without git, too.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from containai.host.unpack import stays

#: Characters that HFS+ leaves out of names (git's utf8.c, next_hfs_char).
_IGNORED = dict.fromkeys(
    [*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF]
)
#: What NTFS takes for `.git`, and for `.gitmodules` (git's path.c, is_ntfs_dotgit).
_GIT = re.compile(r"(\.git|git~[0-9]+)[ .]*(:.*)?", re.IGNORECASE | re.DOTALL)
_BARE = ("HEAD", "objects", "refs")
#: What git reads of a directory, and what only it does with links that are told apart.
_LINK, _SUBMODULE = "120000", "160000"


class Item(NamedTuple):
    """What is at a path: its mode as git has it, and where it leads if it is a link."""

    path: bytes
    mode: str
    target: bytes = b""


class Odd(NamedTuple):
    """What is odd about a path, and whether nothing of it may be put into a directory."""

    path: str
    why: str
    refused: bool = True


def odd(items: Iterable[Item]) -> list[Odd]:
    """Return what is odd of what is new from a box."""
    found: list[Odd] = []
    inside: dict[bytes, set[str]] = {}
    for item in items:
        path = printable(item.path)
        found += [Odd(path, why) for why in _names(item.path)]
        if item.mode == _LINK and not stays(tuple(item.path.split(b"/")), item.target):
            found.append(Odd(path, f"a link that leads out, to {printable(item.target)}"))
        if item.mode == _SUBMODULE:
            found.append(Odd(path, "a submodule: only which commit it is at comes", refused=False))
        if item.path == b".gitmodules":
            why = "says where submodules come from: read it before git submodule update"
            found.append(Odd(path, why, refused=False))
        parts = item.path.split(b"/")
        for at, part in enumerate(parts):
            name = part.decode("utf-8", "replace")
            if name in _BARE:
                inside.setdefault(b"/".join(parts[:at]), set()).add(name)
    for directory, names in inside.items():
        if len(names) == len(_BARE):
            # git takes it for one as soon as somebody is in there, and runs what its config says.
            why = "a git repository without a work tree, whose configuration would be followed"
            found.append(Odd(printable(directory) or ".", why))
    return found


def is_git(part: bytes) -> bool:
    """Whether some file system takes a name for `.git`."""
    name = part.decode("utf-8", "replace").translate(_IGNORED)
    return any(bool(_GIT.fullmatch(each)) for each in name.split("\\"))


def _names(path: bytes) -> list[str]:
    why = []
    parts = path.split(b"/")
    if any(is_git(part) for part in parts):
        why.append("a name that is git's own")
    if any(part in (b"", b".", b"..") for part in parts) or b"\0" in path:
        why.append("no name below a directory")
    if any(byte < 32 or byte == 127 for byte in path):
        why.append("a control character in its name")
    return why


def printable(name: bytes) -> str:
    """Return a name as it can be shown, on one line."""
    text = name.decode("utf-8", "backslashreplace")
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text)[:300]
