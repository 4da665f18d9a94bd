"""The two halves of an editor that works over ssh, as far as connections see them.

`SERVER` is what stands in for an editor's server in a box: it starts with the words that VS Code
gives its own, says where it listens, and answers websockets. The client's half is here.
"""

import base64
import contextlib
import os
import socket
import struct
import subprocess
from collections.abc import Iterator, Sequence

from .space import Space
from .waiting import until

#: Echoes what comes by websocket (RFC 6455), until it is killed.
SERVER = r"""#!/usr/bin/python3
import base64, hashlib, os, socketserver, struct, sys
words = dict(word.lstrip("-").partition("=")[::2] for word in sys.argv[1:])
class Answer(socketserver.StreamRequestHandler):
    def handle(self):
        head = {}
        for line in iter(self.rfile.readline, b"\r\n"):
            key, _, value = line.decode().strip().partition(": ")
            head[key.lower()] = value
        told = head["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(told.encode()).digest()).decode()
        self.wfile.write(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + "\r\n\r\n").encode())
        while head := self.rfile.read(2):
            size = head[1] & 127
            if size == 126:
                size, = struct.unpack(">H", self.rfile.read(2))
            mask = self.rfile.read(4)
            text = bytes(c ^ mask[at % 4] for at, c in enumerate(self.rfile.read(size)))
            text = b"%d %s %s" % (os.getpid(), os.getcwd().encode(), text)
            self.wfile.write(b"\x81" + (bytes([len(text)]) if len(text) < 126
                else b"\x7e" + struct.pack(">H", len(text))) + text)
socketserver.ThreadingMixIn.daemon_threads = True
if "socket-path" in words:
    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer): pass
    server, where = Server(words["socket-path"], Answer), words["socket-path"]
else:
    class Server(socketserver.ThreadingMixIn, socketserver.TCPServer): pass
    server = Server((words["host"], int(words["port"])), Answer)
    where = server.server_address[1]
print("Extension host agent listening on", where, flush=True)
server.serve_forever()
"""


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextlib.contextmanager
def connected(space: Space, *words: str, command: Sequence[str] = ()) -> Iterator[subprocess.Popen]:
    """Have plain ssh connected to a box, as an editor starts it; it is killed in the end."""
    argv = ["ssh", "-F", space.site.layout.ssh_config, *words, space.box, *command]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as ssh:
        try:
            yield ssh
        finally:
            ssh.kill()


def said(ssh: subprocess.Popen, script: str) -> dict[str, str]:
    """Send a script to a remote shell; return what it says between "start" and "end"."""
    ssh.stdin.write(f"echo go: start\n{script}\necho go: end\n".encode())
    ssh.stdin.flush()
    lines = [line.decode().rstrip() for line in iter(ssh.stdout.readline, b"go: end\n")]
    assert "go: start" in lines
    return dict(line.split("==")[:2] for line in lines if "==" in line)


def through_socks(proxy: int, port: int) -> socket.socket:
    """Return a connection to a box's loopback through a SOCKS5 proxy of the host (RFC 1928)."""

    def dialled() -> socket.socket | None:
        with contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection(("127.0.0.1", proxy))
        return None

    connection = until(dialled)
    assert connection is not None
    connection.sendall(b"\x05\x01\x00")
    assert connection.recv(2) == b"\x05\x00"
    name = b"127.0.0.1"
    connection.sendall(b"\x05\x01\x00\x03" + bytes([len(name)]) + name + struct.pack(">H", port))
    assert connection.recv(10)[1] == 0
    return connection


class WebSocket:
    """A websocket on a connection that stands."""

    def __init__(self, connection: socket.socket) -> None:
        self.file = connection.makefile("rwb")
        key = base64.b64encode(os.urandom(16)).decode()
        head = f"GET / HTTP/1.1\r\nHost: box\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        self.file.write(head.encode())
        self.file.flush()
        answer = [line.strip() for line in iter(self.file.readline, b"\r\n")]
        assert answer[0].startswith(b"HTTP/1.1 101")

    def ask(self, text: bytes) -> tuple[int, str, bytes]:
        """Send a text; return the server's process, its directory, and the text that came back."""
        size = bytes([0x80 | len(text)]) if len(text) < 126 else struct.pack(">BH", 0xFE, len(text))
        self.file.write(b"\x81" + size + bytes(4) + text)
        self.file.flush()
        length = self.file.read(2)[1]
        if length == 126:
            (length,) = struct.unpack(">H", self.file.read(2))
        pid, directory, back = self.file.read(length).split(b" ", 2)
        return int(pid), directory.decode(), back
