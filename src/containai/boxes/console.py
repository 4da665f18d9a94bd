"""What a box said on its console, for people to read."""

import re


def legible(text: str) -> list[str]:
    """Return the lines of a box's console that say something, without colours.

    A box wrote them: nothing in them may steer the terminal that they are shown on.
    """
    plain = re.sub(r"\x1b\[[0-9;?]*[ -/]*[@-~]", "", text)
    lines = ("".join(filter(str.isprintable, line)).strip() for line in plain.splitlines())
    return [line for line in lines if line]
