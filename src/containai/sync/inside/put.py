"""Puts the files of an archive from stdin into a data volume, and says what it did.

Runs inside, as the agent: in a running box, or in a container that has only the volume. Whatever
lies there is the agent's. A file is whole, or as it was before; what is replaced is kept in
`before-import`.

    put VOLUME HOME KEPT MERGED

HOME has links to the volume ("" where there is none), KEPT says which (path and kind), MERGED which
dictionaries keep what does not come. The last two are JSON.
"""

import contextlib
import json
import os
import shutil
import stat
import sys
import tarfile

BEFORE = "before-import"
PART = ".containai-import"


class Put:
    """One import."""

    def __init__(self, volume: str, home: str, kept: dict[str, str], merged: list[str]) -> None:
        self.volume, self.home, self.kept, self.merged = volume, home, kept, frozenset(merged)
        self.has_before = False
        self.said: dict[str, list[str]] = {"new": [], "replaced": [], "same": []}
        self.failed: list[tuple[str, str]] = []

    def all(self, archive: tarfile.TarFile) -> None:
        """Put every file."""
        for entry in archive:
            file = archive.extractfile(entry)
            if file is None:
                continue
            content = file.read()
            try:
                if self.home:
                    self.link(entry.name)
                how = self.put(entry.name, content, entry.mode & 0o700)
                self.said[how].append(entry.name)
            except OSError as wrong:
                self.failed.append((entry.name, wrong.strerror or str(wrong)))

    def put(self, name: str, content: bytes, mode: int) -> str:
        """Put a file into the volume; return whether it is new there."""
        path = os.path.join(self.volume, name)
        above = os.path.dirname(path)
        os.makedirs(above, 0o700, exist_ok=True)
        while above != self.volume:
            os.chmod(above, 0o700)
            above = os.path.dirname(above)
        old = read(path)
        if old is not None and name in self.merged:
            content = merge(old, content)
        if old == content and stat.S_IMODE(os.lstat(path).st_mode) == mode:
            return "same"
        write(path + PART, content, mode)
        if os.path.lexists(path):
            os.link(path, self.before(name), follow_symlinks=False)
        os.rename(path + PART, path)
        return "new" if old is None else "replaced"

    def before(self, name: str) -> str:
        """Return where what is about to be replaced is kept: of the last import only."""
        top = os.path.join(self.volume, BEFORE)
        if not self.has_before:
            shutil.rmtree(top, ignore_errors=True)
            self.has_before = True
        path = os.path.join(top, name)
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        return path

    def link(self, name: str) -> None:
        """Have the home lead there. A file that is in the link's place goes there, too."""
        top = next(row for row in self.kept if f"{name}/".startswith(f"{row}/"))
        here, there = os.path.join(self.home, top), os.path.join(self.volume, top)
        if os.path.islink(here):
            if os.path.realpath(here) != os.path.realpath(there):
                raise OSError(f"in the home ~/{top} leads elsewhere")
            return
        if os.path.lexists(here):
            content = read(here) if self.kept[top] == "file" else None
            if content is None:
                raise OSError(f"in the home ~/{top} is no link to it before the box starts again")
            write(there + PART, content, 0o600)
            os.rename(there + PART, there)
        os.makedirs(os.path.dirname(here), exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(here + PART)
        os.symlink(there, here + PART)
        os.rename(here + PART, here)


def read(path: str) -> bytes | None:
    """Return what is in a plain file, or None."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with open(fd, "rb", closefd=True) as file:
        return file.read() if stat.S_ISREG(os.fstat(fd).st_mode) else None


def write(path: str, content: bytes, mode: int) -> None:
    """Write a file that is not there yet."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fchmod(fd, mode)
        os.fsync(fd)


def merge(old: bytes, new: bytes) -> bytes:
    """Return a dictionary with what the old one has beside what the new one says."""
    try:
        one, other = json.loads(old), json.loads(new)
        return json.dumps({**one, **other}, indent=2, ensure_ascii=False).encode() + b"\n"
    except (ValueError, TypeError, RecursionError):
        return new


def main(volume: str, home: str, kept: str, merged: str) -> None:
    """Put what is on stdin."""
    os.umask(0o077)
    put = Put(volume, home, json.loads(kept), json.loads(merged))
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
        put.all(archive)
    json.dump({**put.said, "failed": put.failed}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
