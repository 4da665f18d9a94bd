"""Bytes from descriptors to channels and back, in one thread, each as fast as it is taken.

A connection of TLS is not for two threads at once, which a read and a write would be.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Sequence

from containai.incus.channel import Channel
from containai.incus.errors import CutError, TimedOutError

#: How much may wait on one side until no more is read of the other, in bytes.
_FULL = 256 << 10
_CHUNK = 64 << 10
#: What a pipe takes at once, where poll(2) says that it takes something (pipe(7)).
_PIPE = 4096


class Sink:
    """Where what comes out of a channel goes. This one loses it."""

    def __init__(self) -> None:
        #: Whether nobody reads there any more.
        self.is_broken = False

    @property
    def waiting(self) -> int:
        """How many bytes it has not taken yet."""
        return 0

    def write(self, data: bytes) -> None:
        """Take bytes."""

    def fileno(self) -> int:
        """Return the descriptor that they go to, or -1."""
        return -1

    def flush(self) -> None:
        """Pass on what can be passed on now."""


class Kept(Sink):
    """A sink that keeps what comes, and tells somebody. What is more than its limit is an error."""

    def __init__(self, limit: int, tell: Callable[[bytes], object] = len) -> None:
        super().__init__()
        self.data = bytearray()
        self._limit, self._tell = limit, tell

    def write(self, data: bytes) -> None:
        """Take bytes. Raises OverflowError."""
        self._tell(data)
        self.data += data
        if len(self.data) > self._limit:
            raise OverflowError(f"more than {self._limit} bytes of output")


class Outlet(Sink):
    """A sink that is a descriptor, which is not made to be one that does not wait."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)
        self._waits = bytearray()

    @property
    def waiting(self) -> int:
        """How many bytes it has not taken yet."""
        return len(self._waits)

    def write(self, data: bytes) -> None:
        """Take bytes."""
        self._waits += data

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._fd

    def flush(self) -> None:
        """Pass on what it takes without waiting: poll(2) has said that it does."""
        at, takes = 0, True
        try:
            while takes and at < len(self._waits):
                at += os.write(self._fd, self._waits[at : at + _PIPE])
                takes = bool(self._poll.poll(0))
        except OSError:
            self.is_broken = True
            at = len(self._waits)
        del self._waits[:at]


#: Channels, and where what comes out of each goes.
Sinks = Sequence[tuple[Channel, Sink]]


def relay(
    to: Channel,
    sinks: Sinks,
    *,
    source: int | None = None,
    others: Sequence[Channel] = (),
    end: float | None = None,
    waits: bool = False,
) -> bool:
    """Carry bytes until all channels of `sinks` are over and passed on; then return True.

    False is for that a sink is broken: nobody reads there. `to` gets what comes from the descriptor
    `source`, and is told of its end. `others` are only kept alive. `end` is of time.monotonic. One
    that `waits` leaves the source alone until something came. Raises CutError, GarbageError,
    TimedOutError; what a sink raises.
    """
    rest = [each for each in (to, *others) if each not in [channel for channel, _ in sinks]]
    reading = None if waits else source
    while not all(each.is_over and not sink.waiting for each, sink in sinks):
        ready = any(each.is_ready for each, sink in sinks if _reads(each, sink))
        left = _left(end, ready=ready)
        seen = _seen(to, sinks, rest, reading, left)
        for each, sink in sinks:
            events = seen.get(sink.fileno(), 0)
            if events & select.POLLOUT:
                sink.flush()
            # A write of nothing would not say it.
            if sink.is_broken or events & (select.POLLERR | select.POLLHUP):
                return False
            each.flush()
            if _reads(each, sink) and (each.is_ready or seen.get(each.fileno())):
                came = each.receive()
                sink.write(came)
                reading = source if came else reading
        for each in rest:
            if not each.is_closed:
                each.flush()
                if each.is_ready or seen.get(each.fileno()):
                    _drain(each)
        if reading is not None and seen.get(reading) and not _carried(reading, to):
            source = reading = None
    return True


def _left(end: float | None, *, ready: bool) -> float | None:
    """Return how long may be waited, in milliseconds, or None for ever."""
    left = None if end is None else (end - time.monotonic()) * 1000
    if left is not None and left <= 0:
        raise TimedOutError("the command has not ended in time")
    return 0 if ready else left


def _seen(
    to: Channel,
    sinks: Sinks,
    rest: Sequence[Channel],
    source: int | None,
    left: float | None,
) -> dict[int, int]:
    """Return what poll(2) says of all that something is wanted of."""
    wanted: dict[int, int] = {}
    for each, sink in sinks:
        _want(wanted, each, reads=_reads(each, sink))
        if sink.fileno() >= 0:
            # Without an event, too: that nobody reads there is always said.
            wanted[sink.fileno()] = select.POLLOUT if sink.waiting else 0
    for each in rest:
        _want(wanted, each, reads=True)
    if source is not None and to.unsent < _FULL and not to.is_closed:
        wanted[source] = select.POLLIN
    poll = select.poll()
    for fd, events in wanted.items():
        poll.register(fd, events)
    return dict(poll.poll(left))


def _reads(each: Channel, sink: Sink) -> bool:
    """Whether more is to be read of a channel now."""
    return not each.is_over and sink.waiting < _FULL


def _want(wanted: dict[int, int], each: Channel, *, reads: bool) -> None:
    events = (select.POLLIN if reads else 0) | (select.POLLOUT if each.unsent else 0)
    if events and not each.is_closed:
        wanted[each.fileno()] = events


def _drain(each: Channel) -> None:
    """Answer pings of a channel that nothing else is read of; it may end before the others do."""
    try:
        each.receive()
    except CutError:
        each.is_closed = True


def _carried(source: int, to: Channel) -> bool:
    """Pass on what is there now; return whether there may be more."""
    try:
        data = os.read(source, _CHUNK)
    except OSError:
        data = b""
    if not data:
        to.finish()
        return False
    to.send(data)
    to.flush()
    return True
