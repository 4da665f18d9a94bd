"""What a box said on its console, for people to read."""

import re

_STEERING = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)")


def plain(line: str) -> str:
    """Return a line that a program printed, blanks and all, without colours and their like."""
    text = _STEERING.sub("", line).rstrip("\r")
    # What a carriage return left to be seen.
    text = text.rpartition("\r")[2]
    return "".join(c for c in text.expandtabs() if c.isprintable())


def legible(text: str) -> list[str]:
    """Return the lines of a box's console that say something, without colours.

    A box wrote them: nothing in them may steer the terminal that they are shown on.
    """
    plain = re.sub(r"\x1b\[[0-9;?]*[ -/]*[@-~]", "", text)
    lines = ("".join(filter(str.isprintable, line)).strip() for line in plain.splitlines())
    return [line for line in lines if line]
