"""Certificates that were added to what this machine trusts: those of a network that inspects TLS.

Without them nothing is fetched over https there. They are public. Each is read whole, and checked
to be one, before anything is made with it.
"""

import binascii
import os
import re
import stat
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from containai.errors import ContainAIError
from containai.host.around import ANCHORS, BUNDLES, CERTIFICATE_VARIABLES, CHOSEN, at

#: Where the certificates of packages are that CHOSEN names.
PACKAGED = "usr/share/ca-certificates"
#: What one file may have, and all certificates together, in bytes. Mozilla's have 220 KiB.
FILE_LIMIT, LIMIT = 2 << 20, 384 << 10
HINT = "correct or remove it; or have none of them in boxes: network.certificates = false"
_PEM = re.compile(
    rb"-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----(.*?)-----END \1-----", re.DOTALL
)


class Certificate(NamedTuple):
    """A certificate: the name of a file for it, and its text (PEM)."""

    name: str
    text: str


def added(root: str, environ: Mapping[str, str]) -> tuple[Certificate, ...]:
    """Return the certificates that were added to the machine's, and those that variables name.

    `root` is where the machine's files are looked for first. Raises ContainAIError for a file that
    is no certificate or cannot be read, and where they are too many.
    """
    names: dict[bytes, str] = {}
    for path in _anchors(root):
        for der in _read(path, path):
            names.setdefault(der, _name(path))
    known: set[bytes] | None = None
    for name, path in _named(root, environ):
        if known is None:
            known = _known(root)
        for der in _read(path, f"{path} ({name})"):
            if der not in known:
                names.setdefault(der, _name(path))
    if sum(map(len, names)) > LIMIT * 3 // 4:
        raise ContainAIError(
            f"{len(names)} certificates were added to this machine's, more than {LIMIT >> 10} KiB",
            hint="have none of them in boxes: network.certificates = false",
        )
    return tuple(_numbered(names))


def bundle_text(certificates: tuple[Certificate, ...]) -> str:
    """Return certificates as one file."""
    return "".join(certificate.text for certificate in certificates)


def _anchors(root: str) -> Iterator[str]:
    for directory, ending in ANCHORS:
        for parent, children, names in os.walk(at(root, directory), followlinks=True):
            children.sort()
            for name in sorted(names):
                if name.endswith(ending) and not name.startswith((".", "README")):
                    yield os.path.join(parent, name)
    try:
        with open(at(root, CHOSEN), encoding="utf-8", errors="replace") as file:
            chosen = file.read().splitlines()
    except OSError:
        return
    own = (line.strip() for line in chosen if not line.startswith(("#", "!", "mozilla/")))
    for name in filter(None, own):
        path = os.path.join(at(root, PACKAGED), name)
        if os.path.exists(path):
            yield path


def _named(root: str, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the variables of this user that name another file than what the machine trusts."""
    usual = {os.path.realpath(at(root, bundle)) for bundle in BUNDLES}
    for name in CERTIFICATE_VARIABLES:
        path = environ.get(name)
        if path and os.path.realpath(path) not in usual:
            yield name, path


def _known(root: str) -> set[bytes]:
    bundle = next(filter(os.path.exists, (at(root, path) for path in BUNDLES)), "")
    try:
        return set(_read(bundle, bundle))
    except ContainAIError:
        return set()


def _read(path: str, shown: str) -> list[bytes]:
    """Return the certificates in a file (DER). Raises ContainAIError where there is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise ContainAIError(f"{shown} is no file with a certificate", hint=HINT)
            raw = file.read(FILE_LIMIT + 1)
    except OSError as wrong:
        closed = isinstance(wrong, PermissionError)
        raise ContainAIError(
            f"the certificate {shown} cannot be read: {wrong.strerror}",
            hint=f"it is public: sudo chmod a+r {path}" if closed else HINT,
        ) from None
    if len(raw) > FILE_LIMIT:
        raise ContainAIError(f"{shown} has more than {FILE_LIMIT >> 20} MiB", hint=HINT)
    try:
        ders = [_first(binascii.a2b_base64(text)) for _, text in _PEM.findall(raw)]
        if not ders and raw[:1] == b"\x30":
            ders = [_first(raw)]
    except ValueError:
        ders = []
    if not ders:
        raise ContainAIError(f"{shown} is no certificate (PEM or DER)", hint=HINT)
    return ders


def _first(der: bytes) -> bytes:
    """Return the certificate that DER begins with: what OpenSSL trusts has more after it.

    It is a sequence of a sequence and others (RFC 5280, 4.1). Raises ValueError for what is none.
    """
    head, length = _sequence(der)
    _sequence(der[head : head + length])
    if len(der) < head + length:
        raise ValueError("cut off")
    return der[: head + length]


def _sequence(der: bytes) -> tuple[int, int]:
    """Return how long the head of a DER sequence is, and what follows it."""
    if len(der) < 2 or der[0] != 0x30:
        raise ValueError("no sequence")
    if der[1] < 0x80:
        return 2, der[1]
    count = der[1] & 0x7F
    if not 1 <= count <= 4:
        raise ValueError("no length")
    return 2 + count, int.from_bytes(der[2 : 2 + count])


def _name(path: str) -> str:
    stem = os.path.splitext(os.path.basename(path))[0]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-")[:60] or "certificate"


def _numbered(stems: Mapping[bytes, str]) -> Iterator[Certificate]:
    names: dict[str, int] = {}
    for der, stem in stems.items():
        names[stem] = names.get(stem, 0) + 1
        name = stem if names[stem] == 1 else f"{stem}.{names[stem]}"
        yield Certificate(f"{name}.crt", _pem(der))


def _pem(der: bytes) -> str:
    text = binascii.b2a_base64(der, newline=False).decode()
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n"
