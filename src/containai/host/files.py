"""Files of this machine: written whole or not at all, and removed without following links."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

from containai.errors import ContainAIError, NoSpaceError
from containai.host import locks, scripts

if TYPE_CHECKING:
    from containai.host.machine import Machine

#: For temporary files. TMPDIR may lead into a workspace, where the agent would read a key and swap
#: a log, and where there is no such directory, Python takes the current one.
TEMPORARY = "/tmp"  # noqa: S108 - names in it are random, and opened exclusively


def read(path: str) -> str | None:
    """Return a file's text, or None where there is none."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


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


def write(path: str, text: str, mode: int = 0o644) -> None:
    """Write a file whole or not at all. A symbolic link stays one: its target is replaced.

    Raises NoSpaceError where its file system is full.
    """
    path = os.path.realpath(path)
    with _room_for(path):
        _write(path, text, mode)


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
    temporary = os.path.join(os.path.dirname(path), f".cai-{_unguessable()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(temporary, flags, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
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

    Raises ContainAIError where somebody else owns it or it is a link: what is in there steers ssh.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    seen = os.lstat(path)
    if seen.st_uid != os.getuid() or (seen.st_mode & 0o170000) != 0o040000:
        raise not_yours(path)
    if seen.st_mode & 0o077:
        os.chmod(path, 0o700)


def not_yours(path: str) -> ContainAIError:
    """Return the error for a private directory that is somebody else's, or a link."""
    hint = f"move it away: mv {path} {path}.old"
    if (
        os.stat(os.path.dirname(path)).st_mode & stat.S_ISVTX
        and os.lstat(path).st_uid != os.getuid()
    ):
        hint = "only its owner and root can remove it. Or have a place of your own: XDG_RUNTIME_DIR"
        hint += " set to a directory of yours with a short path"
    return ContainAIError(f"{path} is not a directory of yours", hint=hint)


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
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        locks.take(handle, path, wait=wait, what=what)
        yield
    finally:
        os.close(handle)
