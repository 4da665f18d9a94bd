"""Name servers are asked; what they answer counts only where it is an answer."""

import socket
import threading

import pytest

from containai.host import names


def test_who_is_asked():
    text = (
        "# nameserver 1.2.3.4\nsearch example\nnameserver 5.6.7.8 x\nnameserver\nnameserver ::1\n"
    )
    assert names.servers(text) == ["5.6.7.8", "::1"]


@pytest.fixture
def serve():
    """Have a server on loopback that answers a question as a function of it says; give its port."""
    started = []

    def start(answer):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("127.0.0.1", 0))

        def run():
            try:
                asked, who = server.recvfrom(512)
            except OSError:
                return
            for each in answer(asked):
                server.sendto(each, who)

        thread = threading.Thread(target=run)
        thread.start()
        started.append((server, thread))
        return server.getsockname()[1]

    yield start
    for server, thread in started:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", server.getsockname())
        thread.join()
        server.close()


def refused(asked):
    return asked[:2] + b"\x81\x85" + asked[4:]


@pytest.mark.parametrize(
    ("answer", "heard"),
    [
        (lambda asked: [refused(asked)], True),
        (lambda asked: [b"", b"x", refused(b"no" + asked[2:]), refused(asked)], True),
        (lambda asked: [b"", asked, refused(b"no" + asked[2:])], False),
        (lambda asked: [], False),
    ],
    ids=["refuses", "late", "echoes", "nothing"],
)
def test_an_answer_is_one_to_the_question(serve, answer, heard):
    port = serve(answer)
    assert names.silent(["127.0.0.1"], 5 if heard else 0.2, port) == (
        [] if heard else ["127.0.0.1"]
    )


def test_nobody_is_there_and_what_is_no_address():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    odd = ["127.0.0.1", "a.name", "fe80::1%none", ""]
    assert names.silent(odd, 5, port) == odd
    assert names.silent([], 5) == []
