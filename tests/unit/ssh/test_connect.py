import array
import os
import socket
import subprocess
import threading
import time

import pytest

from containai.errors import HostKeyError, SshConnectError
from containai.host.fake import FakeMachine
from containai.host.proc import Programs
from containai.layout import Layout
from containai.ssh import connect, dial


def dialled(port, seconds="20"):
    """Run the program as ssh does; return its code and the descriptor that it handed over."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        argv = connect.master_argv(Layout("/", "/h", 0), "b", "/l")
        command = next(word for word in argv if word.startswith("ProxyCommand="))
        words = command.partition("=")[2].replace("%h", "127.0.0.1").replace("%p", str(port))
        words = words.rpartition(" ")[0] + f" {seconds}"
        done = subprocess.run(["sh", "-c", f"exec {words}"], stdout=theirs.fileno(), check=False)
        ours.setblocking(False)
        try:
            _, ancillary, _, _ = ours.recvmsg(1, socket.CMSG_SPACE(4))
        except BlockingIOError:
            return done.returncode, None
        return done.returncode, array.array("i", ancillary[0][2])[0]


def test_the_connection_is_handed_over_whole_once_sshd_speaks():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            # docker-proxy, before sshd listens: it accepts and hangs up.
            server.accept()[0].close()
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"SSH-2.0-Fake\r\n")
                connection.recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        code, fd = dialled(server.getsockname()[1])
        assert code == 0
        with socket.socket(fileno=fd) as connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert os.get_blocking(fd)
            assert connection.recv(20) == b"SSH-2.0-Fake\r\n"
        thread.join()


def test_what_is_no_sshd_is_not_handed_over():
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = threading.Event()

        def serve():
            while not over.is_set():
                connection, _ = server.accept()
                with connection:
                    connection.sendall(b"HTTP/1.1 400\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert dialled(server.getsockname()[1], "0.1") == (1, None)
        over.set()
        socket.create_connection(server.getsockname()).close()
        thread.join()


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert dial.connected("127.0.0.1", port) is None
    assert dialled(port, "0") == (1, None)


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        ("proxy dialer did not pass back a connection", SshConnectError, "did not answer within"),
        ("Host key verification failed.", HostKeyError, "another host key"),
        ("agent@127.0.0.1: Permission denied (publickey).", SshConnectError, "Permission denied"),
        ("", SshConnectError, "it said nothing"),
    ],
)
def test_what_ssh_says_becomes_an_error(tmp_path, said, error, words):
    host = FakeMachine(Layout("/", str(tmp_path), os.getuid()))

    def say():
        argv = host.ran[-1]
        with open(argv[argv.index("-E") + 1], "w", encoding="utf-8") as log:
            log.write(said)
            # It has no name: were we killed now, nothing would be left.
            assert os.fstat(log.fileno()).st_nlink == 0

    host.answer("ssh", code=255, act=say)
    with pytest.raises(error, match=words):
        connect.open_master(host, "box", lambda: None)


def test_a_program_that_is_watched_ends_with_what_the_watch_raises():
    begun = time.monotonic()

    def watch():
        raise LookupError("the box died")

    with pytest.raises(LookupError, match="the box died"):
        Programs().run_detached(["sh", "-c", "sleep 300 & sleep 300"], watch)
    assert time.monotonic() - begun < 200
