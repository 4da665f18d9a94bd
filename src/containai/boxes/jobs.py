"""Jobs of a box: commands that outlive who started them, as units of the agent's systemd in it.

The box's program `job` is asked, as its agent. What it answers is the box's to write.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from containai.boxes.box import Status
from containai.boxes.way import Way
from containai.errors import BoxNotFoundError, JobError

Answer = TypeVar("Answer")
#: Where it is in a box.
PROGRAM = "/usr/local/lib/containai/job"
#: How much may come back, in bytes, and how long it may take: what is ended has ten seconds.
LIMIT = 4 << 20
TIMEOUT = 60.0
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,47}")
#: In seconds since 1970: a time beyond is none.
_LATEST = 1 << 36
#: How a job can be that runs, or will.
GOES_ON = ("running", "restarting", "waiting")


class Order(NamedTuple):
    """What is to be run, and when; `variables` are its own, beside those of a session."""

    command: Sequence[str]
    directory: str
    variables: Mapping[str, str] = {}
    name: str = ""
    #: How it is called where that is left to the box: with a number behind.
    stem: str = ""
    terminal: bool = False
    restart: str = "no"
    calendar: str = ""
    #: How large its terminal is, until somebody looks at it.
    columns: int = 120
    rows: int = 40


class Job(NamedTuple):
    """A job as it is. Times are seconds since 1970; `when` is since when, or the next time."""

    name: str
    #: running, restarting, waiting, done, failed, killed, or lost: it ended with its box.
    status: str
    #: How it ended last, as a shell says it, or None.
    code: int | None
    when: float | None
    created: float
    command: tuple[str, ...]
    terminal: bool
    restart: str
    calendar: str
    restarts: int

    @classmethod
    def parse(cls, said: Any) -> "Job":
        """Read what a box says of one. Raises ValueError, TypeError or LookupError."""
        words = tuple(said["command"])
        texts = (said["status"], said["restart"], said["calendar"], *words)
        if not all(isinstance(each, str) for each in texts) or not words:
            raise ValueError("no text")
        return cls(
            job_name(said["name"]),
            said["status"],
            None if said["code"] is None else int(said["code"]),
            None if said["when"] is None else _time(said["when"]),
            _time(said["created"]),
            words,
            bool(said["terminal"]),
            said["restart"],
            said["calendar"],
            int(said["restarts"]),
        )

    @property
    def goes_on(self) -> bool:
        """Whether it runs, or will."""
        return self.status in GOES_ON


def _time(said: Any) -> float:
    when = float(said)
    if not 0 <= when < _LATEST:
        raise ValueError("no time")
    return when


def job_name(text: str) -> str:
    """Parse a job's name. Raises ValueError."""
    if not _NAME.fullmatch(text):
        raise ValueError("1 to 48 of a-z, 0-9 and -, not beginning with -")
    return text


def stem(program: str) -> str:
    """Return how jobs of a program are called, up to their number."""
    own = re.sub(r"[^a-z0-9]+", "-", program.rpartition("/")[2].lower()).strip("-")[:40]
    return own or "job"


def calendar(text: str) -> str:
    """Parse when something is to be run, as systemd.time(7) has it; a box has the last word.

    Raises ValueError.
    """
    if not _CALENDAR.fullmatch(text) or not text.isascii():
        raise ValueError("expected a time as systemd has it: daily, 'Mon..Fri 07:30', '*:0/15'")
    return text


_DAY = r"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*"
_NUMBER = r"[0-9*.,/~]+"
_CALENDAR = re.compile(
    rf"(?i:minutely|hourly|daily|weekly|monthly|yearly|annually|quarterly|semiannually|"
    rf"(?=.*\S)(?:{_DAY}(?:(?:,|\.\.|-){_DAY})*,?(?: |$))?"
    rf"(?:(?:{_NUMBER}-)?{_NUMBER}[-~]{_NUMBER}(?: |$))?"
    rf"(?:{_NUMBER}:{_NUMBER}(?::{_NUMBER})?)?)(?: [A-Za-z][A-Za-z0-9/_+-]*)?"
)


def start(way: Way, order: Order) -> str:
    """Have a box run a job; return its name. Raises JobError."""
    said = _ask(way, {"do": "start"} | order._asdict())
    return _read(lambda: job_name(said["name"]))


def every(way: Way) -> list[Job]:
    """Return the jobs of a box, the newest first. Raises JobError, BoxNotFoundError."""
    said = _ask(way, {"do": "list"})
    return _read(lambda: [Job.parse(each) for each in said["jobs"]])


def find(way: Way, name: str) -> Job:
    """Return a job of a box. Raises JobError where there is none of that name."""
    found = next((job for job in every(way) if job.name == name), None)
    if found is None:
        box = way.box.name
        raise JobError(f"{box} has no job {name!r}", hint=f"see: cai jobs --name {box}")
    return found


def kill(way: Way, name: str, number: int = 0) -> None:
    """End a job for good, or send it a signal by its number. Raises JobError."""
    _ask(way, {"do": "kill", "name": name, "signal": number})


def output_words(name: str, lines: int, since: int, *, follow: bool) -> list[str]:
    """Return the command that prints what a job printed, in a box."""
    return [PROGRAM, "output", name, str(lines), str(since), *(["follow"] * follow)]


def _ask(way: Way, question: Mapping[str, Any]) -> dict[str, Any]:
    box = way.box
    if box.status is not Status.RUNNING:
        raise BoxNotFoundError(
            f"{box.name} is {box.status}: its jobs can be reached where it runs",
            hint=f"start it: cai start --name {box.name}",
        )
    stdin = json.dumps(question).encode()
    done = way.ask((PROGRAM, "ask"), stdin=stdin, limit=LIMIT, timeout=TIMEOUT)
    if done.code in (126, 127):
        raise JobError(
            f"the image of {box.name} is too old for jobs",
            hint=f"make it anew, which asks first: cai run --fresh --name {box.name}",
        )
    if done.code:
        why = _legible((done.err.strip().splitlines() or ["it said nothing"])[-1])
        raise JobError(
            f"the jobs of {box.name} cannot be reached (code {done.code}): {why}",
            hint=f"see: cai logs --name {box.name}",
        )
    said: dict[str, Any] = _read(lambda: dict(json.loads(done.out)))
    if "failed" in said:
        why = _legible(str(said["failed"]))
        raise JobError(f"in {box.name} {why}", hint=f"see: cai jobs --name {box.name}")
    return said


def _legible(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:300])


def _read(act: Callable[[], Answer]) -> Answer:
    try:
        return act()
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError):
        raise JobError(
            "the box answers something that is no job's", hint="look at it: cai logs --lines 50"
        ) from None
