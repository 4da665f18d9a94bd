"""Waiting for what an engine, a kernel or a box does in its own time."""

import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")


def eventually(what: Callable[[], Answer], seconds: float = 60) -> Answer:
    """Return the first true answer, asked for again and again, or the last."""
    deadline = time.monotonic() + seconds
    while True:
        answer = what()
        if answer or time.monotonic() > deadline:
            return answer
        time.sleep(0.05)


def until(what: Callable[[], Answer], seconds: float = 60) -> Answer:
    """Wait until something is so; the test fails where it never is."""
    answer = eventually(what, seconds)
    assert answer, f"not so within {seconds:g} s"
    return answer
