"""A proxy that inspects TLS, and servers that nobody reaches but through it: all on loopback.

The proxy has an authority of its own, which a machine behind it has to trust. What it trusts itself
is another, of which the servers' certificate is; and it alone knows where their names lead.
"""

import contextlib
import http.server
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from .waiting import until

SQUID, CERTIFICATES = "/usr/sbin/squid", "/usr/lib/squid/security_file_certgen"
USER = "proxy"
_CONFIG = """\
http_port 127.0.0.1:{http}
http_port 127.0.0.1:{https} ssl-bump generate-host-certificates=on tls-cert={at}/proxy.pem
sslcrtd_program {program} -s {at}/certificates -M 4MB
sslcrtd_children 2
acl first at_step SslBump1
ssl_bump peek first
ssl_bump bump all
tls_outgoing_options default-ca=off cafile={at}/servers.crt
http_access allow localhost
http_access deny all
hosts_file {at}/hosts
dns_nameservers 127.0.0.1
cache deny all
cache_mem 8 MB
access_log stdio:{at}/access.log
cache_log {at}/cache.log
pid_filename none
coredump_dir {at}
pinger_enable off
shutdown_lifetime 0 seconds
visible_hostname proxy.test
"""


class Proxy(NamedTuple):
    """A proxy: its ports for http and for https, its authority's certificate, its log."""

    http: int
    https: int
    authority: str
    log: str

    def asked(self) -> str:
        """Return what it was asked for so far, a line for each request, also within TLS."""
        with open(self.log, encoding="utf-8") as file:
            return file.read()


@contextlib.contextmanager
def proxy(directory: str, address: str, pages: Mapping[str, bytes]) -> Iterator[Proxy]:
    """Run Debian's squid-openssl before servers at a loopback address. `pages`: "host/path" → body.

    The directory has to be one that its user may enter.
    """
    names = sorted({page.partition("/")[0] for page in pages})
    _make_certificates(directory, names)
    ports = _free_port(), _free_port()
    text = _CONFIG.format(http=ports[0], https=ports[1], at=directory, program=CERTIFICATES)
    for name, content in (("squid.conf", text), ("hosts", f"{address} {' '.join(names)}\n")):
        with open(os.path.join(directory, name), "w", encoding="ascii") as file:
            file.write(content)
    store = os.path.join(directory, "certificates")
    subprocess.run([CERTIFICATES, "-c", "-s", store, "-M", "4MB"], check=True, capture_output=True)
    subprocess.run(["chown", "--recursive", USER, directory], check=True)
    with _servers(directory, address, pages):
        words = [SQUID, "-N", "-f", os.path.join(directory, "squid.conf")]
        child = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until(lambda: all(map(_answers, ports)) or child.poll() is not None, 30)
            authority = os.path.join(directory, "proxy.crt")
            yield Proxy(*ports, authority, os.path.join(directory, "access.log"))
        finally:
            child.terminate()
            child.wait()
            shutil.rmtree(directory)


def _make_certificates(directory: str, names: list[str]) -> None:
    """Make both authorities, and the servers' certificate."""
    script = """
    for name in proxy servers; do
        openssl req -x509 -newkey rsa:2048 -nodes -subj "/CN=$name" -keyout $name.key \
            -out $name.crt -addext keyUsage=critical,keyCertSign,cRLSign
    done
    cat proxy.key proxy.crt >proxy.pem
    openssl req -newkey rsa:2048 -nodes -subj "/CN=server" -keyout server.key -out request
    printf 'subjectAltName=%s' "$1" >names
    openssl x509 -req -in request -CA servers.crt -CAkey servers.key -CAcreateserial \
        -extfile names -out server.crt
    """
    alternatives = ",".join(f"DNS:{name}" for name in names)
    argv = ["sh", "-ec", script, "sh", alternatives]
    subprocess.run(argv, cwd=directory, check=True, capture_output=True)


@contextlib.contextmanager
def _servers(directory: str, address: str, pages: Mapping[str, bytes]) -> Iterator[None]:
    """Serve pages at the ports of http and of https."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = f"{self.headers['Host']}{self.path.partition('?')[0]}"
            body = pages.get(page)
            self.send_response(404 if body is None else 200)
            # pip takes an index of no other type.
            kind = "text/html" if page.endswith("/") else "application/octet-stream"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *args: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*(os.path.join(directory, f"server.{end}") for end in ("crt", "key")))
    with contextlib.ExitStack() as undo:
        for port in (80, 443):
            server = http.server.ThreadingHTTPServer((address, port), Handler)
            undo.callback(server.server_close)
            if port == 443:
                server.socket = context.wrap_socket(server.socket, server_side=True)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            undo.callback(server.shutdown)
        yield


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
