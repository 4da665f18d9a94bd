"""What a box has said: on its console, and in the journal of its systemd.

Both are the box's to write: lines come in parts where they are long, and nothing in them counts.
"""

from collections.abc import Callable
from typing import NamedTuple

from containai.boxes import console, jobs
from containai.boxes.box import Box
from containai.boxes.way import Way
from containai.engine.client import Engine

#: A line is cut into parts of so many characters.
LONGEST = 8192


#: Ends what follows it with its stdin: docker's client may go, and the engine leaves it running.
_FOLLOWING = (
    "/bin/sh", "-c",
    'exec 3<&0; { while read -r _ <&3; do :; done; kill $$ 2>/dev/null; } & exec "$@" 3<&-', "sh",
)  # fmt: skip


class Wanted(NamedTuple):
    """What of it: the last `lines`, since a time (seconds since 1970), of a unit, on and on."""

    lines: int
    since: int = 0
    boot: bool = False
    unit: str = ""
    follow: bool = False


def journal_words(wanted: Wanted) -> list[str]:
    """Return the command that reads the journal, in a box."""
    return [
        "/usr/bin/journalctl", "--no-pager", "--output=short-iso", f"--lines={wanted.lines}",
        *([f"--since=@{wanted.since}"] if wanted.since else []),
        *(["--boot"] if wanted.boot else []),
        *([f"--unit={wanted.unit}"] if wanted.unit else []),
        *(["--follow"] if wanted.follow else []),
    ]  # fmt: skip


def journal_arguments(box: Box, wanted: Wanted) -> list[str]:
    """Return the words for docker's client that read a running box's journal."""
    return [
        "exec", *(["--interactive"] if wanted.follow else []), box.container,
        *(_FOLLOWING if wanted.follow else ()),
        *journal_words(wanted),
    ]  # fmt: skip


def console_arguments(box: Box, wanted: Wanted, started: str) -> list[str]:
    """Return the words for docker's client that read a box's console; `started` is when it was."""
    since = started if wanted.boot else str(wanted.since or "")
    return [
        "logs", "--tail", str(wanted.lines),
        *(["--since", since] if since else []),
        *(["--follow"] if wanted.follow else []),
        box.container,
    ]  # fmt: skip


def read(
    engine: Engine, box: Box, wanted: Wanted, on_line: Callable[[str], None], *, journal: bool
) -> None:
    """Hand over the lines of a box's journal, or of its console. Raises as `Engine.docker` does."""
    if journal:
        words = journal_arguments(box, wanted)
    else:
        words = console_arguments(box, wanted, _started(engine, box) if wanted.boot else "")

    def legible(line: str) -> None:
        for part in console.legible(line):
            on_line(part)

    engine.stream(*words, on_line=legible, longest=LONGEST, holds=wanted.follow)


def read_job(way: Way, name: str, wanted: Wanted, on_line: Callable[[str], None]) -> None:
    """Hand over the lines that a job printed. Raises as `Way.stream` does."""
    words = jobs.output_words(name, wanted.lines, wanted.since, follow=wanted.follow)

    def plain(line: str) -> None:
        on_line(console.plain(line))

    way.stream(words, plain, longest=LONGEST, holds=wanted.follow)


def _started(engine: Engine, box: Box) -> str:
    inspected = engine.inspect("container", box.container) or {}
    return str(inspected.get("State", {}).get("StartedAt", ""))
