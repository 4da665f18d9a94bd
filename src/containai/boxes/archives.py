"""Archives that a box is given, or answers with."""

import contextlib
import io
import tarfile
import time


def tar(entries: dict[str, tuple[str, int]]) -> bytes:
    """Return an archive of root's files: path → (text, mode), with the directories they need."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, (text, mode) in entries.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode, entry.mtime = len(text.encode()), mode, int(time.time())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def first_file(archive: bytes) -> bytes:
    """Return what is in the only file of an archive that a box answers for; nothing if it is none.

    Unpacked in memory: what the box calls its key could be a link to somewhere of ours.
    """
    with (
        contextlib.suppress(tarfile.TarError),
        tarfile.open(fileobj=io.BytesIO(archive)) as entries,
    ):
        entry = entries.next()
        file = entries.extractfile(entry) if entry is not None and entry.isreg() else None
        return file.read(1000) if file is not None else b""
    return b""
