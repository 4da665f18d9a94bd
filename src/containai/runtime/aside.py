"""Files of a container's that sysbox-runc would read as the host's root: aside while it does.

It looks into three of them for where data is to be (getSpecialDirs), by their paths on this
machine: it opens whatever lies there, follows links to what is the host's, waits for ever at a
pipe, and has sysbox-mgr make a directory at the path that they name. So what is not a plain file
without such a word has another name until the container is made.
"""

import contextlib
import os
import stat
from collections.abc import Iterator

from . import syscalls
from .errors import RuntimeRefusal

#: path below the root directory → the word that Sysbox looks for in it
READ = {
    "etc/docker/daemon.json": b"data-root",
    "etc/rancher/k3s/config.yaml": b"data-dir",
    "etc/rancher/rke2/config.yaml": b"data-dir",
}
#: What the name of what is aside ends with.
SUFFIX = ".containai-aside"
#: The largest file that is looked into, in bytes.
_LIMIT = 1 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def put(root: str) -> bool:
    """Put aside what is not to be read below `root`; return whether anything is.

    Raises RuntimeRefusal where it cannot be.
    """
    back(root)
    return sum(_put(root, path, word) for path, word in READ.items()) > 0


def back(root: str) -> None:
    """Give what is aside its name again, where nothing else has that by now."""
    for path in READ:
        with _last(root, path) as (fd, name, _), contextlib.suppress(FileNotFoundError):
            if _seen(fd, name) is None:
                _rename(fd, name + SUFFIX, name)


def _put(root: str, path: str, word: bytes) -> bool:
    with _last(root, path) as (fd, name, is_whole):
        if _is_harmless(fd, name, word, is_whole=is_whole):
            return False
        try:
            if _seen(fd, name + SUFFIX) is not None:
                raise FileExistsError(0, f"{name}{SUFFIX} is in the way")
            _rename(fd, name, name + SUFFIX)
        except OSError as wrong:
            raise RuntimeRefusal(
                f"Sysbox is not to read its /{path}, which cannot be put aside: {wrong.strerror}"
            ) from None
    return True


@contextlib.contextmanager
def _last(root: str, path: str) -> Iterator[tuple[int, str, bool]]:
    """Go along a path for as long as there are directories, not following a link.

    Yield the directory where that ends, what is looked for in it, and whether that is all of it.
    """
    *above, last = path.split("/")
    with contextlib.ExitStack() as opened:
        fd = os.open(root, _DIRECTORY)
        opened.callback(os.close, fd)
        for name in above:
            try:
                next_fd = os.open(name, _DIRECTORY, dir_fd=fd)
            except OSError:
                yield fd, name, False
                return
            fd = next_fd
            opened.callback(os.close, fd)
        yield fd, last, True


def _is_harmless(fd: int, name: str, word: bytes, *, is_whole: bool) -> bool:
    seen = _seen(fd, name)
    if seen is None or stat.S_ISDIR(seen.st_mode):
        return True
    if not is_whole or not stat.S_ISREG(seen.st_mode):
        # Only a link leads on from what is no directory.
        return not (is_whole or stat.S_ISLNK(seen.st_mode))
    with open(os.open(name, _FILE, dir_fd=fd), "rb") as file:
        text = file.read(_LIMIT + 1)
    return len(text) <= _LIMIT and word not in text


def _seen(fd: int, name: str) -> os.stat_result | None:
    try:
        return os.lstat(name, dir_fd=fd)
    except FileNotFoundError:
        return None


def _rename(fd: int, old: str, new: str) -> None:
    """Rename as the directory's owner: our own id is none that the container's files can have."""
    owner = os.fstat(fd)
    syscalls.set_fs_ids(owner.st_uid, owner.st_gid)
    try:
        os.rename(old, new, src_dir_fd=fd, dst_dir_fd=fd)
    finally:
        syscalls.set_fs_ids(0, 0)
