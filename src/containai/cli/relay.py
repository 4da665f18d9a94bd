"""A terminal for a session: ours is raw, and what it says and hears goes through here.

The session has a terminal of its own between us and the control connection, which would go on
reading ours while this process is stopped. Messages (cli/messages.py) are taken out on the way.
"""

import contextlib
import errno
import os
import select
import signal
import termios
import tty
from collections.abc import Iterator
from typing import TYPE_CHECKING

from containai.cli.messages import Messages
from containai.cli.output import printable
from containai.ssh import mux

if TYPE_CHECKING:
    from containai.cli.entering import Place

_CHUNK = 1 << 16
#: How much typed text waits for a session that does not read it.
_TYPED = 1 << 16
#: How long what may become a message is held back, in seconds.
_HELD = 0.1
_ENDING = (signal.SIGHUP, signal.SIGTERM)
_END_OF_INPUT = b"\x04"


class _EndedError(Exception):
    """A signal ends this process."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def relay(place: "Place", request: mux.Request) -> int | None:
    """Be at a terminal in a session until it ends; return its exit code, if it has one."""
    ours, theirs = os.openpty()
    try:
        terminal = _Terminal()
        terminal.describe(theirs)
        connection = mux.Connection(place.socket, request, (theirs, theirs, theirs))
        connection.begin()
        # What it was has been noted.
        tty.setraw(theirs, termios.TCSANOW)
    finally:
        os.close(theirs)
    os.set_blocking(ours, False)
    try:
        with terminal.raw():
            _Relay(place, connection, terminal, ours).run()
    except _EndedError as ended:
        connection.close()
        signal.signal(ended.number, signal.SIG_DFL)
        os.kill(os.getpid(), ended.number)
    finally:
        os.close(ours)
        connection.close()
    return connection.code


class _Terminal:
    """The terminal that this process has, if any of its streams is one."""

    def __init__(self) -> None:
        self.fd = next((fd for fd in (0, 1, 2) if os.isatty(fd)), None)
        self._modes = termios.tcgetattr(self.fd) if self.fd is not None else None

    def describe(self, other: int) -> None:
        """Have another terminal be as this one is."""
        if self._modes is not None:
            termios.tcsetattr(other, termios.TCSANOW, self._modes)
        self.resize(other)

    def resize(self, other: int) -> None:
        """Have another terminal be as large as this one is."""
        if self.fd is not None:
            with contextlib.suppress(OSError, termios.error):
                termios.tcsetwinsize(other, termios.tcgetwinsize(self.fd))

    @contextlib.contextmanager
    def raw(self) -> Iterator[None]:
        """Leave all keys to the session."""
        self.set_raw()
        try:
            yield
        finally:
            self.restore()

    def set_raw(self) -> None:
        """Leave all keys to the session, from now on."""
        # Only where somebody types: with `-t` and another stdin, the terminal is the user's own.
        if self.fd == 0:
            tty.setraw(0, termios.TCSADRAIN)

    def restore(self) -> None:
        """Be as before."""
        if self.fd == 0 and self._modes is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(0, termios.TCSADRAIN, self._modes)


class _Relay:
    """Copies both ways until the session has ended. A Caller of messages."""

    def __init__(
        self, place: "Place", connection: mux.Connection, terminal: _Terminal, ours: int
    ) -> None:
        self.layout, self.box = place.session.layout, place.session.box
        self.kept: dict[str, object] = {}
        self._place, self._connection = place, connection
        self._terminal, self._ours = terminal, ours
        self._messages = Messages(place.token, self)
        self._typed = b""
        self._reads = self._prints = True

    def run(self) -> None:
        """Copy; raises _EndedError where a signal ends this process."""
        with self._signals() as woken:
            while True:
                reading: list[mux.Connection | int] = [
                    self._connection,
                    woken,
                    *([self._ours] if self._prints else []),
                ]
                if self._reads and len(self._typed) < _TYPED:
                    reading.append(0)
                writing = [self._ours] if self._typed else []
                wait = _HELD if self._messages.held else None
                ready, writable, _ = select.select(reading, writing, [], wait)
                if not ready and not writable:
                    _write(self._messages.release())
                if woken in ready:
                    self._signalled(os.read(woken, 512))
                if 0 in ready:
                    self._type()
                if writable:
                    self._typed = self._typed[os.write(self._ours, self._typed) :]
                if self._ours in ready:
                    self._print()
                if self._connection in ready and not self._connection.take():
                    break
            while self._print():
                pass
            _write(self._messages.release())

    def suspend(self) -> None:
        """Be stopped, with all of our job as by Ctrl-Z; then have the command go on.

        Nobody could start us again where our process group is orphaned: the kernel knows.
        """
        self._terminal.restore()
        before = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.killpg(0, signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, before)
        self._continue()
        self._place.signal("CONT")

    def say(self, text: str) -> None:
        """Show lines of text; nothing in them steers the terminal."""
        _write(printable(text, lines=True).replace("\n", "\r\n").encode())

    def _continue(self) -> None:
        self._terminal.set_raw()
        self._resize()

    def _resize(self) -> None:
        self._terminal.resize(self._ours)
        if self._connection.master:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self._connection.master, signal.SIGWINCH)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[int]:
        """Have signals wake the relay, by a descriptor that has their numbers."""
        woken, wakes = os.pipe()
        os.set_blocking(wakes, False)
        taken = [signal.SIGWINCH, signal.SIGCONT, *_ENDING]
        taken = [each for each in taken if signal.getsignal(each) != signal.SIG_IGN]
        before = [(each, signal.signal(each, _noted)) for each in taken]
        old = signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
        try:
            yield woken
        finally:
            signal.set_wakeup_fd(old)
            for each, handler in before:
                signal.signal(each, handler)
            os.close(woken)
            os.close(wakes)

    def _signalled(self, numbers: bytes) -> None:
        for number in numbers:
            if number in _ENDING:
                raise _EndedError(number)
        if signal.SIGCONT in numbers:
            self._continue()
        elif signal.SIGWINCH in numbers:
            self._resize()

    def _type(self) -> None:
        got = _read(0)
        if got:
            self._typed += got
        elif self._terminal.fd == 0:
            # The terminal is gone.
            raise _EndedError(signal.SIGHUP)
        else:
            self._reads = False
            self._typed += _END_OF_INPUT

    def _print(self) -> bool:
        try:
            got = os.read(self._ours, _CHUNK)
        except BlockingIOError:
            return False
        except OSError as wrong:
            if wrong.errno != errno.EIO:
                raise
            # Nobody has the other side any more.
            self._prints = False
            return False
        self._messages.printed(got, _write)
        return True


def _noted(number: int, _: object) -> None:
    pass


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, _CHUNK)
    except OSError as wrong:
        if wrong.errno != errno.EIO:
            raise
        return b""


def _write(text: bytes) -> None:
    left = memoryview(text)
    while left:
        try:
            left = left[os.write(1, left) :]
        except BlockingIOError:
            select.select([], [1], [])
