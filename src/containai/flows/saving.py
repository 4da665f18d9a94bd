"""`cai export` and `restore`, `cai volume backup` and `restore`: a data volume and its file."""

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import IO, Any, NamedTuple

import containai
from containai.app import App
from containai.boxes import data, locate, lookup, saved, volumes
from containai.boxes.box import Box, Status
from containai.boxes.data import Place
from containai.boxes.target import Target
from containai.boxes.volumes import Volume
from containai.engine.client import Engine
from containai.errors import BoxNotFoundError, ContainAIError, CopyError
from containai.flows import images, whereabouts
from containai.flows import volumes as listing
from containai.host import locks, proc, space
from containai.work.ui import Progress

#: How long another cai may be restoring, in seconds.
LOCK_TIMEOUT = 600.0
#: How long a box may take to take in what was put in the place of its links, in seconds.
PATIENCE = 30.0
#: The image's own; a box of an earlier image has none.
ADOPT = "/usr/local/lib/containai/data"
STDOUT = "-"


class Saved(NamedTuple):
    """A file that was written ("-" is what went to stdout); sizes are in bytes."""

    file: str
    volume: str
    size: int
    data_size: int


class Restored(NamedTuple):
    """A volume that has what was in a file. `stopped` are boxes that were."""

    volume: str
    workspace: str
    data_size: int
    stopped: list[str]
    box: dict[str, Any]


def export(app: App, target: Target, path: str | None) -> Saved:
    """Write the data volume of a workspace, and what its box is like, to a file."""
    entry = whereabouts.found(app, target)
    if entry is not None:
        from containai.flows import away_save

        return away_save.export(app, entry, path or file_name(entry.name))
    engine = images.engine_of(app)
    located = locate.locate(engine, target)
    name = located.box.data if located.box else volumes.own(engine, located.workspace.path)
    volume = volumes.get(engine, name) if name else None
    if volume is None:
        raise BoxNotFoundError(
            f"{located.workspace.path!r} has no data volume", hint="see: cai volume ls"
        )
    return _save(app, volume, located.box, path or file_name(located.name))


def file_name(box: str) -> str:
    """Return what a file of a box's data is called today."""
    return f"{box}-{datetime.now(UTC).strftime('%Y%m%d')}.tar"


def backup(app: App, name: str, path: str) -> Saved:
    """Write a data volume to a file."""
    images.engine_of(app)
    return _save(app, listing.chosen(app, name), None, path)


def _save(app: App, volume: Volume, box: Box | None, path: str) -> Saved:
    engine = app.engine
    for each in lookup.every(engine):
        if each.data == volume.name and each.status is Status.RUNNING:
            _have_adopted(engine, each)
    manifest = manifest_of(volume.name, volume.workspace, _described(box) if box else {})
    progress = app.ui.step(f"save {volume.name}", 1, 1)
    with written(app, path) as file:
        packer = saved.Packer(file, lambda size: progress(f"{size >> 20} MiB packed", None))
        data.drain(engine, _place(app, volume.name), packer)
        manifest = packer.finish(manifest)
        size = file.seek(0, os.SEEK_END)
    return Saved(path, volume.name, size, manifest.size)


def manifest_of(volume: str, workspace: str, box: dict[str, Any]) -> saved.Manifest:
    """Return what a file that is written now says of itself."""
    now, version = datetime.now(UTC).isoformat(timespec="seconds"), containai.__version__
    return saved.Manifest(now, f"cai {version}", volume, workspace, box)


def _have_adopted(engine: Engine, box: Box) -> None:
    """Have a running box take in what programs put in the place of its links."""
    with contextlib.suppress(ContainAIError, proc.ProcessError):
        argv = engine.argv("exec", "--user", "0", box.container, ADOPT)
        engine.host.run_limited(
            argv, stdin=b"", limit=1 << 16, timeout=PATIENCE, root=engine.needs_root
        )


def _described(box: Box) -> dict[str, Any]:
    return {
        "name": box.name,
        "image": box.image,
        "workspace": box.workspace,
        "created": box.created,
        "limits": box.limits.described(),
    }


def _place(app: App, volume: str) -> Place:
    """Return a volume, and the image of new boxes, built where it is missing."""
    return Place(volume, images.make(app, app.settings.image_name, anew=False)[-1].reference)


@contextlib.contextmanager
def written(app: App, path: str) -> Iterator[IO[bytes]]:
    """Give a file that takes the place of another once all is written; nobody else may read it."""
    if path == STDOUT:
        import shutil
        import tempfile

        if os.isatty(1):
            raise CopyError("a terminal cannot take it", hint="cai volume backup VOLUME - >FILE")
        os.makedirs(app.layout.state_dir, mode=0o700, exist_ok=True)
        with tempfile.TemporaryFile(dir=app.layout.state_dir) as file:
            yield file
            file.seek(0)
            with open(os.dup(1), "wb") as out:
                shutil.copyfileobj(file, out)
        return
    directory, name = os.path.split(os.path.abspath(path))
    part = f".{name[:100]}.{secrets.token_hex(4)}"
    try:
        with contextlib.ExitStack() as undo:
            where = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            undo.callback(os.close, where)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            opened = os.open(part, flags, 0o600, dir_fd=where)
            with contextlib.ExitStack() as failed:
                failed.callback(os.unlink, part, dir_fd=where)
                with open(opened, "w+b") as file:
                    yield file
                    file.flush()
                    os.fsync(opened)
                os.rename(part, name, src_dir_fd=where, dst_dir_fd=where)
                failed.pop_all()
    except OSError as wrong:
        raise CopyError(
            f"{path!r} cannot be written: {wrong.strerror}", hint="choose another FILE"
        ) from None


def restore(app: App, path: str, target: Target) -> Restored:
    """Have what is in a file in the data volume of a workspace.

    Raises NotThereError for one whose box is on a remote place.
    """
    data = "data.tar.gz"
    by_hand = f"tar -xOf {proc.describe([path])} {data} >{data}; cai import --from {data}"
    whereabouts.only_here(
        app, target, "putting all data back", f"its logins and settings: {by_hand}"
    )
    engine = images.engine_of(app)
    located = locate.locate(engine, target)
    name = located.box.data if located.box else ""
    name = name or volumes.own(engine, located.workspace.path)
    return _restored(app, path, name, located.workspace.path)


def restore_volume(app: App, path: str, name: str | None) -> Restored:
    """Have what is in a file in a data volume: the one that it was of, or another."""
    images.engine_of(app)
    with _opened(path) as file:
        manifest = saved.Reader(file).manifest
    from containai.config import values

    try:
        name = values.volume(name or manifest.volume)
    except ValueError as wrong:
        raise CopyError(
            f"{name or manifest.volume!r}: {wrong}", hint="say another VOLUME"
        ) from None
    return _restored(app, path, name, "")


def _restored(app: App, path: str, name: str, workspace: str) -> Restored:
    engine, there = app.engine, volumes.get(app.engine, name)
    with _opened(path) as file:
        reader = saved.Reader(file)
        manifest = reader.manifest
        boxes = [box for box in lookup.every(engine) if box.data == name]
        running = [box for box in boxes if not box.status.is_off]
        if there is not None and not app.ui.ask(_question(manifest, name, running)):
            raise ContainAIError("nothing was changed", hint="agree to it: --yes")
        space.require(app.host, app.layout.engine_data, manifest.size, f"the data of {path}")
        place = _place(app, name)
        progress = app.ui.step(f"restore {name}", 1, 1)
        with (
            locks.hold(app.host, locks.DATA, wait=LOCK_TIMEOUT, what="data volumes"),
            contextlib.ExitStack() as undo,
        ):
            if volumes.have(engine, name, workspace):
                undo.callback(engine.remove_volume, name)
            else:
                undo.callback(data.discard, engine, place)
            data.unpack(engine, place, _Told(reader, progress))
            reader.check()
            for box in running:
                app.ui.say(f"stopping the box {box.name}")
                app.boxes.stop(box)
            data.swap(engine, place)
            undo.pop_all()
    stopped = [box.name for box in running]
    return Restored(name, workspace, manifest.size, stopped, manifest.box)


class _Told:
    """A file that tells how much of it was read."""

    def __init__(self, reader: saved.Reader, progress: Progress) -> None:
        self._reader = reader
        self._progress = progress

    def read(self, size: int, /) -> bytes:
        content = self._reader.read(size)
        whole = max(self._reader.manifest.size, 1)
        self._progress(f"{self._reader.seen >> 20} MiB", min(self._reader.seen / whole, 1.0))
        return content


def _question(manifest: saved.Manifest, name: str, running: list[Box]) -> str:
    of = f"{manifest.volume!r} of {manifest.created}, {manifest.size / 1e6:.0f} MB"
    stops = f"; {', '.join(box.name for box in running)} is stopped for it" if running else ""
    return (
        f"All that is in the data volume {name!r} goes, and {of} comes in its place{stops}. Go on?"
    )


@contextlib.contextmanager
def _opened(path: str) -> Iterator[IO[bytes]]:
    """Give a file to read. Raises CopyError for what is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as wrong:
        raise CopyError(
            f"{path!r} cannot be read: {wrong.strerror}", hint="it is one of cai export"
        ) from None
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise CopyError(f"{path!r} is no file", hint="it is one of cai export")
        yield file
