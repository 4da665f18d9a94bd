"""Room on a disk: how much each thing takes, and the refusal where there is less."""

from typing import TYPE_CHECKING

from containai.errors import NoSpaceError

if TYPE_CHECKING:
    from containai.host.machine import Machine

#: What building an image writes at most before its layers are cleaned, in bytes.
FOR_IMAGE = 4 << 30
#: What an engine and its packages take, before there is an image, in bytes.
FOR_PROGRAMS = 1 << 30
#: What a machine that is set up needs to stay usable, in bytes.
TO_WORK = 256 << 20


def require(
    host: "Machine", path: str, needed: int, what: str = "", *, hint: str = "free some space there"
) -> int:
    """Return how many bytes are free at a path. Raises NoSpaceError for less than `needed`.

    `what` says what they are needed for.
    """
    free = host.free_bytes(path)
    if free < needed:
        purpose = f" for {what}" if what else ""
        raise NoSpaceError(
            f"{path} has {free >> 20} MiB left, {needed >> 20} are needed{purpose}", hint=hint
        )
    return free
