"""A registry on loopback, and a server in front of it that does what bad ones do."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from .waiting import until

_CONFIG = """\
version: 0.1
log: {{level: error}}
storage:
  filesystem: {{rootdirectory: {data}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


class Answer(NamedTuple):
    """An answer of a registry. Where `cut` is, the connection ends after so many bytes of body."""

    status: int
    headers: dict[str, str]
    body: bytes
    cut: int | None = None


#: What becomes of an answer to a request: its path, what was asked for with Range, the answer.
Change = Callable[[str, str, Answer], Answer]


class Front:
    """A server in front of a registry; `requests` are the paths and ranges it was asked for."""

    def __init__(self, port: int, registry: int) -> None:
        self.port, self.registry = port, registry
        self.requests: list[tuple[str, str]] = []
        self.change: Change = lambda path, wanted, answer: answer

    def answer(self, method: str, path: str, headers: dict[str, str]) -> Answer:
        """Return the registry's answer, or what becomes of it."""
        self.requests.append((path, headers.get("Range", "")))
        upstream = http.client.HTTPConnection("127.0.0.1", self.registry)
        with contextlib.closing(upstream):
            upstream.request(method, path, headers=headers)
            got = upstream.getresponse()
            answer = Answer(got.status, dict(got.getheaders()), got.read())
        return self.change(path, headers.get("Range", ""), answer)


@contextlib.contextmanager
def registry(directory: str) -> Iterator[int]:
    """Run Debian's docker-registry with its data in a directory; give its port."""
    port = _free_port()
    config = os.path.join(directory, "registry.yml")
    with open(config, "w", encoding="utf-8") as file:
        file.write(_CONFIG.format(data=os.path.join(directory, "data"), port=port))
    child = subprocess.Popen(
        ["docker-registry", "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: _answers(port), 30)
        yield port
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait()


@contextlib.contextmanager
def front(registry: int) -> Iterator[Front]:
    """Run a server in front of a registry."""
    made = Front(0, registry)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            kept = ("Accept", "Range", "User-Agent")
            # A client says what it accepts in several lines, in any order: all of them count.
            given = {key: self.headers.get_all(key) or [] for key in kept}
            headers = {key: ", ".join(values) for key, values in given.items() if values}
            answer = made.answer(self.command, self.path, headers)
            self.send_response(answer.status)
            answer.headers.setdefault("Content-Length", str(len(answer.body)))
            for key, value in answer.headers.items():
                if key not in ("Date", "Server"):
                    self.send_header(key, value)
            self.end_headers()
            self.wfile.write(answer.body[: answer.cut] if self.command == "GET" else b"")
            if answer.cut is not None:
                self.wfile.flush()
                self.close_connection = True
                with contextlib.suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)

        do_HEAD = do_GET  # noqa: N815 - as the server calls it

        def log_message(self, *words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield made
        server.shutdown()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port: int = bound.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
