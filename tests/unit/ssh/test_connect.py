import array
import os
import socket
import subprocess
import tempfile
import threading
import time
from typing import Any

import pytest

from containai.errors import ContainAIError, HostKeyError, SshConnectError
from containai.host import files
from containai.host.fake import FakeMachine
from containai.host.proc import Programs
from containai.layout import Layout
from containai.ssh import connect, dial, hosts
from harness.master import Master


def dialled(port, seconds="20", own=()):
    """Run the program as ssh does; return its code and the descriptor that it handed over.

    `own` are the bridge, address and port of a box's own way in.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        argv = connect.master_argv(Layout("/", "/h", 0), "b", "/l")
        command = next(word for word in argv if word.startswith("ProxyCommand="))
        words = command.partition("=")[2].replace("%h", "127.0.0.1").replace("%p", str(port))
        words = " ".join([words.rpartition(" ")[0], seconds, *map(str, own)])
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


def speaking(server):
    """Have a server be an sshd for one who comes, in the background."""

    def serve():
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"SSH-2.0-Fake\r\n")

    threading.Thread(target=serve, daemon=True).start()
    return server.getsockname()[1]


def peer(fd):
    with socket.socket(fileno=fd) as connection:
        assert connection.recv(20) == b"SSH-2.0-Fake\r\n"
        return connection.getpeername()[1]


def test_a_box_is_reached_at_its_own_address_and_not_by_its_published_port():
    with (
        socket.create_server(("127.0.0.1", 0)) as published,
        socket.create_server(("127.0.0.1", 0)) as server,
    ):
        port = speaking(server)
        code, fd = dialled(published.getsockname()[1], own=("lo", "127.0.0.1", port))
        assert (code, peer(fd)) == (0, port)


@pytest.mark.parametrize("bridge", ["no-such-bridge", "lo"])
def test_where_the_box_cannot_be_reached_its_published_port_is_the_way(bridge):
    # Beyond loopback there is no such address, whatever route leads to it.
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = speaking(server)
        code, fd = dialled(port, own=(bridge, "192.0.2.1", 22))
        assert (code, peer(fd)) == (0, port)


def test_while_nobody_listens_in_the_box_its_published_port_is_not_tried():
    with (
        socket.create_server(("127.0.0.1", 0)) as published,
        socket.create_server(("127.0.0.1", 0)) as server,
    ):
        port = server.getsockname()[1]
        server.close()
        assert dialled(published.getsockname()[1], "0", own=("lo", "127.0.0.1", port)) == (1, None)
        published.setblocking(False)
        with pytest.raises(BlockingIOError):
            published.accept()


def test_the_command_line_has_the_boxs_address_where_one_is_known():
    def command(address):
        argv = connect.master_argv(Layout("/", "/h", 0), "b", "/l", address)
        return next(word for word in argv if word.startswith("ProxyCommand="))

    bridge = Layout("/", "/h", 0).bridge
    assert command("10.203.0.2").endswith(f" %h %p 30 {bridge} 10.203.0.2 22")
    assert command("").endswith(" %h %p 30")


@pytest.mark.parametrize(
    ("said", "first"),
    [
        ("flags\t\t: fpu vme aes xsave", True),
        ("Features\t: fp asimd aes pmull", True),
        ("flags\t\t: fpu vme xsave", False),
        ("model name\t: aesir", False),
        (None, False),
    ],
)
def test_aes_comes_first_where_the_processor_has_it(tmp_path, monkeypatch, said, first):
    path = tmp_path / "cpuinfo"
    if said is not None:
        path.write_text(f"processor\t: 0\n{said}\n")
    monkeypatch.setattr(connect, "CPUINFO", str(path))
    wanted = ["-o", "Ciphers=^aes128-gcm@openssh.com,aes256-gcm@openssh.com"]
    assert connect.ciphers() == (wanted if first else [])
    argv = connect.master_argv(Layout("/", "/h", 0), "b", "/l")
    # As ssh itself reads it: the others stay.
    argv = [*argv[: argv.index("-E")], "-F", "/dev/null", "-G", "b"]
    argv[1:3] = []
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("ciphers "))
    assert line.startswith("ciphers aes128-gcm@openssh.com,aes256-gcm@openssh.com,") is first
    assert "chacha20-poly1305@openssh.com" in line


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


def says(host, *texts):
    """Have ssh say one text at each try; with an empty one it succeeds."""
    said, *rest = texts

    def say():
        with open(host.ran[-1][host.ran[-1].index("-E") + 1], "w", encoding="utf-8") as log:
            log.write(said)
        if rest:
            says(host, *rest)

    host.answer("ssh", code=255 if said else 0, act=say)


PASSING = [
    "kex_exchange_identification: Connection closed by remote host",
    "Connection reset by 127.0.0.1 port 2300",
    "ssh: connect to host 10.0.0.2 port 22: Connection refused",
    "ssh: connect to host 10.0.0.2 port 22: No route to host",
    "client_loop: send disconnect: Broken pipe",
    "Connection to 127.0.0.1 port 2300 timed out",
]


@pytest.mark.parametrize("said", PASSING)
def test_what_may_pass_is_tried_again(tmp_path, said, monkeypatch):
    host, looked = FakeMachine(Layout("/", str(tmp_path), os.getuid())), []
    monkeypatch.setattr(connect, "PAUSE", 0.001)
    says(host, said, said, said, "")
    connect.open_master(host, "box", lambda: looked.append(1))
    assert len(host.ran) == 4
    # While ssh ran, and before each try but the first.
    assert len(looked) == 7


def test_what_passes_too_late_is_an_error(tmp_path, monkeypatch):
    host = FakeMachine(Layout("/", str(tmp_path), os.getuid()))
    monkeypatch.setattr(connect, "PAUSE", 0.001)
    says(host, *[PASSING[0]] * 500)
    with pytest.raises(SshConnectError, match="Connection closed by remote host"):
        connect.open_master(host, "box", lambda: None, seconds=0.05)
    assert len(host.ran) > 2


@pytest.mark.parametrize(
    "said",
    [
        "agent@127.0.0.1: Permission denied (publickey).",
        "/b.conf: line 7: Bad configuration option: nonsense",
        "No ED25519 host key is known for containai-b\nHost key verification failed.",
        "Bad owner or permissions on /b.conf",
    ],
)
def test_what_does_not_pass_is_tried_once(tmp_path, said):
    host = FakeMachine(Layout("/", str(tmp_path), os.getuid()))
    says(host, said, "")
    with pytest.raises(ContainAIError):
        connect.open_master(host, "box", lambda: None)
    assert len(host.ran) == 1


def test_a_program_that_is_watched_ends_with_what_the_watch_raises():
    begun = time.monotonic()

    def watch():
        raise LookupError("the box died")

    with pytest.raises(LookupError, match="the box died"):
        Programs().run_detached(["sh", "-c", "sleep 300 & sleep 300"], watch)
    assert time.monotonic() - begun < 200


@pytest.mark.parametrize(("answer", "stands"), [(0, True), (1, False), (None, False)])
def test_a_connection_that_stands_is_one_that_answers(answer, stands):
    # A socket's path holds 107 bytes.
    with tempfile.TemporaryDirectory(prefix="cai-") as root:
        layout = Layout(root, f"{root}/home", os.getuid())
        assert not connect.stands(layout, "api")
        files.private_directory(layout.control_dir)
        master = Master(layout.control_socket("api"), lambda asked: answer)
        assert connect.stands(layout, "api") is stands
        assert [each.line for each in master.asked] == [b"exit"]
        master.close()
        assert not connect.stands(layout, "api")


def test_a_box_elsewhere_is_reached_by_what_its_block_says(layout):
    os.makedirs(layout.ssh_blocks)
    words: dict[str, Any] = {"workspace": "/w", "inode": "1:2", "forward_agent": False}
    here = hosts.host_block(layout, "here", port=2301, **words)
    there = hosts.host_block(layout, "there", proxy="/py stream", place="work", **words)
    files.write(layout.ssh_block("here"), here, 0o600)
    files.write(layout.ssh_block("there"), there, 0o600)
    for make in (
        lambda box: connect.master_argv(layout, box, "/l"),
        lambda box: connect.forwarding_argv(layout, box, "/s"),
    ):
        assert any("dial.py" in word for word in make("here"))
        assert "ServerAliveInterval=0" in make("here")
        assert not any(word.startswith(("Proxy", "ServerAlive")) for word in make("there"))
        assert "BatchMode=yes" in make("there")
