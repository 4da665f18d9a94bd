"""What is in the layers of an image, as `docker save` writes them, and may not be."""

import json
import re
import tarfile
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


def look(archive: str) -> Seen:
    """Return what is wrong with the image in an archive of `docker save`."""
    forbidden: list[str] = []
    twice: list[str] = []
    known: dict[str, int] = {}
    with tarfile.open(archive) as image:
        file = image.extractfile("manifest.json")
        assert file is not None
        names = json.load(file)[0]["Layers"]
        for number, name in enumerate(names):
            with tarfile.open(fileobj=image.extractfile(name)) as layer:
                for entry in filter(tarfile.TarInfo.isreg, layer):
                    path = entry.name.removeprefix("./")
                    if _is_wrong(layer, entry, path):
                        forbidden.append(f"layer {number}: {path}")
                    large = entry.size >= TWICE and not ENTERED.fullmatch(path)
                    if large and known.setdefault(path, number) != number:
                        twice.append(f"layers {known[path]} and {number}: {path}")
    assert known, "an image without files"
    return Seen(forbidden, twice)


def _is_wrong(layer: tarfile.TarFile, entry: tarfile.TarInfo, path: str) -> bool:
    if path.rpartition("/")[2].startswith(".wh."):
        return False
    if FORBIDDEN.fullmatch(path) or (EMPTY.fullmatch(path) and entry.size):
        return True
    if not _KEPT.match(path) or entry.size > _SECRET_LIMIT:
        return False
    file = layer.extractfile(entry)
    return file is not None and SECRET.search(file.read()) is not None
