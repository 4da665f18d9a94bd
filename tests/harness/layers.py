"""What is in the layers of an image, as the engine keeps them, and may not be."""

import os
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

#: What may be in no layer, by its path: what is of one machine, of one person, or only a cache.
FORBIDDEN = re.compile(
    r"""
    etc/ssh/ssh_host_.*
    | var/lib/dbus/machine-id
    | var/lib/systemd/random-seed
    | (root|home/[^/]+)/\.(netrc|git-credentials|aws/.+|docker/.+|bash_history)
    | (root|home/[^/]+)/\.ssh/.+
    | (.+/)?(\.cache(?!/containai/)|_cacache|\.npm/_logs)/.+
    | (root|home/[^/]+)/\.cargo/registry/.+
    | var/lib/apt/lists/.+_(Packages|Sources|In?Release)(\..+)?
    | var/cache/apt/(archives/.+\.deb|.+\.bin)
    | var/cache/man/.+
    | (tmp|var/tmp)/.+
    | usr/local/share/ca-certificates/.+\.crt
    """,
    re.VERBOSE,
)
#: Files that say who a machine is: empty they are made anew at its first boot.
EMPTY = re.compile(r"etc/machine-id|var/log/(?!journal).+")
SECRET = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY|_authToken=|oauth_token|sk-ant-|gh[pousr]_[A-Za-z0-9]{36}"
)
#: Where a secret would be; programs and their manuals have such words of their own.
_KEPT = re.compile(r"(etc|root|var/lib|usr/local/etc)/|home/[^/]+/(?!\.nvm/|\.local/)")
_SECRET_LIMIT = 1 << 20
#: Bytes from which a file that is there twice is worth a word; what every package is entered in.
TWICE, ENTERED = (
    100_000,
    re.compile(r"var/(lib/dpkg|cache/debconf)/.*|etc/ld\.so\.cache|var/cache/ldconfig/.*|build/.*"),
)


class Seen(NamedTuple):
    """What is wrong with an image, a line each."""

    forbidden: list[str]
    twice: list[str]


def look(directories: Sequence[str]) -> Seen:
    """Return what is wrong with an image whose layers are unpacked there, the lowest first."""
    forbidden: list[str] = []
    twice: list[str] = []
    known: dict[str, int] = {}
    for number, top in enumerate(directories):
        for path, size in _files(top):
            if _is_wrong(top, path, size):
                forbidden.append(f"layer {number}: {path}")
            large = size >= TWICE and not ENTERED.fullmatch(path)
            if large and known.setdefault(path, number) != number:
                twice.append(f"layers {known[path]} and {number}: {path}")
    assert known, "an image without files"
    return Seen(forbidden, twice)


def _files(top: str) -> Iterator[tuple[str, int]]:
    """Return the files of a layer, by their paths in it, with their sizes in bytes."""
    directories = [""]
    while directories:
        below = directories.pop()
        # An image has hundreds of thousands: their types come with their names.
        with os.scandir(os.path.join(top, below)) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    directories.append(f"{below}{entry.name}/")
                # What a layer takes away is a device in it.
                elif entry.is_file(follow_symlinks=False):
                    yield f"{below}{entry.name}", entry.stat(follow_symlinks=False).st_size


def _is_wrong(top: str, path: str, size: int) -> bool:
    if FORBIDDEN.fullmatch(path) or (EMPTY.fullmatch(path) and size):
        return True
    if not _KEPT.match(path) or size > _SECRET_LIMIT:
        return False
    with open(os.path.join(top, path), "rb") as file:
        return SECRET.search(file.read()) is not None
