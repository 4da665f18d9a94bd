"""Every file of a machine as a line, so that two moments can be compared."""

from __future__ import annotations

import shlex

from .machine import Machine
from .product import HOME, SLOW

#: Kept where a comparison does not look.
PATH = "/var/log/manifest"

# What changes on any machine, whatever is installed (logs, caches, what systemd remembers), and cai
# itself, which compiles its modules when it first runs.
_VOLATILE = (
    "/var/log", "/var/cache", "/var/lib/systemd", "/var/lib/apt", "/var/lib/dpkg",
    f"{HOME}/.local/share/containai",
)  # fmt: skip
_PACKAGES = "dpkg-query -W -f '${Package}\\n' | sort"

_SCRIPT = f"""
import os, stat, zlib
for directory, names, files in os.walk("/"):
    names[:] = [
        name for name in names
        if os.path.join(directory, name) not in {_VOLATILE!r}
        and os.lstat(os.path.join(directory, name)).st_dev == os.lstat("/").st_dev
    ]
    for name in names + files:
        path = os.path.join(directory, name)
        entry = os.lstat(path)
        content = ""
        if stat.S_ISLNK(entry.st_mode):
            content = os.readlink(path)
        elif stat.S_ISREG(entry.st_mode):
            with open(path, "rb") as file:
                content = zlib.crc32(file.read())
        print(repr(path), oct(entry.st_mode), entry.st_uid, entry.st_gid, content, sep="\\t")
"""


def write(machine: Machine) -> None:
    """Keep what the machine has now, for `changed` to compare with."""
    _list(machine, PATH)
    machine.run(f"{_PACKAGES} >{PATH}.packages")


def new_packages(machine: Machine) -> list[str]:
    """Return the packages that were installed since."""
    return machine.run(f"{_PACKAGES} | comm -13 {PATH}.packages -").stdout.split()


def changed(machine: Machine) -> dict[str, list[str]]:
    """Return what was written, changed or removed since, by path: its lines then and now."""
    _list(machine, f"{PATH}.now")
    difference = machine.run(f"diff {PATH} {PATH}.now | grep '^[<>]' || test $? = 1").stdout
    found: dict[str, list[str]] = {}
    for line in difference.splitlines():
        found.setdefault(line[2:].split("\t")[0].strip("'"), []).append(line)
    return found


def _list(machine: Machine, path: str) -> None:
    machine.run(f"python3 -c {shlex.quote(_SCRIPT)} >{path}", timeout=SLOW)
