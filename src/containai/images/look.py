"""A container through which an image is looked into: nothing of it runs, it is never started."""

import contextlib
import os
from collections.abc import Iterator

from containai.engine.client import Engine
from containai.engine.container import Image
from containai.images.labels import LABEL_LOOK


@contextlib.contextmanager
def container(engine: Engine, image: Image) -> Iterator[str]:
    """Have a container of an image until the end of this: its id."""
    _sweep(engine)
    label = f"{LABEL_LOOK}={os.getpid()}"
    look = ["create", "--label", label, "--network", "none", image.id, "look"]
    made = engine.docker(*look).out.strip()
    try:
        yield made
    finally:
        engine.docker("rm", "--force", "--volumes", made, ok=(0, 1))


def _sweep(engine: Engine) -> None:
    """Remove the containers of those who were killed while they looked."""
    for each in engine.containers(f"label={LABEL_LOOK}"):
        if not _is_alive(each.label(LABEL_LOOK) or ""):
            engine.docker("rm", "--force", "--volumes", each.id, ok=(0, 1))


def _is_alive(pid: str) -> bool:
    """Whether a process may still be there; earlier versions did not say which it is."""
    try:
        os.kill(int(pid), 0)
    except PermissionError:
        return True
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    return True
