"""A program that runs beside us, and the one stream there is to it or from it."""

import contextlib
import os
import select
import threading
from collections.abc import Iterator, Sequence
from typing import IO

from containai.host.proc import Done, Programs

#: How much of what it says is wrong is kept, in bytes: nobody answers for what a box says.
_SAID = 1 << 14
#: How long it may take to end once its stream has, in seconds.
_PATIENCE = 60.0


class Piped:
    """The program, and the stream: to be written to, or read."""

    def __init__(
        self,
        programs: Programs,
        argv: Sequence[str],
        *,
        writes: bool,
        given: bytes = b"",
        env: dict[str, str] | None = None,
    ) -> None:
        """`writes` says that we write, and what it prints is lost; `given` it reads if not."""
        null, (theirs, ours) = _null(given), os.pipe()
        if not writes:
            theirs, ours = ours, theirs
        try:
            stdin, stdout = (theirs, null) if writes else (null, theirs)
            self._child = programs.begin(argv, stdin=stdin, stdout=stdout, env=env)
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
            os.close(null)
        self.stream: IO[bytes] = open(ours, "wb" if writes else "rb")  # noqa: SIM115
        self._said, self._is_over = b"", False
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self._child.stderr is not None
        # What it left behind may talk on.
        with self._child.stderr as said:
            while not self._is_over and (part := os.read(said.fileno(), 1 << 12)):
                self._said = (self._said + part)[:_SAID]

    def done(self, patience: float = _PATIENCE) -> Done:
        """Close the stream; return how the program ended, and what it said was wrong.

        One that does not end in so many seconds is ended.
        """
        with contextlib.suppress(BrokenPipeError):
            self.stream.close()
        if self._child.poll() is None:
            with open(os.pidfd_open(self._child.pid), "rb") as ending:
                select.select([ending], [], [], patience)
        self.end()
        return Done(self._child.returncode, "", self._said.decode("utf-8", "replace").strip())

    def end(self) -> None:
        """End the program if it runs."""
        with contextlib.suppress(BrokenPipeError):
            self.stream.close()
        if self._child.poll() is None:
            self._child.kill()
            self._child.wait()
        # Somebody else may still have the other end.
        self._listener.join(1)
        self._is_over = True


@contextlib.contextmanager
def piped(
    programs: Programs,
    argv: Sequence[str],
    *,
    writes: bool,
    given: bytes = b"",
    env: dict[str, str] | None = None,
) -> Iterator[Piped]:
    """Have a program run beside us, until the end of this at the latest."""
    running = Piped(programs, argv, writes=writes, given=given, env=env)
    try:
        yield running
    finally:
        running.end()


def _null(given: bytes) -> int:
    """Open what has nothing to read, or a file in memory with what is to be read."""
    if not given:
        return os.open(os.devnull, os.O_RDWR)
    fd = os.memfd_create("given")
    with open(fd, "wb", closefd=False) as file:
        file.write(given)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
