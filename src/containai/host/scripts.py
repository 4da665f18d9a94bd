"""The shell scripts beside the modules: what root does in one go, as an argv for `proc.run`."""

import os

import containai

_PACKAGE = os.path.dirname(containai.__file__)


def text(name: str) -> str:
    """Return a script of the package, by its path in it ("host/write.sh")."""
    with open(os.path.join(_PACKAGE, name), encoding="utf-8") as file:
        return file.read()


def argv(name: str, *words: str) -> list[str]:
    """Return the command that runs a script of the package; it goes by its name in messages.

    Its text is handed over: root may not be able to read a user's directory (FUSE, NFS).
    """
    return ["sh", "-c", text(name), name, *words]
