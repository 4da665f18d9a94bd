"""Connections to a server whose certificate is pinned, as a user that it knows by a certificate.

Nobody's signature is asked for: whoever has the pinned certificate's key is the server, and nobody
else is, whatever name or authority another certificate has.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time

from containai.errors import UsageError
from containai.incus.errors import OtherCertificateError, UnreachableError
from containai.light import NamedTuple, sha256

#: How long an address may take to be connected to, in seconds, and how long for TLS.
CONNECT_TIMEOUT = 5.0
HANDSHAKE_TIMEOUT = 10.0
#: The port of Incus (internal/ports).
PORT = 8443


class Identity(NamedTuple):
    """Paths of a certificate of the user's own, and of its key."""

    certificate: str
    key: str


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int = PORT

    def __str__(self) -> str:
        """Return it as it is in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address(text: str) -> Address:
    """Return the address of `HOST`, `HOST:PORT`, `[IPv6]:PORT` or `https://…`.

    Raises UsageError.
    """
    kind, separator, rest = text.strip().partition("://")
    rest = (rest if separator else kind).rstrip("/")
    if rest.startswith("["):
        host, bracket, port = rest[1:].partition("]")
        fits = bool(bracket) and (not port or port.startswith(":"))
        port = port[1:]
    elif rest.count(":") > 1:
        host, port, fits = rest, "", True
    else:
        host, _, port = rest.partition(":")
        fits = not rest.endswith(":")
    fits = fits and (not separator or kind == "https") and _is_host(host)
    if not fits or (port and not (port.isdecimal() and port.isascii() and 0 < int(port) < 65536)):
        raise UsageError(
            f"{text!r} is no address of a server", hint="an address is such as https://HOST:8443"
        )
    return Address(host, int(port) if port else PORT)


def _is_host(text: str) -> bool:
    return text.isascii() and 0 < len(text) < 254 and all(c.isalnum() or c in ".-_:%" for c in text)


class Server(NamedTuple):
    """A server, or a cluster: its addresses, all of the certificate with the fingerprint `pin`.

    Without a pin any certificate will do: only to see which one a server has. `place` is what the
    user calls it, where it has a name.
    """

    addresses: tuple[Address, ...]
    pin: str
    identity: Identity | None = None
    place: str = ""

    def __str__(self) -> str:
        """Return where it is, for people."""
        return " or ".join(map(str, self.addresses))


class Dialler:
    """Connects to a server: first to the address that answered last."""

    def __init__(self, server: Server) -> None:
        self.server = server
        #: What the server has shown last (DER).
        self.certificate = b""
        self._last: Address | None = None
        self._context: ssl.SSLContext | None = None

    @property
    def where(self) -> str:
        """The address that answered last, or the first."""
        return str(self._last or self.server.addresses[0])

    def connect(self, timeout: float = CONNECT_TIMEOUT) -> ssl.SSLSocket:
        """Return a connection to a server that has shown the pinned certificate.

        `timeout` is for each address, in seconds. At an address of a private network there may be
        somebody else's server: it counts where none has the pinned one. Raises UnreachableError,
        OtherCertificateError.
        """
        known = self.server.addresses
        order = [self._last] if self._last in known else []
        order += [each for each in known if each != self._last]
        wrong, other = [], list[OtherCertificateError]()
        for each in order:
            assert each is not None
            try:
                connection = self._connected(each, timeout)
            except OtherCertificateError as failed:
                other.append(failed)
            except OSError as failed:
                wrong.append(f"{each}: {_why(failed)}")
            else:
                self._last = each
                return connection
        if other:
            raise other[0]
        raise UnreachableError(f"the server does not answer: {'; '.join(wrong)}")

    def _connected(self, where: Address, timeout: float) -> ssl.SSLSocket:
        end = time.monotonic() + timeout
        with contextlib.ExitStack() as undo:
            plain = undo.enter_context(socket.create_connection(where, timeout))
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            plain.settimeout(max(end - time.monotonic(), HANDSHAKE_TIMEOUT))
            made = self._secured().wrap_socket(
                plain, server_hostname=None, suppress_ragged_eofs=False
            )
            undo.enter_context(made)
            certificate = made.getpeercert(binary_form=True) or b""
            shown = sha256(certificate)
            if self.server.pin and shown != self.server.pin:
                raise OtherCertificateError(str(where), self.server.pin, shown, self.server.place)
            undo.pop_all()
        self.certificate = certificate
        return made

    def _secured(self) -> ssl.SSLContext:
        if self._context is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            # Its certificate is compared, whole: whoever signed it for which name is nothing more.
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            if self.server.identity is not None:
                context.load_cert_chain(*self.server.identity)
            self._context = context
        return self._context


def shown(where: Address, timeout: float = CONNECT_TIMEOUT) -> str:
    """Return the fingerprint of the certificate that whoever is at an address has.

    Raises UnreachableError.
    """
    dialler = Dialler(Server((where,), ""))
    dialler.connect(timeout).close()
    return sha256(dialler.certificate)


def _why(wrong: OSError) -> str:
    if isinstance(wrong, TimeoutError):
        return "no answer in time"
    if isinstance(wrong, ssl.SSLError):
        return f"no TLS as Incus has it ({wrong.reason or wrong})"
    return wrong.strerror or str(wrong) or "it is cut"
