"""What goes into a data volume, and comes out of it: as a tar archive, packed and unpacked inside.

The agent wrote what is there, and anybody an archive: nothing of it is looked at or followed on the
host. A container does it that has the rights of a box, that volume and no network.
"""

import contextlib
import os
from collections.abc import Callable
from typing import IO, NamedTuple, Protocol

from containai.boxes import limits, spec
from containai.engine import runtimes
from containai.engine.client import Engine, engine_error
from containai.errors import ContainAIError, EngineError
from containai.host import proc, scripts
from containai.host.background import Background
from containai.layout import DATA_IN_BOX

#: How much is handed on at once, in bytes.
CHUNK = 1 << 18


class Source(Protocol):
    """What an archive is read from."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes, none at the end."""
        ...


class Sink(Protocol):
    """What an archive is written to."""

    def write(self, content: bytes, /) -> object:
        """Take all of it."""
        ...


class Place(NamedTuple):
    """A data volume that is there, and an image of boxes, whose programs do the work."""

    volume: str
    image: str


def pour(engine: Engine, place: Place, stream: Source) -> None:
    """Unpack a tar archive in a volume, over what is there: all of it is the agent's then.

    Paths are below the home. Boxes that have the volume may be running. What reading `stream`
    raises ends it, and is raised. Raises EngineError for what is no archive, NoSpaceError.
    """
    reader, writer = _pipe()
    _run(engine, place, "pour", lambda: _fed(stream, writer), stdin_file=reader, near=writer)


def unpack(engine: Engine, place: Place, stream: Source) -> None:
    """Unpack a tar archive beside what is in a volume: owners, modes, links as it says.

    Raises as `pour` does; nothing of it stays then.
    """
    reader, writer = _pipe()
    _run(engine, place, "unpack", lambda: _fed(stream, writer), stdin_file=reader, near=writer)


def swap(engine: Engine, place: Place) -> None:
    """Have what was unpacked in the place of what is in the volume, which goes."""
    _do(engine, place, "swap")


def discard(engine: Engine, place: Place) -> None:
    """Remove what was unpacked."""
    _do(engine, place, "discard")


def _do(engine: Engine, place: Place, action: str) -> None:
    try:
        argv = engine.argv("run", *words(engine, place, action))
        engine.host.run(argv, root=engine.needs_root)
    except proc.ProcessError as failed:
        raise _error(failed, place.volume) from None


def drain(engine: Engine, place: Place, stream: Sink) -> None:
    """Pack what is in a volume into a tar archive. What writing to `stream` raises ends it.

    Boxes that have the volume may be running: a file that changes meanwhile may be in it as it
    never was.
    """
    reader, writer = _pipe()
    _run(engine, place, "drain", lambda: _drawn(reader, stream), stdout_file=writer, near=reader)


def _pipe() -> tuple[IO[bytes], IO[bytes]]:
    reader, writer = os.pipe()
    return open(reader, "rb"), open(writer, "wb")


def _fed(stream: Source, writer: IO[bytes]) -> None:
    # tar has all that it wants, or has failed, and says so.
    with contextlib.suppress(BrokenPipeError):
        while chunk := stream.read(CHUNK):
            writer.write(chunk)
        writer.flush()


def _drawn(reader: IO[bytes], stream: Sink) -> None:
    while chunk := reader.read(CHUNK):
        stream.write(chunk)


def _run(
    engine: Engine,
    place: Place,
    action: str,
    move: Callable[[], None],
    *,
    near: IO[bytes],
    stdin_file: IO[bytes] | None = None,
    stdout_file: IO[bytes] | None = None,
) -> None:
    """Run the container, and `move` what goes through its pipe; `near` is our end of that."""
    far = stdin_file or stdout_file
    assert far is not None
    name = f"containai-data-{os.getpid()}-{near.fileno()}"
    argv = engine.argv("run", "--name", name, *words(engine, place, action))

    def run() -> None:
        with far:
            engine.host.run(
                argv, stdin_file=stdin_file, stdout_file=stdout_file, root=engine.needs_root
            )

    running = Background(run)
    try:
        move()
        with contextlib.suppress(BrokenPipeError):
            near.close()
        running.result()
    except proc.ProcessError as failed:
        raise _error(failed, place.volume) from None
    except BaseException:
        # An archive that ended early is no whole one: whoever unpacks it must not see its end.
        with contextlib.suppress(ContainAIError):
            engine.docker("rm", "--force", name, ok=None)
        with contextlib.suppress(OSError, proc.ProcessError):
            near.close()
            running.result()
        raise


def _error(failed: proc.ProcessError, volume: str) -> ContainAIError:
    """Return the error for a container that failed: the engine's, or what its tar said."""
    error = engine_error(failed)
    if type(error) is not EngineError or failed.done.code not in (1, 2):
        return error
    said = "; ".join(failed.done.err.strip().splitlines()[-3:])
    return EngineError(f"the data volume {volume!r}: {said}", hint="see: cai engine logs")


def words(engine: Engine, place: Place, *arguments: str) -> list[str]:
    """Return the words of `docker run`: rights as a box has them, no network, no log."""
    fields = {"type": "volume", "source": place.volume, "target": DATA_IN_BOX}
    return [
        "--rm",
        "--interactive",
        "--runtime", runtimes.chosen(engine.layout),
        "--network", "none",
        # Else all that it writes is kept in a file of the engine's, too.
        "--log-driver", "none",
        *spec.RIGHTS,
        *limits.PROCESSES,
        "--tmpfs", "/run:exec",
        "--mount", spec.mount(**fields, **{"volume-nocopy": "true"}),
        "--user", "0",
        "--entrypoint", "sh",
        place.image,
        "-c", scripts.text("boxes/data.sh"), "data", *arguments,
    ]  # fmt: skip
