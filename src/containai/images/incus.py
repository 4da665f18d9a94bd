"""An image of boxes as Incus takes it: what it says of it, and its root file system, two files.

Of the same image they are the same bytes. What a box gets from our engine as it is made, and needs
on Incus too, is put in as the root file system goes by: nothing of it is unpacked here.
https://linuxcontainers.org/incus/docs/main/reference/image_format/
"""

import contextlib
import copy
import errno
import fnmatch
import gzip
import hashlib
import io
import json
import os
import posixpath
import re
import tarfile
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import IO, NamedTuple, cast

from containai.engine.client import Engine
from containai.engine.container import Image
from containai.errors import ImageError, NoSpaceError
from containai.host import space
from containai.host.machine import Machine
from containai.host.piped import piped
from containai.host.tar import BLOCK, END
from containai.images import look, recipe
from containai.images.recipe import Recipe
from containai.work.ui import Progress

#: What is put in, and what Incus is told: rootfs, templates, metadata.yaml.
FILES = os.path.join(os.path.dirname(__file__), "incus")
#: Units that a box has on Incus beside those of its image: link → what it leads to.
LINKS = {
    f"etc/systemd/system/{target}.wants/{unit}": f"{directory}/{unit}"
    for target, unit, directory in (
        ("multi-user.target", "systemd-networkd.service", "/usr/lib/systemd/system"),
        ("sockets.target", "systemd-networkd.socket", "/usr/lib/systemd/system"),
        ("multi-user.target", "systemd-networkd-wait-online.service", "/usr/lib/systemd/system"),
        ("multi-user.target", "containai-resolver.service", "/etc/systemd/system"),
        ("multi-user.target", "containai-resolver.path", "/etc/systemd/system"),
    )
}
#: Empty: each box makes up its own, also one that is a copy (machine-id(5)).
_MACHINE_ID = "etc/machine-id"
#: What does not come along, as patterns of whole paths: masks of what is needed here; what Docker
#: makes for itself; what is of one box only, or comes from a template.
LEFT_OUT = (
    "etc/systemd/system/systemd-networkd.service",
    "etc/systemd/system/systemd-networkd.socket",
    "etc/systemd/system/systemd-networkd-wait-online.service",
    ".dockerenv",
    "dev/*",
    "proc/*",
    "sys/*",
    "run/*",
    "etc/hostname",
    "etc/hosts",
    "etc/resolv.conf",
    "etc/ssh/ssh_host_*",
    "var/lib/dbus/machine-id",
)
_LEFT_OUT = re.compile("|".join(map(fnmatch.translate, LEFT_OUT)))
#: Beside the files: what is made of the same ones in another way has another number.
_FORM = 1
#: How strongly it is packed. Of 800 MB, level 3 made 258 in 5 s of two processors, 6 made 241 in
#: 11 s, 9 made 226 in 27 s; gzip 271 in 45 s.
_ZSTD = ("zstd", "--quiet", "--force", "--threads=0", "-6")
#: How much of a file that is left out is kept, for other names of it, and of all, in bytes.
_SMALL = 1 << 20
_BUFFER = 1 << 18


class Split(NamedTuple):
    """An image for Incus: two files, and by what it is known there. `size` is of both, in bytes."""

    metadata: str
    rootfs: str
    alias: str
    fingerprint: str
    size: int


def key(made_of: Recipe) -> str:
    """Return by what an image for Incus is known: its recipe, and what is put in here."""
    parts = (_FORM, made_of.digest, recipe.digest_of_files(FILES), LINKS, LEFT_OUT)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def alias(made_of: Recipe) -> str:
    """Return what the image of a recipe is called on Incus."""
    name = made_of.name if not made_of.is_pulled else "other"
    return f"containai-{name}-{key(made_of)}"


def pack(
    engine: Engine, image: Image, made_of: Recipe, directory: str, progress: Progress
) -> Split:
    """Write an image that the engine has, for Incus, into a directory that has nothing else in it.

    Raises ImageError, EngineError, NoSpaceError.
    """
    directory = os.path.abspath(directory)
    space.require(engine.host, directory, image.size, "an image for Incus")
    metadata_file = os.path.join(directory, "metadata.tar")
    with open(metadata_file, "wb") as file:
        file.write(metadata(made_of, _seconds(image.created), os.uname().machine))

    def tell(done: int) -> None:
        progress(f"packing {made_of.name} for Incus", min(done / (image.size or 1), 1.0))

    with _packed(engine.host, os.path.join(directory, "rootfs.tar")) as packing:
        _export(engine, image, packing.stream, tell)
    files = (metadata_file, packing.path)
    size = sum(os.path.getsize(path) for path in files)
    return Split(*files, alias(made_of), fingerprint(*files), size)


def _export(engine: Engine, image: Image, out: IO[bytes], tell: Callable[[int], None]) -> None:
    with look.container(engine, image) as container:
        argv = engine.argv("export", container)
        argv = engine.host.as_root(argv) if engine.needs_root else argv
        with piped(engine.host, argv, writes=False) as exporting:
            failed = None
            try:
                rewrite(exporting.stream, out, _seconds(image.created), tell)
                # What fills the last record.
                while exporting.stream.read(_BUFFER):
                    pass
            except ImageError as wrong:
                failed = wrong
            done = exporting.done()
    # What ended early says less than who ended.
    if done.code:
        raise ImageError(f"image {image.id[7:19]} cannot be read: {done.err[:300]}")
    if failed is not None:
        raise failed


def metadata(made_of: Recipe, created: int, architecture: str) -> bytes:
    """Return the archive that says what an image is: its metadata.yaml, and templates.

    `created` is in seconds, `architecture` the kernel's word.
    """
    with open(os.path.join(FILES, "metadata.yaml"), encoding="utf-8") as file:
        text = file.read().format(
            architecture=architecture,
            created=created,
            name=made_of.name if not made_of.is_pulled else "other",
            # In YAML, any JSON is what it is in JSON.
            description=json.dumps(f"ContainAI {made_of.name}"),
            recipe=made_of.digest,
            key=key(made_of),
        )
    out = io.BytesIO()
    _add(out, "metadata.yaml", text.encode(), created)
    _add_directory(out, "templates", created)
    for path in recipe.paths(os.path.join(FILES, "templates")):
        with open(path, "rb") as template:
            _add(out, f"templates/{os.path.basename(path)}", template.read(), created)
    out.write(END)
    return out.getvalue()


def fingerprint(*paths: str) -> str:
    """Return by what Incus knows an image of these files, in this order."""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            while part := file.read(_BUFFER):
                digest.update(part)
    return digest.hexdigest()


def rewrite(
    source: IO[bytes], out: IO[bytes], created: int, tell: Callable[[int], None] = lambda _: None
) -> None:
    """Write a root file system as a tar archive, of one as `docker export` writes it.

    Nothing in it is newer than `created`, in seconds: what Docker made to look into the image is
    as old as that. `tell` gets the number of bytes that were read of files. Raises ImageError for
    what is no archive, or none of a root file system.
    """
    try:
        # Names are bytes to Linux, whatever they are here.
        with tarfile.open(
            fileobj=source, mode="r|", bufsize=_BUFFER, encoding="utf-8", errors="surrogateescape"
        ) as entries:
            _Rewriter(out, created, tell).take(entries)
    except (tarfile.TarError, EOFError) as wrong:
        raise ImageError(f"the image ended early, or is no archive: {wrong}") from None


class _Rewriter:
    """What of a root file system has been written."""

    def __init__(self, out: IO[bytes], created: int, tell: Callable[[int], None]) -> None:
        self._out, self._created, self._tell = out, created, tell
        self._ours = {*_files(), *LINKS, _MACHINE_ID}
        self._directories = {""}
        #: What was left out, and its content if it is small: another name of it may stay.
        self._gone: dict[str, tuple[tarfile.TarInfo, bytes | None]] = {}
        self._left = _SMALL
        self._done = 0

    def take(self, entries: tarfile.TarFile) -> None:
        """Write all of it, and what is put in."""
        for entry in entries:
            self._take(entry, entries.extractfile(entry) if entry.isreg() else None)
        self._put_in()
        self._out.write(END)

    def _take(self, entry: tarfile.TarInfo, file: IO[bytes] | None) -> None:
        name = _path(entry.name)
        if name in self._ours or _LEFT_OUT.match(name):
            self._gone[name] = (entry, self._small(entry, file))
            return
        if entry.isdir():
            self._directories.add(name)
        first = _path(entry.linkname) if entry.islnk() else ""
        if first in self._gone:
            entry, content = _instead(entry, *self._gone[first])
            file = io.BytesIO(content)
        _write(self._out, self._plain(entry), file)
        self._done += entry.size
        self._tell(self._done)

    def _small(self, entry: tarfile.TarInfo, file: IO[bytes] | None) -> bytes | None:
        if entry.size > self._left:
            return None
        self._left -= entry.size
        return file.read() if file is not None else b""

    def _plain(self, entry: tarfile.TarInfo) -> tarfile.TarInfo:
        """Return an entry by which nobody sees when or where it was made."""
        # Numbers count: on the server there are other users.
        _forget(entry, "atime", "ctime", "uname", "gname")
        entry.uname = entry.gname = ""
        if entry.mtime > self._created:
            entry.mtime = self._created
            _forget(entry, "mtime")
        return entry

    def _put_in(self) -> None:
        files = _files()
        for name in sorted(self._ours):
            self._add_above(posixpath.dirname(name))
            if name in LINKS:
                link = tarfile.TarInfo(name)
                link.type, link.linkname, link.mtime = tarfile.SYMTYPE, LINKS[name], self._created
                link.mode = 0o777
                _write(self._out, link)
            else:
                content, mode = files.get(name, (b"", 0o444))
                _add(self._out, name, content, self._created, mode)

    def _add_above(self, name: str) -> None:
        if name not in self._directories:
            self._add_above(posixpath.dirname(name))
            self._directories.add(name)
            _add_directory(self._out, name, self._created)


def _instead(
    entry: tarfile.TarInfo, first: tarfile.TarInfo, content: bytes | None
) -> tuple[tarfile.TarInfo, bytes]:
    """Return what another name of something that was left out is by itself, and its content."""
    if content is None:
        raise ImageError(
            f"in the image, {entry.name} and {first.name} are one large file",
            hint=f"box images have a {first.name} of their own on Incus",
        )
    whole = copy.copy(first)
    whole.name = entry.name
    _forget(whole, "path")
    return whole, content


def _forget(entry: tarfile.TarInfo, *keys: str) -> None:
    kept = {key: value for key, value in entry.pax_headers.items() if key not in keys}
    entry.pax_headers = kept


def _files() -> dict[str, tuple[bytes, int]]:
    """Return the files that are put in: path → (content, mode)."""
    root, found = os.path.join(FILES, "rootfs", ""), {}
    for path in recipe.paths(root):
        with open(path, "rb") as file:
            mode = 0o755 if recipe.is_executable(path) else 0o644
            found[path.removeprefix(root)] = (file.read(), mode)
    return found


def _path(name: str) -> str:
    """Return a path below the root directory. Raises ImageError for one that leads elsewhere."""
    if ".." in name.split("/"):
        raise ImageError(f"the image has the strange name {name!r}")
    path = posixpath.normpath(name).lstrip("/")
    return "" if path == "." else path


def _write(out: IO[bytes], entry: tarfile.TarInfo, file: IO[bytes] | None = None) -> None:
    # tarfile would remember each entry until the end.
    out.write(entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
    if file is not None:
        while part := file.read(_BUFFER):
            out.write(part)
        out.write(bytes(-entry.size % BLOCK))


def _add(out: IO[bytes], name: str, content: bytes, created: int, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(content), mode, created
    _write(out, entry, io.BytesIO(content))


def _add_directory(out: IO[bytes], name: str, created: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, 0o755, created
    _write(out, entry)


def _seconds(created: str) -> int:
    """Return when an image was made, by what the engine says; Incus takes no 0."""
    try:
        return max(1, int(datetime.fromisoformat(created[:19] + "+00:00").timestamp()))
    except (ValueError, OverflowError):
        return 1


class _Packing(NamedTuple):
    """What is written to, and where that goes, packed."""

    stream: IO[bytes]
    path: str


@contextlib.contextmanager
def _packed(host: Machine, path: str) -> Iterator[_Packing]:
    """Have a stream whose content goes to a file, packed; the end of its name says how."""
    if host.which(_ZSTD[0]) is None:
        path += ".gz"
        try:
            with open(path, "wb") as file, gzip.GzipFile("", "wb", 6, file, 0) as stream:
                yield _Packing(cast("IO[bytes]", stream), path)
        except OSError as wrong:
            error = NoSpaceError if wrong.errno == errno.ENOSPC else ImageError
            raise error(f"{path} could not be written: {wrong.strerror}") from None
        return
    path += ".zst"
    with piped(host, [*_ZSTD, "-o", path], writes=True) as running:
        # Then it has failed, and says why.
        with contextlib.suppress(BrokenPipeError):
            yield _Packing(running.stream, path)
        done = running.done()
    if done.code:
        error = NoSpaceError if "no space" in done.err.lower() else ImageError
        raise error(f"{path} could not be written: {done.err[:300]}")
