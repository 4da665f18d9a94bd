"""A server that answers as Incus does, on loopback, and one that fails in every way that one may.

What it answers is in tables; a `Fault` beside a path says what happens instead.
"""

import base64
import contextlib
import hashlib
import json
import os
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from containai.incus.exec import WAITING

from .incus_exec import Execs, Operation

#: How long a second is of which a client wants to wait for an operation.
SECOND = 0.05
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Fault(NamedTuple):
    """What goes wrong with a request: a kind, and what belongs to it.

    "status": an error of that code and text; "slow": it waits for so many seconds; "before", "mid":
    the connection ends before the answer, or in its middle; "after": after it; "garbage", "raw":
    that instead of JSON, or of HTTP; "huge": so many bytes; "redirect": elsewhere; "trickle": a
    byte each so many milliseconds.
    """

    kind: str
    code: int = 0
    text: str = ""
    #: How often, before all is right again.
    times: int = 1 << 30


class Asked(NamedTuple):
    """A request: what for, and with what."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        """The body's JSON."""
        return json.loads(self.body)


class Refused(Exception):  # noqa: N818 - what a handler answers
    """An error of a code and a text."""


#: What a handler of the tests' own gets and returns: a value, an Operation, or raises Refused.
Handler = Callable[[Asked], Any]


class FakeIncus:
    """What the server knows. `handlers` are by method and path: `GET /1.0/instances`."""

    def __init__(self, certificate: tuple[str, str]) -> None:
        self.port = 0
        #: The fingerprint of the client's own certificate, where a test has one.
        self.own = ""
        self.handlers: dict[str, Handler] = {}
        self.faults: dict[str, Fault] = {}
        self.asked: list[Asked] = []
        self.connections = 0
        self.operations: dict[str, Operation] = {}
        #: Fingerprints of clients that are trusted, and tokens that have not been redeemed.
        self.trusted: set[str] = set()
        self.tokens: set[str] = set()
        #: Files with certificates of those who may connect: TLS of Python lets nobody else in.
        self.clients: list[str] = []
        self.projects: dict[str, dict] = {"boxes": {"restricted": "true"}}
        self.about = {"server": "incus", "server_version": "7.0.2", "server_name": "node1"}
        self.extensions = ["instance_port_forward"]
        #: Whether waits fail as until 6.0.5.
        self.is_old = False
        self.execs = Execs()
        #: What a forwarded port does with its connection; None is for that there is no such thing.
        self.forward: Callable[[ssl.SSLSocket], None] | None = None
        #: Its end: nothing waits any longer, and no connection is left.
        self.ended = threading.Event()
        self.connected: set[ssl.SSLSocket] = set()
        self.show(certificate)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"https://127.0.0.1:{self.port}"

    def show(self, certificate: tuple[str, str]) -> None:
        """Show another certificate from now on: paths of one, and of its key."""
        self.certificate = certificate
        with open(certificate[0], encoding="ascii") as file:
            self.pin = hashlib.sha256(ssl.PEM_cert_to_DER_cert(file.read())).hexdigest()

    def end(self) -> None:
        """Have whoever serves a connection end with it."""
        self.ended.set()
        self.execs.end()
        for connection in tuple(self.connected):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def token(self, **changes: Any) -> str:
        """Return a new token."""
        secret = os.urandom(32).hex()
        said = {
            "client_name": "alice", "fingerprint": self.pin,
            "addresses": [f"127.0.0.1:{self.port}"], "secret": secret,
            "expires_at": "0001-01-01T00:00:00Z",
        } | changes  # fmt: skip
        text = base64.b64encode(json.dumps(said).encode()).decode()
        self.tokens.add(text)
        return text

    def context(self) -> ssl.SSLContext:
        """Return what the next connection is secured with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.certificate)
        context.verify_mode = ssl.CERT_OPTIONAL
        for path in self.clients:
            with contextlib.suppress(OSError):
                context.load_verify_locations(path)
        return context

    def fault(self, method: str, path: str) -> Fault | None:
        """Return what goes wrong with a request, once less from now on."""
        for key in (f"{method} {path}", "*"):
            found = self.faults.get(key)
            if found and found.times > 0:
                self.faults[key] = found._replace(times=found.times - 1)
                return found
        return None

    def answer(self, asked: Asked, client: str) -> Any:
        """Return what is answered: a value, an operation. Raises Refused."""
        own = self.handlers.get(f"{asked.method} {asked.path}")
        if asked.path == "/1.0" and own is None:
            return self._about(client)
        if (asked.method, asked.path) == ("POST", "/1.0/certificates"):
            return self._redeem(asked.value.get("trust_token"), client)
        if client not in self.trusted:
            raise Refused(403, "not authorized")
        if found := re.fullmatch(r"/1\.0/operations/([^/]+)(/wait)?", asked.path):
            return self._operation(asked, *found.groups())
        if asked.path.endswith("/exec") and own is None:
            return self.execs.begin(asked.value)
        if asked.path.startswith("/1.0/projects") and own is None:
            return self._projects(asked.path)
        if own is None:
            raise Refused(404, "not found")
        return own(asked)

    def _about(self, client: str) -> dict:
        said: dict[str, Any] = {
            "api_extensions": None,
            "auth": "untrusted",
            "auth_methods": ["tls"],
        }
        if client in self.trusted:
            here = self.about | {"certificate_fingerprint": self.pin}
            said |= {"auth": "trusted", "auth_user_name": client, "environment": here}
            said["api_extensions"] = self.extensions
        return said

    def _redeem(self, token: str, client: str) -> dict:
        if client in self.trusted:
            raise Refused(400, "Client is already trusted")
        if not client:
            raise Refused(400, "No client certificate provided")
        if token not in self.tokens:
            raise Refused(403, "No matching certificate add operation found")
        self.tokens.remove(token)
        self.trusted.add(client)
        return {}

    def _projects(self, path: str) -> Any:
        all_of_them = [{"name": name, "config": each} for name, each in self.projects.items()]
        if path == "/1.0/projects":
            return all_of_them
        found = [each for each in all_of_them if path == f"/1.0/projects/{each['name']}"]
        if not found:
            raise Refused(403, "Certificate is restricted")
        return found[0]

    def _operation(self, asked: Asked, name: str, waits: str | None) -> Any:
        found = self.operations.get(name)
        if found is None:
            raise Refused(404, "Operation not found")
        if asked.method == "DELETE":
            if not found.may_cancel:
                raise Refused(400, "This operation can't be cancelled")
            found.status = 401
            return {}
        if waits:
            end = time.monotonic() + float(asked.query["timeout"]) * SECOND
            while found.status < 200 and time.monotonic() < end:
                if self.ended.wait(0.01):
                    break
            if name not in self.operations:
                raise Refused(404, "Operation not found")
            if self.is_old and found.status not in (200, 401):
                late = found.status < 200
                raise Refused(200, "context deadline exceeded" if late else found.err)
        return found.value()


def _handler(server: FakeIncus) -> type[BaseHTTPRequestHandler]:
    class Handling(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            server.connections += 1
            self.request = server.context().wrap_socket(self.request, server_side=True)
            server.connected.add(self.request)
            super().setup()
            shown = self.request.getpeercert(binary_form=True)
            self.client = hashlib.sha256(shown).hexdigest() if shown else ""

        def finish(self) -> None:
            with contextlib.suppress(OSError):
                super().finish()
            server.connected.discard(self.request)
            self.request.close()

        def do(self) -> None:
            path, _, raw = self.path.partition("?")
            pairs = [each.partition("=") for each in raw.split("&") if each]
            query = {key: _unquoted(text) for key, _, text in pairs}
            fault = server.fault(self.command, path)
            if fault and self._fails(fault):
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {key.lower(): text for key, text in self.headers.items()}
            asked = Asked(self.command, path, query, headers, body)
            server.asked.append(asked)
            if path.endswith("/websocket") and self._websocket(asked):
                return
            if path.endswith("/port-forward") and server.forward:
                self._switch("tcp")
                server.forward(self.connection)
                self.close_connection = True
                return
            self._answer(asked, fault)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do  # noqa: N815

        def _answer(self, asked: Asked, fault: Fault | None) -> None:
            try:
                given = server.answer(asked, self.client)
            except Refused as refused:
                code, text = refused.args
                said = {"type": "error", "error": text, "error_code": code, "metadata": None}
                said["error_code"] = code if code >= 300 else 400
                self._say(code, json.dumps(said).encode() + b"\n\n", fault)
                return
            if isinstance(given, tuple):
                self._say(200, given[1], fault, given[0])
                return
            said = {"type": "sync", "status_code": 200, "metadata": given}
            if isinstance(given, Operation):
                server.operations[given.id] = given
                said = {"type": "async", "status_code": 100, "metadata": given.value()}
                said["operation"] = f"/1.0/operations/{given.id}?project=boxes"
            code = 202 if isinstance(given, Operation) else 200
            self._say(code, json.dumps(said).encode(), fault, {"ETag": '"abc"'})

        def _say(self, code: int, body: bytes, fault: Fault | None, headers=None) -> None:
            self.send_response(code)
            for key, text in (headers or {}).items():
                self.send_header(key, text)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if fault and fault.kind == "mid":
                self.wfile.write(body[: len(body) // 2])
                self._end()
                return
            if self.command != "HEAD":
                self.wfile.write(body)
            if fault and fault.kind == "after":
                self._end()

        def _fails(self, fault: Fault) -> bool:
            if fault.kind == "slow":
                server.ended.wait(fault.code)
            elif fault.kind == "before":
                self._end()
            elif fault.kind == "raw":
                self.wfile.write(fault.text.encode("latin-1"))
                self._end()
            elif fault.kind == "garbage":
                self._read()
                self._say(200, fault.text.encode(), None)
            elif fault.kind == "huge":
                self._read()
                self._say(200, b'{"a":"' + b"a" * fault.code + b'"}', None)
            elif fault.kind == "redirect":
                self._read()
                self._say(307, b"", None, {"Location": fault.text})
            elif fault.kind == "status":
                self._read()
                said = {"type": "error", "error": fault.text, "error_code": fault.code}
                self._say(fault.code, json.dumps(said).encode() + b"\n\n", None)
            elif fault.kind == "trickle":
                with contextlib.suppress(OSError):
                    for each in b"HTTP/1.1 200 OK\r\nX: " + b"a" * 1000:
                        self.wfile.write(bytes((each,)))
                        if server.ended.wait(fault.code / 1000):
                            break
                self._end()
            return fault.kind not in ("slow", "mid", "after")

        def _read(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def _end(self) -> None:
            self.close_connection = True
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self.connection, socket.SHUT_RDWR)

        def _switch(self, protocol: str, *lines: str) -> None:
            head = ["HTTP/1.1 101 Switching Protocols", f"Upgrade: {protocol}"]
            head += ["Connection: Upgrade", *lines]
            self.wfile.write(("\r\n".join(head) + "\r\n\r\n").encode())

        def _websocket(self, asked: Asked) -> bool:
            key = asked.headers.get("sec-websocket-key", "").encode()
            accept = base64.b64encode(hashlib.sha1(key + _GUID).digest()).decode()
            stream = server.execs.stream(asked.query.get("secret", ""))
            if stream is None:
                return False
            self._switch("websocket", f"Sec-WebSocket-Accept: {accept}")
            stream.serve(self.connection)
            self._end()
            return True

        def log_message(self, *words: object) -> None:
            pass

    return Handling


def _unquoted(text: str) -> str:
    return re.sub(r"%(..)", lambda found: chr(int(found[1], 16)), text)


class _Quiet(ThreadingHTTPServer):
    # Waited for at its end: a thread that is left would be in the next test's way.
    daemon_threads = False

    def handle_error(self, request, client_address) -> None:
        """Say nothing: clients go away, and do not like what they see."""


def make_certificate(directory: str, name: str) -> tuple[str, str]:
    """Make a throwaway certificate; return its path, and its key's."""
    paths = os.path.join(directory, f"{name}.crt"), os.path.join(directory, f"{name}.key")
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    argv += ["-nodes", "-days", "3650", "-subj", f"/CN={name}"]
    argv += ["-out", paths[0], "-keyout", paths[1]]
    subprocess.run(argv, check=True, capture_output=True)
    return paths


@contextlib.contextmanager
def incus_server(certificate: tuple[str, str]) -> Iterator[FakeIncus]:
    """Run a server with a certificate; with it end the threads of clients that wait for it."""
    made = FakeIncus(certificate)
    with _Quiet(("127.0.0.1", 0), _handler(made)) as server:
        made.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield made
        finally:
            server.shutdown()
            made.end()
    for each in threading.enumerate():
        if each.name == WAITING:
            each.join(20)
            assert not each.is_alive(), "a client waits for a server that has ended"
