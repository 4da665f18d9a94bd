"""From when until when a certificate is good, as it says itself.

The standard library reads that only of one whose signature it has checked, and here nobody's
signature is asked for: so it is read here, as RFC 5280 has it (4.1.2.5).
"""

from datetime import UTC, datetime
from typing import NamedTuple

_SEQUENCE, _VERSION, _UTC_TIME, _TIME = 0x30, 0xA0, 0x17, 0x18
#: Where the times are among the fields behind the version (RFC 5280, 4.1).
_VALIDITY = 3


class Validity(NamedTuple):
    """The first and the last moment, in seconds since 1970."""

    begins: float
    ends: float


def of(certificate: bytes) -> Validity:
    """Return when a certificate is good, which is DER. Raises ValueError."""
    [whole, *_] = _parts(_only(certificate))
    if whole[0] != _SEQUENCE:
        raise ValueError("no certificate")
    fields = [each for each in _parts(whole[1]) if each[0] != _VERSION]
    if len(fields) <= _VALIDITY or fields[_VALIDITY][0] != _SEQUENCE:
        raise ValueError("no certificate")
    begins, ends = map(_seconds, _parts(fields[_VALIDITY][1]))
    return Validity(begins, ends)


def day(moment: float) -> str:
    """Return a moment as people read it."""
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d}"


def _only(data: bytes) -> bytes:
    """Return what is in the one sequence that the data is."""
    parts = _parts(data)
    if len(parts) != 1 or parts[0][0] != _SEQUENCE:
        raise ValueError("no certificate")
    return parts[0][1]


def _parts(data: bytes) -> list[tuple[int, bytes]]:
    """Return the elements of a sequence: a tag and a content each (X.690, 8.1). Never empty."""
    found, at = list[tuple[int, bytes]](), 0
    while at < len(data):
        tag, size, at = data[at], data[at + 1 : at + 2], at + 2
        length = size[0] if size else len(data) + 1
        if length >= 0x80:
            count = length & 0x7F
            length = int.from_bytes(data[at : at + count], "big")
            at += count
        if at + length > len(data):
            raise ValueError("it is cut off")
        found.append((tag, data[at : at + length]))
        at += length
    if not found:
        raise ValueError("it is empty")
    return found


def _seconds(part: tuple[int, bytes]) -> float:
    tag, text = part[0], part[1].decode("ascii")
    if tag == _UTC_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text
    elif tag != _TIME:
        raise ValueError("no time")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
