"""The host name of a box that was a spare, in the two files that have the spare's.

Docker writes both anew at each start, in a directory of the host's root, and binds them into the
container, whose root may change what is in them, and nothing else.
"""

import os
import stat

#: More than Docker writes, in bytes.
_LIMIT = 1 << 16


def directory(engine_data: str, container: str) -> str:
    """Return where Docker has the files of a container."""
    return os.path.join(engine_data, "containers", container)


def tell(files: str, name: str) -> None:
    """Have `hostname` and `hosts` in a directory say that name in place of the one in them."""
    hostname, hosts = os.path.join(files, "hostname"), os.path.join(files, "hosts")
    before = "\t" + _read(hostname).strip()
    lines = _read(hosts).splitlines()
    _write(hostname, f"{name}\n")
    lines = [
        f"{line.removesuffix(before)}\t{name}" if line.endswith(before) else line for line in lines
    ]
    _write(hosts, "".join(f"{line}\n" for line in lines))


def _opened(path: str, flags: int) -> int:
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(f"{path}: not a regular file")
    return fd


def _read(path: str) -> str:
    with open(_opened(path, os.O_RDONLY), "rb") as file:
        return file.read(_LIMIT).decode(errors="replace")


def _write(path: str, text: str) -> None:
    # In place: what is bound in the container is this file.
    with open(_opened(path, os.O_WRONLY | os.O_TRUNC), "wb") as file:
        file.write(text.encode())
