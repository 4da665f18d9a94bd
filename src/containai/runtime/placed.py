"""Files that a container is given before it first runs: a host key, whom its sshd lets in.

`cai` leaves them, a file a container, in a directory that only root and the engine's users may
write. Those may have the engine do the same (`docker cp`), which takes 50 ms more: Docker up to 23
starts dockerd's whole program anew for it. Here they are written as the container's root would do
it, into its root file system, which nobody else has as yet.
"""

import contextlib
import os
import stat

from . import bundle, syscalls
from .errors import RuntimeRefusal

#: What a container may be given, in bytes.
LIMIT = 1 << 20
#: path below the root directory → (text, mode)
Files = dict[str, tuple[str, int]]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def apply(directory: str, container: str, root: str, owner: int) -> None:
    """Put what a container is given below `root`, as its root, and take it out of the directory.

    `owner` is the id of the host that the container's root is. Raises RuntimeRefusal for what is
    not as `cai` leaves it, and OSError where the image has something else in the way.
    """
    path = os.path.join(directory, container)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise RuntimeRefusal(f"{path}: not a regular file")
        raw = file.read(LIMIT + 1)
    files = parse(raw, path)
    syscalls.set_fs_ids(owner, owner)
    try:
        write(root, files)
    finally:
        syscalls.set_fs_ids(0, 0)
    os.unlink(path)


def parse(raw: bytes, name: str) -> Files:
    """Return the files that a JSON object names, path → [text, mode]."""
    if len(raw) > LIMIT:
        raise RuntimeRefusal(f"{name}: more than {LIMIT >> 10} KiB")
    files: Files = {}
    for path, said in bundle.parse(raw, name).items():
        match said:
            case [str(text), int(mode)] if _is_plain(path) and 0 <= mode <= 0o777:
                files[path] = (text, mode)
            case _:
                raise RuntimeRefusal(f"{name}: {path!r} is not given as [text, mode]")
    return files


def _is_plain(path: str) -> bool:
    """Whether a path leads down from the root directory and nowhere else."""
    return not {"", ".", ".."}.intersection(path.split("/")) and "\0" not in path


def write(root: str, files: Files) -> None:
    """Write files, and the directories that they need, below `root`. No link is followed."""
    for path, (text, mode) in files.items():
        *above, name = path.split("/")
        with contextlib.ExitStack() as opened:
            fd = os.open(root, _DIRECTORY)
            opened.callback(os.close, fd)
            for each in above:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(each, 0o755, dir_fd=fd)
                fd = os.open(each, _DIRECTORY, dir_fd=fd)
                opened.callback(os.close, fd)
            _write(fd, name, text, mode)


def _write(directory: int, name: str, text: str, mode: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, mode, dir_fd=directory), "wb") as file:
        # Whatever the umask is.
        os.fchmod(file.fileno(), mode)
        file.write(text.encode())
