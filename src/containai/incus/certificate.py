"""The certificate by which servers know this user: made once, signed by its own key.

A server takes any, and looks up the whole of it in its list of who is trusted. Its key is an
elliptic one (P-256), which openssl makes at once, and every TLS of today takes.
"""

import os
import ssl
from datetime import UTC, datetime, timedelta

from containai.errors import DamagedError, RemoteError
from containai.host import files
from containai.host.machine import Machine
from containai.incus.tls import Identity
from containai.light import sha256

#: For how long it is good. It is taken back by whoever keeps a server's list.
_DAYS = 3650
#: A server whose clock is behind refuses one that begins now, and the token is gone.
_BEFORE = timedelta(days=1)
_TIMEOUT = 60.0
#: How long a name may be (X.520, ub-common-name).
_LONGEST = 64


def identity(host: Machine) -> Identity:
    """Return where this user's certificate and key are, or will be."""
    return Identity(host.layout.remote_certificate, host.layout.remote_key)


def ensure(host: Machine) -> Identity:
    """Return this user's certificate, which is made where there is none.

    A key without a certificate, or the reverse, is put aside. Raises DamagedError for one that
    cannot be used, ProcessError where openssl fails, RemoteError where it is missing.
    """
    own = identity(host)
    with files.lock(os.path.join(host.layout.state_dir, "remote.lock"), wait=30, what="remotes"):
        there = [os.path.lexists(path) for path in own]
        if not all(there):
            for path, is_there in zip(own, there, strict=True):
                if is_there:
                    os.replace(path, f"{path}.unusable")
            _make(host, own)
    check(own)
    return own


def check(own: Identity) -> None:
    """Raise DamagedError where a certificate and a key do not fit, or cannot be read."""
    try:
        if os.stat(own.key).st_mode & 0o077:
            os.chmod(own.key, 0o600)
        # No password is asked for: a key with one is none that we made.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(*own, password=lambda: b"")
    except OSError as wrong:
        why = "do not fit" if isinstance(wrong, ssl.SSLError) else wrong.strerror or "are damaged"
        raise DamagedError(
            f"{own.certificate} and {own.key} cannot be used: {why}",
            hint="move both away: new ones are made. Servers do not know those yet: a token is "
            "needed for each",
        ) from None


def fingerprint(own: Identity) -> str:
    """Return the fingerprint of a certificate, as servers list it. Raises DamagedError."""
    text = files.read(own.certificate)
    try:
        return sha256(ssl.PEM_cert_to_DER_cert((text or "").strip()))
    except ValueError:
        raise DamagedError(
            f"{own.certificate} is no certificate", hint="move it away, with the key beside it"
        ) from None


def _make(host: Machine, own: Identity) -> None:
    if host.which("openssl") is None:
        raise RemoteError(
            "the program openssl is missing: it makes the certificate by which servers know you",
            hint="install it: apt-get install openssl",
        )
    os.makedirs(os.path.dirname(own.key), mode=0o700, exist_ok=True)
    with files.temporary_directory() as directory:
        for argv in argvs(directory, name(host), datetime.now(UTC)):
            host.run(argv, timeout=_TIMEOUT)
        key, made = (_made(os.path.join(directory, each)) for each in ("key", "certificate"))
    # The certificate last: where it is, its key is.
    files.write(own.key, key, 0o600)
    files.write(own.certificate, made, 0o644)


def argvs(directory: str, called: str, now: datetime) -> list[list[str]]:
    """Return what makes a key and its certificate in a directory, for a name.

    `openssl ca` alone takes the time that a certificate begins at in versions before 3.4
    (openssl-ca(1)).
    """
    settings = os.path.join(directory, "settings")
    begins, ends = (f"{each:%y%m%d%H%M%SZ}" for each in (now - _BEFORE, now + timedelta(_DAYS)))
    _write(settings, _SETTINGS.format(directory=directory))
    _write(os.path.join(directory, "list"), "")
    _write(os.path.join(directory, "serial"), f"{os.urandom(16).hex()}\n")
    key, request = os.path.join(directory, "key"), os.path.join(directory, "request")
    return [
        ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-pkeyopt", "ec_param_enc:named_curve", "-out", key],
        ["openssl", "req", "-new", "-config", settings, "-key", key, "-subj", f"/CN={called}",
         "-utf8", "-out", request],
        ["openssl", "ca", "-batch", "-selfsign", "-notext", "-config", settings, "-keyfile", key,
         "-in", request, "-startdate", begins, "-enddate", ends,
         "-out", os.path.join(directory, "certificate")],
    ]  # fmt: skip


_SETTINGS = """\
[req]
distinguished_name = names
[names]
[ca]
default_ca = own
[own]
dir = {directory}
database = $dir/list
serial = $dir/serial
new_certs_dir = $dir
default_md = sha256
policy = any
unique_subject = no
x509_extensions = use
[any]
commonName = supplied
[use]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
"""


def name(host: Machine) -> str:
    """Return what servers list the certificate as: the user, and the machine."""
    whole = f"{host.user_name(host.layout.uid)}@{os.uname().nodename}"
    return "".join(c if c.isascii() and (c.isalnum() or c in "@.-_") else "-" for c in whole)[
        :_LONGEST
    ]


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _made(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()
