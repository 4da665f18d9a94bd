"""Images of a server: what there is, and ours, brought there in two parts."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from containai.incus.client import Incus
from containai.incus.errors import ConflictError, IncusError, NotFoundError
from containai.incus.message import quoted
from containai.incus.wire import failure, value

if TYPE_CHECKING:
    from containai.work.ui import Progress

_CHUNK = 256 << 10
#: How long a server may take to unpack and store an image that it has, in seconds.
_TIMEOUT = 3600.0
#: (bytes that were sent, all of them)
Sent = Callable[[int, int], None]


class Image(NamedTuple):
    """An image; `size` is in bytes, `properties` are those of its metadata."""

    fingerprint: str
    aliases: tuple[str, ...]
    properties: dict[str, str]
    size: int
    architecture: str
    uploaded_at: str
    last_used_at: str


def listed(incus: Incus) -> list[Image]:
    """Return the images that the project sees."""
    return [_parsed(each) for each in incus.get("/images", {"recursion": 1}) or ()]


def find(incus: Incus, fingerprint: str) -> Image | None:
    """Return an image by its fingerprint, or None."""
    try:
        return _parsed(incus.get(f"/images/{quoted(fingerprint)}"))
    except NotFoundError:
        return None


def fingerprint(metadata: IO[bytes], rootfs: IO[bytes]) -> str:
    """Return the fingerprint that an image of two parts has; both are read from their beginning."""
    digest = hashlib.sha256()
    for file in (metadata, rootfs):
        file.seek(0)
        while part := file.read(_CHUNK):
            digest.update(part)
    return digest.hexdigest()


def upload(
    incus: Incus,
    metadata: IO[bytes],
    rootfs: IO[bytes],
    *,
    name: str = "rootfs.tar.zst",
    expected: str = "",
    sent: Sent | None = None,
    progress: Progress | None = None,
) -> str:
    """Bring an image of two parts to a server; return its fingerprint.

    `name` is the root file system's. One that is there is not sent. `expected` is its fingerprint,
    where that is known; `sent` is told how much was sent, `progress` what the server does with it.
    An administrator's right, but in a project with images of its own. Properties are those of
    metadata.yaml: a header with some, where that has none, is said to end Incus.
    """
    expected = expected or fingerprint(metadata, rootfs)
    if find(incus, expected) is not None:
        return expected
    parts = _Parts(metadata, rootfs, name)
    headers = {
        "Content-Type": f"multipart/form-data; boundary={parts.boundary}",
        "Content-Length": str(parts.size),
        "X-Incus-public": "false",
        "X-Incus-fingerprint": expected,
    }
    target = incus.target("/images")
    # The server has read it all, and written it, before it answers.
    answer = incus.wire.request("POST", target, parts.read(sent), headers, timeout=_TIMEOUT)
    said = value(answer)
    operation = (said.get("metadata") or {}).get("id")
    if not isinstance(operation, str):
        raise failure(answer._replace(status=500))
    try:
        incus.wait(operation, _TIMEOUT, progress)
    except IncusError as failed:
        if "same fingerprint already exists" not in failed.text:
            raise
    return expected


def delete(incus: Incus, found: str) -> bool:
    """Remove an image by its fingerprint; return whether there was one."""
    try:
        incus.do("DELETE", f"/images/{quoted(found)}")
    except NotFoundError:
        return False
    return True


def alias(incus: Incus, name: str) -> str:
    """Return the fingerprint that an alias stands for, or "".

    Whoever may make one in the project may have made it: what is to be trusted is a fingerprint.
    """
    try:
        said = incus.get(f"/images/aliases/{quoted(name)}")
    except NotFoundError:
        return ""
    return str((said or {}).get("target", ""))


def set_alias(incus: Incus, name: str, found: str, description: str = "") -> None:
    """Have an alias stand for an image, whatever it stood for."""
    body = {"description": description, "target": found}
    with contextlib.suppress(ConflictError):
        incus.send("POST", "/images/aliases", {"name": name, **body})
        return
    incus.send("PUT", f"/images/aliases/{quoted(name)}", body)


def delete_alias(incus: Incus, name: str) -> bool:
    """Remove an alias; return whether there was one."""
    try:
        incus.send("DELETE", f"/images/aliases/{quoted(name)}")
    except NotFoundError:
        return False
    return True


class _Parts:
    """A form of two files, in the order that Incus reads them in (cmd/incusd/images.go)."""

    def __init__(self, metadata: IO[bytes], rootfs: IO[bytes], name: str) -> None:
        self.boundary = os.urandom(16).hex()
        self._files = [("metadata", "metadata.tar", metadata), ("rootfs", name, rootfs)]
        self._end = f"--{self.boundary}--\r\n".encode()
        self.size = len(self._end)
        for field, called, file in self._files:
            self.size += len(self._head(field, called)) + file.seek(0, os.SEEK_END) + 2

    def _head(self, field: str, called: str) -> bytes:
        lines = [
            f"--{self.boundary}",
            f'Content-Disposition: form-data; name="{field}"; filename="{quoted(called)}"',
            "Content-Type: application/octet-stream",
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def read(self, sent: Sent | None) -> Iterator[bytes]:
        """Give all of it, part by part."""
        done = 0
        for field, called, file in self._files:
            file.seek(0)
            yield self._head(field, called)
            done += len(self._head(field, called)) + 2
            while part := file.read(_CHUNK):
                yield part
                done += len(part)
                if sent:
                    sent(done, self.size)
            yield b"\r\n"
        yield self._end
        if sent:
            sent(self.size, self.size)


def _parsed(given: Mapping[str, Any]) -> Image:
    named: Sequence[Any] = given.get("aliases") or ()
    return Image(
        str(given.get("fingerprint", "")),
        tuple(str(each.get("name", "")) for each in named),
        {str(key): str(text) for key, text in (given.get("properties") or {}).items()},
        int(given.get("size") or 0),
        str(given.get("architecture", "")),
        str(given.get("uploaded_at", "")),
        str(given.get("last_used_at", "")),
    )
