"""Files of this machine: written whole or not at all, and removed without following links."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from containai.errors import DamagedError, NoSpaceError, SshSetupError
from containai.host import locks, scripts

if TYPE_CHECKING:
    from containai.host.machine import Machine

#: For temporary files. TMPDIR may lead into a workspace, where the agent would read a key and swap
#: a log, and where there is no such directory, Python takes the current one.
TEMPORARY = "/tmp"  # noqa: S108 - names in it are random, and opened exclusively

#: What somebody can make of a file that is none, or have opened (fcntl(2), F_SETLEASE).
_ODD = {
    errno.ELOOP: "it is a link, or no file",
    errno.ENOTDIR: "it is a link, or no file",
    errno.EAGAIN: "a process has a lease on it",
}


#: What mends a file of ours that is none.
_MENDED = "see: cai doctor; it is mended by: cai doctor --fix"
#: What a path can be that is no file.
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def read(path: str) -> str | None:
    """Return a file's text, or None where there is none. Nothing is waited for.

    Raises DamagedError for what is no file, or may not be read.
    """
    return _text(path, os.O_RDONLY, None)


def read_if_whole(path: str) -> str | None:
    """Return a file's text, or None where there is none, or it is none: for what is only compared.

    `cai doctor` names it (provision/known_files.py).
    """
    try:
        return read(path)
    except DamagedError:
        return None


def read_roots(path: str, *, owners: tuple[int, ...]) -> str | None:
    """Return the text of a file that steers root, as `read` does.

    Raises DamagedError, too, where it is a link, or where another than its owners can write it.
    """
    return _text(path, os.O_RDONLY | os.O_NOFOLLOW, owners)


def _text(path: str, flags: int, owners: tuple[int, ...] | None) -> str | None:
    try:
        fd = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as wrong:
        if wrong.errno not in (errno.ELOOP, errno.EACCES, errno.EPERM, errno.ENXIO, errno.EIO):
            raise
        raise damaged(path, _unopened(path, wrong)) from None
    try:
        seen = os.fstat(fd)
        why = not_a_file(seen) or (loose(seen, owners) if owners is not None else "")
        if why:
            raise damaged(path, why)
        with open(fd, encoding="utf-8", errors="surrogateescape", closefd=False) as file:
            return file.read()
    finally:
        os.close(fd)


def _unopened(path: str, wrong: OSError) -> str:
    if wrong.errno == errno.ELOOP:
        return "is a link that is not followed" if os.path.islink(path) else "is behind a link"
    return f"cannot be read: {wrong.strerror}"


def damaged(path: str, why: str) -> DamagedError:
    """Return the error for a file of which this is wrong."""
    return DamagedError(f"{path} {why}", hint=_MENDED)


def not_a_file(seen: os.stat_result) -> str:
    """Return what something is in place of a file, or "". /dev/null is an empty one (a mask)."""
    if stat.S_ISREG(seen.st_mode):
        return ""
    if stat.S_ISCHR(seen.st_mode) and seen.st_rdev == os.makedev(1, 3):
        return ""
    return f"is {_KINDS.get(stat.S_IFMT(seen.st_mode), 'something else')}, not a file"


def loose(seen: os.stat_result, owners: tuple[int, ...]) -> str:
    """Return who else than its owners decides what is in something, or ""."""
    if seen.st_uid not in owners:
        return f"belongs to user {seen.st_uid}"
    # Below a root of a test's own, whoever runs it may have a group for himself (umask 002).
    others = stat.S_IWOTH | (stat.S_IWGRP if owners == (0,) else 0)
    if seen.st_mode & others and not stat.S_ISLNK(seen.st_mode):
        return "can be written by others than its owner"
    return ""


def from_json(text: str) -> Any:
    """Return what JSON says. Raises ValueError, also for what is nested too deeply."""
    import json

    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_beneath(directory: str, *names: str, limit: int) -> bytes | None:
    """Return what is in a file of a directory that others write, or None where there is none.

    No link is followed and nothing is waited for. Raises OSError for what is no file, and EFBIG for
    one of more bytes than the limit.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    with contextlib.ExitStack() as stack:
        fd = None
        for at, name in enumerate((directory, *names)):
            kind = os.O_DIRECTORY if at < len(names) else 0
            try:
                fd = os.open(name, flags | kind, dir_fd=fd)
            except FileNotFoundError:
                return None
            stack.callback(os.close, fd)
        assert fd is not None
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "it is no file")
        content = b""
        while part := os.read(fd, limit + 1 - len(content)):
            content += part
        if len(content) > limit:
            raise OSError(errno.EFBIG, f"it has more than {limit} bytes")
        return content


def why_not(wrong: OSError) -> str:
    """Return why a file that others write cannot be read."""
    return _ODD.get(wrong.errno or 0) or wrong.strerror or "it is no file"


def write(path: str, text: str, mode: int = 0o644) -> None:
    """Write a file whole or not at all. A symbolic link stays one: its target is replaced.

    Raises NoSpaceError where its file system is full.
    """
    path = os.path.realpath(path)
    with _room_for(path):
        _write(path, text, mode)


def write_there(path: str, content: bytes, mode: int) -> None:
    """Write a file of a path without links whole or not at all, in the directory that is there now.

    For a place that others may have a part of: a directory that they make a link meanwhile is not
    followed. Raises OSError.
    """
    flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    directory = os.open("/", flags)
    try:
        *parents, name = path.strip("/").split("/")
        for parent in parents:
            below = os.open(parent, flags, dir_fd=directory)
            os.close(directory)
            directory = below
        _replace(directory, name, content, mode)
    finally:
        os.close(directory)


def _unguessable() -> str:
    """Return a part of a name that nobody has. tempfile, and what it imports, would cost 5 ms."""
    return os.urandom(8).hex()


@contextlib.contextmanager
def temporary_directory() -> Iterator[str]:
    """Make a directory for files that only this user may read; it goes with them."""
    path = os.path.join(TEMPORARY, f"cai-{_unguessable()}")
    os.mkdir(path, 0o700)
    try:
        yield path
    finally:
        with os.scandir(path) as entries:
            for entry in entries:
                os.unlink(entry)
        os.rmdir(path)


@contextlib.contextmanager
def nameless() -> Iterator[str]:
    """Make a file in memory, of which nothing is left if we are killed; give a path to it.

    The path leads there for all processes of this user, until we close the file.
    """
    fd = os.memfd_create("containai")
    try:
        yield f"/proc/{os.getpid()}/fd/{fd}"
    finally:
        os.close(fd)


@contextlib.contextmanager
def _room_for(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as wrong:
        if wrong.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise NoSpaceError(
            f"no space left to write {path}", hint="free some space there, then run this again"
        ) from None


def _write(path: str, text: str, mode: int) -> None:
    content = text.encode("utf-8", errors="surrogateescape")
    directory = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _replace(directory, os.path.basename(path), content, mode)
    except OSError as wrong:
        wrong.filename = path if os.path.lexists(path) else os.path.dirname(path)
        raise
    finally:
        os.close(directory)


def _replace(directory: int, name: str, content: bytes, mode: int) -> None:
    """Have a file of a name in an open directory, whole or not at all."""
    temporary = f".cai-{_unguessable()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(temporary, flags, 0o600, dir_fd=directory)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise


@contextlib.contextmanager
def replacing(path: str) -> Iterator[IO[bytes]]:
    """Give a file that takes a path's place when all is done, and goes where something fails.

    It is beside it, called PATH.part: what a killed process left there is used again. Raises
    ContainAIError while another writes it, NoSpaceError where there is no room.
    """
    part = f"{path}.part"
    with _room_for(path), contextlib.ExitStack() as stack:
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file = stack.enter_context(os.fdopen(os.open(part, flags, 0o644), "wb"))
        # Whoever is started with the file as its output keeps it locked.
        locks.take(file.fileno(), part, wait=0, what=f"writing {path}")
        os.ftruncate(file.fileno(), 0)
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.replace(part, path)
        except BaseException:
            remove(part)
            raise


def mode(path: str, otherwise: int) -> int:
    """Return the permissions of a file, or others where there is none."""
    try:
        return os.stat(path).st_mode & 0o7777
    except FileNotFoundError:
        return otherwise


def private_directory(path: str) -> None:
    """Make a directory that only its owner can enter, or check that it is one.

    Raises SshSetupError where somebody else owns it or it is a link: what is in there steers ssh.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    seen = os.lstat(path)
    if seen.st_uid != os.getuid() or (seen.st_mode & 0o170000) != 0o040000:
        raise not_yours(path)
    if seen.st_mode & 0o077:
        os.chmod(path, 0o700)


def not_yours(path: str) -> SshSetupError:
    """Return the error for a private directory that is somebody else's, or a link."""
    hint = f"move it away: mv {path} {path}.old"
    if (
        os.stat(os.path.dirname(path)).st_mode & stat.S_ISVTX
        and os.lstat(path).st_uid != os.getuid()
    ):
        hint = "only its owner and root can remove it. Or have a place of your own: XDG_RUNTIME_DIR"
        hint += " set to a directory of yours with a short path"
    return SshSetupError(f"{path} is not a directory of yours", hint=hint)


def remove(path: str) -> None:
    """Remove a file if it is there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def write_as_root(host: "Machine", path: str, text: str, mode: int = 0o644) -> None:
    """Write a file of the machine, whole or not at all, as root."""
    host.run(scripts.argv("host/write.sh", path, f"{mode:o}"), stdin=text, root=True)


@contextlib.contextmanager
def lock(path: str, *, wait: float, what: str) -> Iterator[None]:
    """Hold a lock of this user's own; `wait` is how long to wait for it, in seconds.

    The kernel lets go of it when the process ends, however it ends.
    """
    while True:
        handle = _opened_lock(path)
        try:
            locks.take(handle, path, wait=wait, what=what)
            # Whoever had it may have removed it: another process can have the next one of its name.
            if _is_at(handle, path):
                yield
                return
        finally:
            os.close(handle)


def _opened_lock(path: str) -> int:
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except (FileExistsError, NotADirectoryError):
        raise damaged(os.path.dirname(path), "is no directory") from None
    except IsADirectoryError:
        raise damaged(path, "is a directory, not a file") from None


def _is_at(handle: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False
