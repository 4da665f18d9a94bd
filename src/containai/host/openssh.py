"""Which OpenSSH this machine has."""

import contextlib
import os
from typing import TYPE_CHECKING

from containai.errors import NoSpaceError
from containai.host import files, proc

if TYPE_CHECKING:
    from containai.host.machine import Machine


def version(host: "Machine") -> tuple[int, int]:
    """Return the version of OpenSSH's client here, (0, 0) where that cannot be told.

    It is asked once: the answer is kept as long as the program is the same, in a directory that
    whoever sets ssh up makes. Who only looks makes none.
    """
    path = host.which("ssh")
    if path is None:
        return 0, 0
    try:
        seen = os.stat(path)
    except OSError:
        return 0, 0
    stamp = f"{path} {seen.st_mtime_ns} {seen.st_size}"
    note = os.path.join(host.layout.state_dir, "ssh-client")
    known, _, said = (files.read_if_whole(note) or "").rpartition(" ")
    if known != stamp:
        try:
            said = _number(host.run(["ssh", "-V"], ok=None, timeout=10).err)
        except proc.ProcessError:
            return 0, 0
        if os.path.isdir(host.layout.state_dir) and _is_file_or_free(note):
            # Whoever needs that directory more says what is wrong with it, and doctor what stands
            # there that is no file: it finds it whichever of its checks comes first.
            with contextlib.suppress(OSError, NoSpaceError):
                files.write(note, f"{stamp} {said}", 0o600)
    return parsed(said)


def _is_file_or_free(path: str) -> bool:
    return os.path.isfile(path) if os.path.lexists(path) else True


def parsed(number: str) -> tuple[int, int]:
    """Return a version such as 9.2p1 as numbers."""
    major, _, rest = number.partition(".")
    minor = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else (0, 0)


def _number(said: str) -> str:
    # OpenSSH_9.2p1 Debian-2+deb12u6, OpenSSL 3.0.19 27 Jan 2026
    words = said.replace(",", " ").split()
    begin = "OpenSSH_"
    return next((word.removeprefix(begin) for word in words if word.startswith(begin)), "-")
