import contextlib
import os
import socket
import ssl
import threading
import time
from typing import cast

import pytest

from containai.incus import relay as relays
from containai.incus.channel import Channel
from containai.incus.errors import TimedOutError
from containai.incus.message import Link
from containai.incus.relay import Kept, Outlet, relay


class Plain(socket.socket):
    """A socket in the place of one of TLS, with all that came of it at hand."""

    ready = 0

    def pending(self):
        return self.ready


@pytest.fixture
def pair():
    """A channel, and the other end of its connection."""
    ours, other = socket.socketpair()
    with Plain(fileno=ours.detach()) as own, other:
        yield Channel(Link(cast(ssl.SSLSocket, own))), other


@pytest.fixture
def pipe():
    """A pipe: what is read, and what is written."""
    ends = os.pipe()
    yield ends
    for fd in ends:
        with contextlib.suppress(OSError):
            os.close(fd)


def in_background(call):
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


def test_what_nobody_takes_is_not_read(pair, pipe):
    channel, other = pair
    # As if TLS had read ahead: poll(2) says nothing of that.
    channel._connection.ready = 1
    sent = 0
    outlet = Outlet(pipe[1])
    thread = in_background(lambda: relay(channel, [(channel, outlet)]))
    other.settimeout(0.5)
    with contextlib.suppress(TimeoutError):
        while sent < 64 << 20:
            sent += other.send(b"x" * 65536)
    assert outlet.waiting <= relays._FULL + (256 << 10)
    assert sent < 8 << 20
    # It goes on when somebody does.
    channel._connection.ready = 0
    other.close()
    taken = 0
    while taken < sent:
        taken += len(os.read(pipe[0], 65536))
    thread.join(20)
    assert not thread.is_alive()


def test_what_is_not_taken_is_not_read_of_the_source_either(pair, pipe):
    channel, other = pair
    sent = []

    def fill():
        with contextlib.suppress(OSError):
            while True:
                sent.append(os.write(pipe[1], b"x" * 4096))

    writer = in_background(fill)
    thread = in_background(lambda: relay(channel, [(channel, Kept(1))], source=pipe[0]))
    writer.join(0.5)
    assert sum(sent) < 8 << 20
    other.close()
    thread.join(20)
    assert not thread.is_alive()


def test_it_has_an_end(pair):
    channel, _ = pair
    with pytest.raises(TimedOutError):
        relay(channel, [(channel, Kept(1))], end=time.monotonic() + 0.05)


def test_a_reader_who_goes_is_seen_without_a_byte(pair, pipe):
    channel, _ = pair
    os.close(pipe[0])
    assert not relay(channel, [(channel, Outlet(pipe[1]))])
