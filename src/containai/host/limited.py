"""Reading what programs say whose output nobody answers for."""

import os
from collections.abc import Sequence
from typing import Any


class TooMuch(Exception):  # noqa: N818 - never leaves host
    """A program said more than it may."""


def collected(streams: Sequence[Any], limit: int, end: float) -> list[bytes]:
    """Read streams to their ends, which other processes may delay; stop at `end` (monotonic)."""
    import selectors
    import time

    said: dict[Any, bytes] = dict.fromkeys(streams, b"")
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map():
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            for key, _ in selector.select(left):
                part = os.read(key.fd, 1 << 16)
                said[key.fileobj] += part
                if not part:
                    selector.unregister(key.fileobj)
            if sum(map(len, said.values())) > limit:
                raise TooMuch
    return list(said.values())
