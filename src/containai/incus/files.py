"""Files of an instance, put there and read by the server: of a stopped one, too.

What is in an instance is its own to make. A link at the end of a path is followed, within its root:
so a file is made, never written over, and what is read is not believed.
"""

from __future__ import annotations

from containai.incus.client import Incus
from containai.incus.errors import GarbageError, NotFoundError
from containai.incus.message import Answer, quoted
from containai.light import NamedTuple

#: How many bytes are read of a file, where the caller does not say.
LIMIT = 1 << 20


class Entry(NamedTuple):
    """What is at a path: `kind` is file, directory or symlink, `mode` its permissions."""

    kind: str
    uid: int
    gid: int
    mode: int


def push(
    incus: Incus, instance: str, path: str, content: bytes, *, uid: int, gid: int, mode: int
) -> None:
    """Have a new file of that owner and those permissions at a path, in place of what is there.

    A directory there stays, and the file is refused: raises an IncusError. The one that is made
    has the server's own permissions (0644) for a moment: it is made empty, so that nobody reads it.
    """
    delete(incus, instance, path)
    # Owner and permissions count only where there is no file (cmd/incusd/instance_file.go).
    _post(incus, instance, path, b"", "file", uid, gid, mode)
    if content:
        _post(incus, instance, path, content, "file", uid, gid, mode)


def make_directory(
    incus: Incus, instance: str, path: str, *, uid: int = 0, gid: int = 0, mode: int = 0o755
) -> None:
    """Have a directory; one that is there stays as it is, and what it is in has to be there."""
    _post(incus, instance, path, b"", "directory", uid, gid, mode)


def empty(incus: Incus, instance: str, path: str) -> None:
    """Have nothing in a file, which keeps its owner; one that is not there is made, root's 0644."""
    _post(incus, instance, path, b"", "file", 0, 0, 0o644)


def look(incus: Incus, instance: str, path: str) -> Entry | None:
    """Return what is at a path, or None."""
    try:
        return _entry(incus.raw("HEAD", _target(incus, instance, path)))
    except NotFoundError:
        return None


def read(incus: Incus, instance: str, path: str, *, limit: int = LIMIT) -> bytes | None:
    """Return what is in a file, or None where there is none, or something else than a file.

    Raises GarbageError for more than `limit` bytes.
    """
    seen = look(incus, instance, path)
    if seen is None or seen.kind != "file":
        return None
    try:
        answer = incus.raw("GET", _target(incus, instance, path), limit=limit)
    except NotFoundError:
        return None
    # It may be another thing by now.
    return answer.body if _entry(answer).kind == "file" else None


def delete(incus: Incus, instance: str, path: str) -> bool:
    """Remove a file, a link or an empty directory; return whether there was one."""
    try:
        incus.raw("DELETE", _target(incus, instance, path))
    except NotFoundError:
        return False
    return True


def _target(incus: Incus, instance: str, path: str) -> str:
    return incus.target(f"/instances/{quoted(instance)}/files", {"path": path})


def _post(
    incus: Incus,
    instance: str,
    path: str,
    content: bytes,
    kind: str,
    uid: int,
    gid: int,
    mode: int,
) -> None:
    headers = {
        # As a form it would be read for `path`, and be gone.
        "Content-Type": "application/octet-stream",
        "X-Incus-type": kind,
        "X-Incus-write": "overwrite",
        "X-Incus-uid": str(uid),
        "X-Incus-gid": str(gid),
        # Without the leading 0 it is read as decimal.
        "X-Incus-mode": f"{mode:04o}",
    }
    incus.raw("POST", _target(incus, instance, path), content, headers)


def _entry(answer: Answer) -> Entry:
    said = answer.headers
    try:
        return Entry(
            said["x-incus-type"],
            int(said.get("x-incus-uid") or 0),
            int(said.get("x-incus-gid") or 0),
            int(said.get("x-incus-mode") or "0", 8) & 0o7777,
        )
    except (KeyError, ValueError):
        raise GarbageError(
            "the server does not say what is at a path", code=answer.status
        ) from None
