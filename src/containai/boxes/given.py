"""What a box is given before its first boot: nothing of it is ever trusted from the network."""

import contextlib
import json
import os

from containai.engine.client import Engine
from containai.layout import Layout

#: path below the root directory → (text, mode)
Files = dict[str, tuple[str, int]]


def give(engine: Engine, container: str, files: Files) -> None:
    """Have a container that has never run get files of root's. Raises as `Engine.docker` does.

    Our runtimes take them where this user may leave them (runtime/placed.py); else the engine does.
    """
    if _leave(engine.layout, container, json.dumps(files).encode()):
        return
    # tarfile's import would be a tenth of a cold start's.
    from containai.boxes import archives

    engine.copy_in(container, archives.tar(files))


def forget(layout: Layout, container: str) -> None:
    """Take away what is left for a container that never ran."""
    with contextlib.suppress(OSError):
        os.unlink(_path(layout, container))


def _leave(layout: Layout, container: str, content: bytes) -> bool:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(_path(layout, container), flags, 0o600)
    except OSError:
        # Of another group than the engine's, or the engine runs since an earlier version.
        return False
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
    except OSError:
        forget(layout, container)
        return False
    return True


def _path(layout: Layout, container: str) -> str:
    return os.path.join(layout.engine_given, container)
