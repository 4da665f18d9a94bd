import random
import threading

import pytest

from containai.incus import websocket
from containai.incus.errors import CutError, GarbageError, IncusError
from containai.incus.message import Link
from containai.incus.websocket import BINARY, CONTINUED, PING, TEXT, Decoder, Frame
from harness.incus_exec import CLOSE, PONG, Stream, frame
from harness.incus_server import Fault
from harness.waiting import until


def bytes_of(frames):
    return b"".join(each.payload for each in frames if each.kind == BINARY)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 70001])
def test_ours_are_as_they_are_read(size):
    # As of a client: with a mask, which the decoder of a client refuses.
    payload = bytes(i % 251 for i in range(size))
    raw = bytearray(websocket.encoded(BINARY, payload))
    from harness.incus_exec import _first

    assert _first(raw) == (BINARY, payload)
    assert not raw
    assert websocket.encoded(BINARY, payload)[:2] == websocket.encoded(BINARY, payload)[:2]
    if size > 125:
        assert websocket.encoded(BINARY, payload) != websocket.encoded(BINARY, payload)


@pytest.mark.parametrize("seed", range(20))
def test_frames_come_in_any_parts(seed):
    chance = random.Random(seed)
    whole, raw = b"", b""
    for _ in range(30):
        payload = bytes(chance.randrange(256) for _ in range(chance.choice([0, 3, 125, 126, 900])))
        whole += payload
        if chance.random() < 0.5:
            raw += frame(BINARY, payload)
            continue
        # One that is in fragments, with a ping between them.
        cut = chance.randrange(len(payload) + 1)
        raw += frame(BINARY, payload[:cut], last=False) + frame(PING, b"x")
        raw += frame(CONTINUED, payload[cut:])
    decoder, frames = Decoder(), []
    while raw:
        size = chance.randrange(1, 400)
        frames += decoder.feed(raw[:size])
        raw = raw[size:]
    assert bytes_of(frames) == whole


def test_the_end_is_a_text_frame():
    frames = Decoder().feed(frame(BINARY, b"a") + frame(TEXT))
    assert frames[-1] == Frame(TEXT, b"")
    assert Decoder().feed(frame(TEXT, b"x"))[0].kind == TEXT


def test_a_large_frame_is_passed_on_as_it_comes():
    decoder, raw = Decoder(), frame(BINARY, b"a" * 1_000_000)
    assert len(bytes_of(decoder.feed(raw[:5000]))) > 4900


@pytest.mark.parametrize(
    "raw",
    [
        frame(BINARY, b"a", masked=True),
        frame(BINARY | 0x40, b"a"),
        frame(3, b"a"),
        frame(11, b"a"),
        frame(CONTINUED, b"a"),
        frame(BINARY, b"a", last=False) + frame(BINARY, b"b"),
        frame(PING, b"a", last=False),
        frame(PING, b"a" * 126),
        b"\x82\x7f" + (1 << 40).to_bytes(8),
        b"\x82\x7f" + (1 << 63).to_bytes(8),
    ],
)
def test_what_is_no_frame(raw):
    with pytest.raises(GarbageError, match="a frame of the server's websocket"):
        Decoder().feed(raw)


@pytest.fixture
def stream(server, incus):
    """A websocket of ours, and its other end."""
    other = Stream()
    server.execs.stream = lambda secret: other if secret == "x" else None
    made = websocket.connect(
        incus.dialler, incus.target("/operations/o/websocket", {"secret": "x"})
    )
    yield made, other
    made.close()
    other.end()


def received(channel):
    """Return all that comes until a channel is over."""
    whole = b""
    while not channel.is_over:
        part = channel.receive()
        whole += part
        channel.flush()
        if not part:
            threading.Event().wait(0.005)
    return whole


def test_bytes_go_both_ways(stream):
    own, other = stream
    own.send(b"a" * 200_000)
    own.finish()
    until(lambda: own.flush() or not own.unsent, 20)
    assert other.read_all() == b"a" * 200_000
    other.say(b"b" * 100_000)
    other.over()
    assert received(own) == b"b" * 100_000


def test_a_ping_is_answered(stream):
    own, other = stream
    other.raw(frame(PING, b"here"))
    other.over()
    assert received(own) == b""
    assert other.came.get(timeout=20) == (PONG, b"here")


@pytest.mark.parametrize("end", ["over", "close"])
def test_after_the_end_nothing_is_lost(stream, end):
    own, other = stream
    other.raw(frame(BINARY, b"all") + (frame(TEXT) if end == "over" else frame(CLOSE)))
    other.end()
    assert received(own) == b"all"


def test_a_stream_that_breaks_is_not_one_that_ends(stream):
    own, other = stream
    other.say(b"some")
    other.end()
    with pytest.raises(CutError):
        received(own)


def test_who_has_no_right_to_it(server, incus):
    with pytest.raises(IncusError, match="not found"):
        websocket.connect(incus.dialler, incus.target("/operations/o/websocket"))


@pytest.mark.parametrize(
    "text",
    [
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        "HTTP/1.1 101 S\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
def test_what_is_no_websocket(server, incus, text):
    server.faults["*"] = Fault("raw", text=text)
    with pytest.raises(GarbageError):
        websocket.connect(incus.dialler, incus.target("/operations/o/websocket"))


def test_a_link_that_is_closed_is_stale(incus, server):
    link = Link(incus.dialler.connect())
    assert not link.is_stale()
    link.connection.close()
    assert link.is_stale()
