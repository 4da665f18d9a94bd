"""What sysbox-mgr is told, byte by byte: a gRPC server of Go's took it (0.7.1)."""

import socket
import struct
import threading

import pytest

from containai.runtime import manager
from harness.waiting import until

CONTAINER = "94edf1b7ae60" * 5 + "abcd"
SETTINGS = b"\0\0\0\x04\0\0\0\0\0"
ACKNOWLEDGED = b"\0\0\0\x04\x01\0\0\0\0"
#: The last frame of an answer: trailers of stream 1.
END = b"\0\0\x01\x01\x05\0\0\0\x01\x88"
REFUSED = b"\0\0\x08\x07\0\0\0\0\0" + bytes(8)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Have a sysbox-mgr that answers so; return what it was sent."""
    path = str(tmp_path / "sock")
    monkeypatch.setattr(manager, "SOCKET", path)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    got = bytearray()

    def serve(answer):
        connection, _ = listener.accept()
        with connection:
            connection.sendall(answer)
            while said := connection.recv(4096):
                got.extend(said)

    threads = []

    def answering(answer):
        threads.append(threading.Thread(target=serve, args=(answer,)))
        threads[0].start()
        return got

    yield answering
    for thread in threads:
        thread.join()
    listener.close()


def test_the_request_names_the_container():
    sent = manager.request(CONTAINER)
    assert sent.startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SETTINGS)
    frames, at = [], len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    while at < len(sent):
        length = int.from_bytes(sent[at : at + 3], "big")
        kind, flags, stream = struct.unpack(">BBI", sent[at + 3 : at + 9])
        frames.append((kind, flags, stream, sent[at + 9 : at + 9 + length]))
        at += 9 + length
    assert [frame[:3] for frame in frames] == [(4, 0, 0), (1, 4, 1), (0, 1, 1)]
    # RFC 7541, appendix A: 3 is POST, 6 is http, 4 a path, 1 an authority, 31 a content type.
    path = b"/protobuf.sysboxMgrStateChannel/Unregister"
    assert frames[1][3] == (
        b"\x83\x86\x04" + bytes([len(path)]) + path + b"\x01\x09localhost"
        b"\x0f\x10\x10application/grpc\x00\x02te\x08trailers"
    )
    assert frames[2][3] == b"\0\0\0\0\x42\x0a\x40" + CONTAINER.encode()


@pytest.mark.parametrize("answer", [SETTINGS + END, END, REFUSED, b"", b"\0", b"\xff" * 20])
def test_any_answer_ends_it(server, answer, monkeypatch):
    monkeypatch.setattr(manager, "PATIENCE", 0.2)
    got = server(answer)
    manager.forget(CONTAINER, "/none")
    # Who is asked reads in a thread of its own.
    wanted = manager.request(CONTAINER)
    until(lambda: len(got) >= len(wanted))
    assert wanted == bytes(got).removesuffix(ACKNOWLEDGED)


def test_nobody_is_asked_where_it_does_not_run_or_the_container_does(tmp_path, monkeypatch):
    monkeypatch.setattr(manager, "SOCKET", str(tmp_path / "sock"))
    manager.forget(CONTAINER, "/none")
    asked = []
    monkeypatch.setattr(manager, "request", asked.append)
    (tmp_path / CONTAINER).mkdir()
    (tmp_path / CONTAINER / "state.json").touch()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(manager.SOCKET)
        listener.listen()
        manager.forget(CONTAINER, str(tmp_path))
    assert asked == []
