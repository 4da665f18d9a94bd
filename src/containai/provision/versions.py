"""Which version of cai set this machine up: an older one leaves what a newer one wrote.

Two users of a machine may have two versions; the machine has one runtime and one engine.
"""

import os
import re
from typing import Any

import containai
from containai.host import files, proc
from containai.host.machine import Machine
from containai.layout import Layout
from containai.work.actions import Finding


def installed(layout: Layout) -> str:
    """Return the version that set this machine up; "" where none did, or one that left no word."""
    return (files.read_if_whole(layout.version_file) or "").strip()


def is_own(layout: Layout) -> bool:
    """Whether it was this version, or nothing is left that says so."""
    return installed(layout) in ("", containai.__version__)


def wrong(said: str) -> str:
    """Return what is wrong with what is in the file that says so, or ""."""
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})*[0-9a-z.+-]{0,40}", said.strip()):
        return ""
    return "it is no version"


def text() -> str:
    """Return the content of the file that says so."""
    return containai.__version__ + "\n"


def newer(layout: Layout) -> Finding[Any] | None:
    """Return what to say of this machine if a newer cai set it up, else None."""
    present = installed(layout)
    if numbers(present) <= numbers(containai.__version__):
        return None
    return Finding(
        True,
        f"of cai {present}, newer than this {containai.__version__}, and left as it is",
        hint="upgrade this cai; or, to go back to its version: cai uninstall, then cai setup "
        "(boxes stay)",
    )


def difference(layout: Layout) -> str:
    """Return what to say where an installed file is not as this version has it."""
    present, own = installed(layout), containai.__version__
    if not present:
        return "out of date"
    if present == own:
        return f"of another source of the same version, {own}"
    return f"of cai {present}, to be exchanged for {own}"


def numbers(version: str) -> tuple[int, ...]:
    """Return the numbers that a version begins with; what follows them does not count."""
    leading = re.match(r"[0-9]{1,9}(\.[0-9]{1,9})*", version)
    return tuple(map(int, leading[0].split("."))) if leading else ()


def program(host: Machine, named: str | None, name: str) -> str:
    """Return the path of a program of root's for an installed file, which has one `named`, if any.

    The same program by another path is no other: users differ in `host.path`, and a program can be
    in several directories.
    """
    own = host.which(name, root=True)
    usable = named is not None and os.access(named, os.X_OK) and proc.only_root_writes(named)
    if named is not None and usable and (own is None or os.path.samefile(own, named)):
        return named
    return own or f"/usr/sbin/{name}"
