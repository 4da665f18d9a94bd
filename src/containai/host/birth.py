"""When a file or directory was made, which os.stat does not tell: statx(2)."""

import ctypes
import os
import sys

_AT_FDCWD, _AT_SYMLINK_NOFOLLOW = -100, 0x100
_STATX_BTIME = 0x800
#: struct statx, and where in it the time is (linux/stat.h).
_SIZE, _BTIME = 256, 80


def of(path: str) -> int | None:
    """Return that in nanoseconds since 1970, or None where its file system or libc does not know.

    A number of an inode is used again once a directory is gone; this tells it from its successor.
    """
    made = ctypes.create_string_buffer(_SIZE)
    try:
        statx = ctypes.CDLL(None, use_errno=True).statx
    except AttributeError:
        return None
    if statx(_AT_FDCWD, os.fsencode(path), _AT_SYMLINK_NOFOLLOW, _STATX_BTIME, made) != 0:
        return None
    raw = made.raw
    if not _number(raw[:4]) & _STATX_BTIME:
        return None
    seconds, fraction = raw[_BTIME : _BTIME + 8], raw[_BTIME + 8 : _BTIME + 12]
    return _number(seconds) * 10**9 + _number(fraction)


def _number(content: bytes) -> int:
    return int.from_bytes(content, sys.byteorder)
