"""What the engine hands over as files: a bundle's config.json, and the process of an exec.

They are read and written by descriptor: no link is followed, and nobody can put another directory
or file in their place between our look and runc's.
"""

import contextlib
import json
import os
import stat
from typing import Any, NoReturn

from .errors import RuntimeRefusal

#: The largest file that is read, in bytes; dockerd's have about 60 thousand.
LIMIT = 16 << 20
NAME, ORIGINAL = "config.json", "config.json.original"

_SAFE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def enter(path: str) -> str:
    """Make a bundle the current directory; return its real path.

    runc takes the current directory for the bundle where none is named: it and we then have the
    same one, whatever happens to the path. Raises RuntimeRefusal where others can write there.
    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _SAFE)
    try:
        _refuse_others(fd, path)
        os.fchdir(fd)
    finally:
        os.close(fd)
    return os.getcwd()


def caller() -> str:
    """Return the directory that we were called in; a shim is in its bundle.

    Raises RuntimeRefusal where it is gone: whoever cleans up after an earlier start of the same
    container takes it for that one's (boxes/starting.py tries again).
    """
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise RuntimeRefusal("its bundle is gone") from None


def load() -> dict[str, Any]:
    """Return the config.json of the bundle that is the current directory, as the engine wrote it.

    One that we rewrote has ids, which an engine's never has (spec.check): a second attempt on a
    bundle starts from what was there before.
    """
    written = read(NAME)
    linux = written.get("linux")
    if isinstance(linux, dict) and linux.get("uidMappings") and os.path.lexists(ORIGINAL):
        return read(ORIGINAL)
    return written


def read(path: str) -> dict[str, Any]:
    """Return a file's JSON object. Raises RuntimeRefusal, naming the file, for what is none."""
    fd = os.open(path, os.O_RDONLY | _SAFE)
    try:
        _refuse_others(fd, path)
        return parse(_bytes(fd, path), os.path.basename(path))
    finally:
        os.close(fd)


def parse(raw: bytes, name: str) -> dict[str, Any]:
    """Return the JSON object in `raw`, the content of a file of that name.

    What two readers could understand differently is refused: runc is another one.
    """

    def pairs(members: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(members)
        if len(made) != len(members):
            names = [key for key, _ in members]
            twice = next(key for key in names if names.count(key) > 1)
            raise RuntimeRefusal(f"{name}: the name {twice!r} stands twice in one object")
        return made

    def constant(text: str) -> NoReturn:
        raise RuntimeRefusal(f"{name}: {text} is not JSON")

    try:
        value = json.loads(raw.decode(), object_pairs_hook=pairs, parse_constant=constant)
    except UnicodeDecodeError as wrong:
        raise RuntimeRefusal(f"{name}: not UTF-8 at byte {wrong.start}") from None
    except RecursionError:
        raise RuntimeRefusal(f"{name}: nested too deeply") from None
    except ValueError as wrong:
        raise RuntimeRefusal(f"{name}: {wrong}") from None
    if not isinstance(value, dict):
        raise RuntimeRefusal(f"{name}: expected an object")
    return value


def store(path: str, value: dict[str, Any]) -> None:
    """Write a file of the current directory, whole or not at all."""
    temporary = f"{path}.{os.urandom(8).hex()}"
    text = _text(path, value)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFE
    try:
        with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _text(path: str, value: dict[str, Any]) -> bytes:
    try:
        return json.dumps(value, allow_nan=False).encode()
    except ValueError:
        # A number like 1e999 is read as infinity, which JSON cannot say.
        raise RuntimeRefusal(f"{os.path.basename(path)}: a number is too large") from None


def _bytes(fd: int, path: str) -> bytes:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise RuntimeRefusal(f"{path}: not a regular file")
    with os.fdopen(os.dup(fd), "rb") as file:
        raw = file.read(LIMIT + 1)
    if len(raw) > LIMIT:
        raise RuntimeRefusal(f"{path}: more than {LIMIT >> 20} MiB")
    return raw


def _refuse_others(fd: int, path: str) -> None:
    """Refuse what somebody else could change under us: it decides what root starts."""
    seen = os.fstat(fd)
    if seen.st_uid not in (0, os.geteuid()) or seen.st_mode & 0o022:
        raise RuntimeRefusal(
            f"{path}: uid {seen.st_uid} owns it and its mode is {stat.S_IMODE(seen.st_mode):o}: "
            "others than root could change it"
        )
