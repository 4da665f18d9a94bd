"""What listens on a published port, run as dockerd runs it."""

import contextlib
import fcntl
import os
import random
import signal
import socket
import subprocess
import sys
import threading

import pytest

from containai.runtime import published

STARTED = (
    "import sys; from containai.runtime.published import main; "
    "sys.dont_write_bytecode = True; main(sys.argv[1:])"
)


def arguments(port, inside, **other):
    options = {
        "proto": "tcp",
        "host-ip": "127.0.0.1",
        "host-port": str(port),
        "container-ip": "127.0.0.1",
        "container-port": str(inside),
    } | other
    return [word for key, value in options.items() for word in (f"-{key}", value)]


@contextlib.contextmanager
def proxy(port, inside, given=None, **other):
    """Start it, give it and what it says of its start; end it."""
    out, into = os.pipe()
    words = [*arguments(port, inside, **other), *([published.GIVEN_OPTION] if given else [])]

    def inherit():
        # What dockerd hands over has these numbers, which may be those of what is handed over here.
        handed = [(into, published.STATUS)]
        handed += [(given.fileno(), published.GIVEN)] if given else []
        spare = [(fcntl.fcntl(fd, fcntl.F_DUPFD, 100), wanted) for fd, wanted in handed]
        for fd, wanted in spare:
            os.dup2(fd, wanted)
            os.close(fd)

    argv = [sys.executable, "-c", STARTED, *words]
    process = subprocess.Popen(argv, preexec_fn=inherit, close_fds=False)
    os.close(into)
    try:
        with open(out, encoding="utf-8") as status:
            yield process, status.read()
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        yield listener


def number(listener):
    return listener.getsockname()[1]


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return number(unused)


def connection(port):
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def everything(source):
    return b"".join(iter(lambda: source.recv(1 << 16), b""))


def test_what_is_said_arrives_both_ways_and_so_does_its_end(server, port):
    said = random.Random(7).randbytes(3 << 20)
    heard = []
    with proxy(port, number(server)) as (_, status):
        assert status == "0\n"
        with connection(port) as client:
            box, _ = server.accept()

            def answer():
                with box:
                    heard.append(everything(box))
                    box.sendall(said[::-1])

            thread = threading.Thread(target=answer)
            thread.start()
            client.sendall(said)
            # One way is at its end, the other is not.
            client.shutdown(socket.SHUT_WR)
            assert everything(client) == said[::-1]
            thread.join()
    assert heard == [said]


def test_a_connection_that_breaks_off_takes_the_other_along(server, port):
    with proxy(port, number(server)), connection(port) as client:
        box, _ = server.accept()
        # It is reset and not only at its end.
        box.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        box.close()
        assert client.recv(1) == b""


def test_where_nobody_listens_inside_a_connection_ends(server, port):
    inside = number(server)
    server.close()
    with proxy(port, inside), connection(port) as client:
        assert client.recv(1) == b""


def test_once_dockerd_has_ended_the_port_is_free_and_connections_go_on(server, port):
    with proxy(port, number(server)) as (first, _), connection(port) as client:
        box, _ = server.accept()
        first.send_signal(signal.SIGTERM)
        # dockerd's successor starts one for the same port.
        with proxy(port, number(server)) as (_, status):
            assert status == "0\n"
            with connection(port):
                server.accept()[0].close()
            with box:
                client.sendall(b"to")
                assert box.recv(2) == b"to"
                box.sendall(b"fro")
                assert client.recv(3) == b"fro"
                assert first.poll() is None
        # With the last of them it ends.
        client.close()
        assert first.wait(60) == 0


def test_without_connections_it_ends_with_dockerd(server, port):
    with proxy(port, number(server)) as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_a_port_that_is_taken_back_ends_at_once(server, port):
    with proxy(port, number(server)) as (process, _), connection(port) as client:
        box, _ = server.accept()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert client.recv(1) == b""
        box.close()


def test_a_port_that_somebody_has_is_said_as_dockers_own_does(server):
    with proxy(number(server), 1) as (process, status):
        why = f"listen tcp 127.0.0.1:{number(server)}: bind: address already in use"
        assert (status, process.wait(60)) == (f"1\n{why}", 1)


def test_a_socket_that_dockerd_has_is_used(server):
    # Docker 28 and newer.
    with socket.create_server(("127.0.0.1", 0)) as given:
        port = number(given)
        with proxy(port, number(server), given) as (process, status):
            given.close()
            assert status == "0\n"
            with connection(port), server.accept()[0]:
                process.send_signal(signal.SIGTERM)
                # Nobody listens any more.
                with socket.socket() as successor:
                    successor.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    while True:
                        with contextlib.suppress(OSError):
                            successor.bind(("127.0.0.1", port))
                            successor.listen()
                            break


def test_ipv6_is_a_host_address_as_well(server, port):
    with (
        proxy(port, number(server), **{"host-ip": "::1"}),
        socket.create_connection(("::1", port)) as client,
    ):
        server.accept()[0].close()
        assert client.recv(1) == b""


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["-version"],
        arguments(1, 2, proto="udp"),
        arguments(1, 2, proto="sctp"),
        arguments("x", 2),
        arguments("-1", 2),
        arguments(1, 2)[:-1],
        arguments(1, 2)[2:],
        [*arguments(1, 2), "-new", "x"],
        [*arguments(1, 2), "-new"],
        [*arguments(1, 2), "-use-listen-fd=false"],
        [*arguments(1, 2)[2:], "-proto"],
    ],
)
def test_what_it_does_not_know_is_dockers_own_to_do(words):
    assert published.asked(words) is None


def test_dockers_own_program_is_the_one_beside_dockerd(tmp_path, monkeypatch):
    beside = tmp_path / "docker-proxy"
    monkeypatch.setattr(os, "readlink", lambda path: str(tmp_path / "dockerd"))
    monkeypatch.setattr(os, "access", lambda path, mode: path == "/usr/sbin/docker-proxy")
    assert published.docker_proxy() == "/usr/sbin/docker-proxy"
    monkeypatch.setattr(os, "access", lambda path, mode: True)
    assert published.docker_proxy() == str(beside)


def test_it_imports_nothing_that_it_would_keep_for_nothing():
    code = "import sys; from containai.runtime import published; print(*sys.modules)"
    argv = [sys.executable, "-IS", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert not {"re", "enum", "typing", "socket", "signal", "threading"} & {*done.stdout.split()}
