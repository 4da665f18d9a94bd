"""A process at a terminal of its own."""

import contextlib
import os
import pty
import select
import signal

from .site import Site
from .waiting import until


class Screen:
    """A process at a terminal of its own."""

    def __init__(self, site: Site, *argv: str, **environ: str) -> None:
        pid, self.fd = pty.fork()
        if not pid:
            os.execvpe(argv[0], argv, site.environment | environ)
        self.pid, self.seen = pid, b""

    def type(self, text: bytes) -> None:
        """Type, as its user."""
        os.write(self.fd, text)

    def read(self, seconds: float = 0.05) -> bytes:
        """Return all that was shown so far, after a moment; "" is added where that was all."""
        if select.select([self.fd], [], [], seconds)[0]:
            with contextlib.suppress(OSError):
                self.seen += os.read(self.fd, 1 << 16)
        return self.seen

    def shows(self, text: bytes) -> None:
        """Wait until it has shown a text."""
        until(lambda: text in self.read())

    def end(self) -> int:
        """Wait until it ends; return its exit code."""
        codes: list[int] = []

        def ended() -> int:
            self.read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            codes.append(os.waitstatus_to_exitcode(status))
            return pid

        until(ended)
        self.pid = 0
        self.hang_up()
        return codes[-1]

    def hang_up(self) -> None:
        """Close the terminal."""
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1

    def close(self) -> None:
        """Close the terminal, and end what is there still."""
        self.hang_up()
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
