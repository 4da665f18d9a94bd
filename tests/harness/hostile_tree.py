"""What an agent does to a tree and to an archive while the host reads or unpacks it.

with swapping(tree / "dir", outside): ...    # "dir" is now itself, now a link to outside
archive(("../x", b"text"), link("a", "/etc"), ("a/x", b"text"))
"""

import contextlib
import ctypes
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

AT_FDCWD, RENAME_EXCHANGE = -100, 2
_LIBC = ctypes.CDLL(None, use_errno=True)
#: Swaps the places of two names for as long as somebody reads what it says: one line at the first.
_SWAPPER = """
import os, sys
sys.path.insert(0, sys.argv[1])
from harness.hostile_tree import exchange
one, other = (os.fsencode(each) for each in sys.argv[2:])
exchange(one, other)
print("swapped", flush=True)
while os.getppid() == int(os.environ["SWAPPED_FOR"]):
    for _ in range(1000):
        exchange(one, other)
"""


def exchange(one: bytes | str | Path, other: bytes | str | Path) -> None:
    """Swap what two names are, in one go (renameat2(2)); it does not matter if one is gone."""
    words = (AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE)
    _LIBC.renameat2(*words)


@contextlib.contextmanager
def swapping(name: Path, target: str | Path) -> Iterator[None]:
    """Have a name be what it is, and a link to a target, in turns, as quickly as can be.

    Afterwards it is what it was: a process that is killed in between leaves it as the link.
    """
    link = name.with_name(name.name + ".link")
    link.symlink_to(target)
    with swapped(name, link):
        yield
    if name.is_symlink():
        exchange(name, link)
    link.unlink()


@contextlib.contextmanager
def swapped(one: Path, other: Path) -> Iterator[None]:
    """Have a process swap two names until the end."""
    tests = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    swapper = subprocess.Popen(
        [sys.executable, "-c", _SWAPPER, tests, str(one), str(other)],
        stdout=subprocess.PIPE,
        env={**os.environ, "SWAPPED_FOR": str(os.getpid())},
    )
    assert swapper.stdout is not None
    try:
        assert swapper.stdout.readline() == b"swapped\n"
        yield
        assert swapper.poll() is None, "it ended early"
    finally:
        swapper.kill()
        swapper.communicate()


Made = tarfile.TarInfo | tuple[str, bytes]


def entry(name: str, kind: bytes, target: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    """Return an entry without data."""
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mode = kind, target, mode
    return made


def directory(name: str, mode: int = 0o755) -> tarfile.TarInfo:
    """Return a directory of an archive."""
    return entry(name, tarfile.DIRTYPE, mode=mode)


def link(name: str, target: str) -> tarfile.TarInfo:
    """Return a link of an archive."""
    return entry(name, tarfile.SYMTYPE, target)


def hard_link(name: str, target: str) -> tarfile.TarInfo:
    """Return a hard link of an archive."""
    return entry(name, tarfile.LNKTYPE, target)


def device(name: str) -> tarfile.TarInfo:
    """Return a device of an archive: the machine's memory."""
    made = entry(name, tarfile.CHRTYPE)
    made.devmajor, made.devminor = 1, 1
    return made


def archive(*made: Made, end: bool = True) -> bytes:
    """Return an archive of entries, or of names and what the files have, in this order."""
    out = io.BytesIO()
    for each in made:
        if isinstance(each, tuple):
            info, data = tarfile.TarInfo(each[0]), each[1]
            info.size = len(data)
        else:
            info, data = each, b""
        out.write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        out.write(data + bytes(-len(data) % tarfile.BLOCKSIZE))
    out.write(bytes(2 * tarfile.BLOCKSIZE) if end else b"")
    return out.getvalue()


def sparse(name: str, size: int, data: bytes = b"end") -> bytes:
    """Return an entry of a file with a hole as large as is wanted, and some data at its end."""
    info = tarfile.TarInfo(f"GNUSparseFile.0/{name}")
    mapped = f"1\n{size - len(data)}\n{len(data)}\n".encode()
    mapped += bytes(-len(mapped) % tarfile.BLOCKSIZE)
    info.size = len(mapped) + len(data)
    info.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": name,
        "GNU.sparse.realsize": str(size),
    }
    head = info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    return head + mapped + data + bytes(-len(data) % tarfile.BLOCKSIZE)


#: Archives that only an adversary makes, by what is wrong with them: unpacked, nothing is outside,
#: and "canary" beside the target is as it was. `{canary}` is its whole path.
HOSTILE: dict[str, tuple[Made, ...]] = {
    "above": (("../canary", b"written"),),
    "above-in-the-middle": (directory("a"), ("a/../../canary", b"written")),
    "absolute": (("{canary}", b"written"),),
    "absolute-directory": (directory("{canary}.d"),),
    "through-a-link": (link("a", ".."), ("a/canary", b"written")),
    "through-an-absolute-link": (link("a", "/"), ("a{canary}", b"written")),
    "over-a-link": (link("a", "../canary"), ("a", b"written")),
    "over-an-absolute-link": (link("a", "{canary}"), ("a", b"written")),
    "directory-over-a-link": (link("a", ".."), directory("a"), ("a/canary", b"written")),
    "link-of-links": (directory("d"), link("d/up", ".."), link("a", "d/up/.."), ("a/canary", b"w")),
    "hard-link": (hard_link("a", "../canary"), ("a", b"written")),
    "absolute-hard-link": (hard_link("a", "{canary}"), ("a", b"written")),
    "hard-link-through-a-link": (link("d", ".."), hard_link("a", "d/canary"), ("a", b"written")),
    "mode-through-a-link": (link("a", "../canary"), directory("a", 0o777)),
    "empty-name": (("", b"written"),),
    "only-the-top": ((".", b"written"),),
}


def hostile(name: str, canary: Path) -> bytes:
    """Return one of those archives."""
    made: list[Made] = []
    for each in HOSTILE[name]:
        if isinstance(each, tuple):
            made.append((each[0].format(canary=canary), each[1]))
        else:
            again = entry(
                each.name.format(canary=canary),
                each.type,
                each.linkname.format(canary=canary),
                each.mode,
            )
            made.append(again)
    return archive(*made)
