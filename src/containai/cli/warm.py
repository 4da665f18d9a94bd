"""The plain form of `run`, `exec` and `shell`, read without argparse: the way into a running box.

argparse is a quarter of what such a start costs. Whatever is not plain, or not running, is left to
the commands themselves, which then say what is wrong.
"""

from collections.abc import Sequence

from containai.boxes import claims
from containai.boxes.target import Target
from containai.cli import loudness
from containai.cli.output import Output
from containai.errors import ContainAIError
from containai.flows import enter
from containai.layout import Layout
from containai.ssh.session import Session

#: The commands that lead into a box.
COMMANDS = ("run", "exec", "shell")


def session(layout: Layout, words: Sequence[str], output: Output) -> Session | None:
    """Return the session that is asked for, or None where that takes more.

    A workspace without a box has one at once where a spare is ready.
    """
    command, rest = words[0], list(words[1:])
    remainder: list[str] = []
    if "--" in rest and command != "shell":
        at = rest.index("--")
        rest, remainder = rest[:at], rest[at + 1 :]
    if not remainder and command != "shell":
        return None  # without a COMMAND, `run` has to look for an agent
    asked = rest.pop(0) if rest[:1] in (["-t"], ["-T"]) else ""
    if len(rest) > 1 or rest[:1] == [""] or (rest and rest[0].startswith("-")):
        return None
    try:
        target = Target(rest[0] if rest else None)
        found = enter.at_once(layout, target, remainder, force=command == "exec")
        if found is None and command != "exec":
            said = claims.box(layout, target.path)
            if said is not None:
                found = enter.at_once(layout, target, remainder, force=False)
            for text in said or () if output.loudness > loudness.QUIET else ():
                output.tell(text)
        return found._replace(terminal=asked == "-t") if found and asked else found
    except ContainAIError:
        return None
