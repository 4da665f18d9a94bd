"""A service as a value, and its systemd unit. Pure; `host/services.py` has it run."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from containai.host.processes import Process

Words = tuple[str, ...]

#: What starts a unit that is to start at boot.
AT_BOOT = "multi-user.target"
#: A word of a command that stands for the pid of the service. No argument can hold a NUL.
MAIN_PID = "\0pid"
#: What systemd takes as it is in a command line (systemd.service(5), "Command lines").
_PLAIN = re.compile(r"[A-Za-z0-9_@:,.=+/-]+")
#: In double quotes; the rest of what is no printable character goes by its bytes (systemd.syntax).
_ESCAPES = {"\\": r"\\", '"': r"\"", "\n": r"\n", "\t": r"\t", "%": "%%"}


class Kind(StrEnum):
    """When a service has started (systemd.service(5), Type=)."""

    SIMPLE = "simple"
    NOTIFY = "notify"
    #: When its command has ended, well.
    ONESHOT = "oneshot"


class Service(NamedTuple):
    """What runs beside the engine, the engine included.

    The first six are what it takes to see, stop and read it; `argv` is empty in one for that alone.
    """

    #: What errors call it.
    name: str
    unit: str
    #: Its log where systemd does not keep one.
    log: str
    #: How long a start waits until it is ready, and a stop until it has ended, in seconds.
    start_timeout: float
    stop_timeout: float
    #: Returns its processes. What none can be found of does not run.
    find: Callable[[], Sequence[Process]] = tuple
    ready: Callable[[], bool] = bool
    argv: Words = ()
    #: The command that ends it; without one it is a plain SIGTERM.
    stop: Words = ()
    #: Takes away what one that was killed left, before a start without systemd.
    clear: Callable[[], object] = tuple
    #: Starts it, and returns when it is ready, where there is no systemd: in place of `argv`.
    launch: Words = ()
    kind: Kind = Kind.SIMPLE
    description: str = ""
    documentation: str = ""
    #: Where it is not to be had, or does not start, nobody minds.
    optional: bool = False
    #: Files without which it is not started.
    conditions: Words = ()
    #: Services that a start of this one starts first.
    wants: "tuple[Service, ...]" = ()
    #: So, where there is no systemd: as units they start at boot, `before` this one.
    needs: "tuple[Service, ...]" = ()
    #: Units of others.
    wanted_units: Words = ()
    after: Words = ()
    before: Words = ()
    part_of: Words = ()
    #: Commands before a start, and for a reload.
    prepare: tuple[Words, ...] = ()
    reload: tuple[Words, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    #: A file of more variables, which need not be there, for what is not for everybody's eyes.
    environment_file: str = ""
    #: Limits by their names in setrlimit(2), "SOFT:HARD" or one for both; as far as root may.
    limits: tuple[tuple[str, str], ...] = ()
    #: More lines of the sections [Unit] and [Service].
    unit_lines: Words = ()
    service_lines: Words = ()
    at_boot: bool = False
    #: Whether systemctl refuses to stop it: what else runs would lose what it keeps.
    guarded: bool = False
    #: How its users read its log; as root reads any, unless it is said.
    logs: str = ""

    @property
    def missing(self) -> str:
        """What is not there of what it is made of, or nothing."""
        parts = (*self.conditions, *self.argv[:1])
        return next((path for path in parts if not os.path.exists(path)), "")


def command(words: Sequence[str]) -> str:
    """Return a command for a unit: every word comes out of systemd as it is here.

    The variables of its own environment, which it would look for, are none of ours: `$` is doubled,
    but not in the program's path, where systemd looks for none.
    """
    program, *arguments = words
    return " ".join([_word(program), *(_argument(word) for word in arguments)])


def _argument(word: str) -> str:
    return "$MAINPID" if word == MAIN_PID else _word(word.replace("$", "$$"))


def _word(word: str) -> str:
    if _PLAIN.fullmatch(word):
        return word
    return '"' + "".join(_escaped(character) for character in word) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    # Bytes that are no UTF-8 are surrogates here (os.fsdecode).
    return "".join(f"\\x{byte:02x}" for byte in character.encode(errors="surrogateescape"))


def _text(text: str) -> str:
    """Return a value that is no list of words: its rest of the line, specifiers apart."""
    return text.replace("%", "%%")


def unit(service: Service) -> str:
    """Return the text of a service's unit."""
    sections = {
        "Unit": _unit_section(service),
        "Service": _service_section(service),
        "Install": iter([f"WantedBy={AT_BOOT}"] if service.at_boot else []),
    }
    written = {name: "\n".join(lines) for name, lines in sections.items()}
    return "\n\n".join(f"[{name}]\n{lines}" for name, lines in written.items() if lines) + "\n"


def _unit_section(service: Service) -> Iterator[str]:
    yield f"Description={_text(service.description)}"
    if service.documentation:
        yield f"Documentation={_text(service.documentation)}"
    own = tuple(other.unit for other in service.wants)
    for key, units in (
        ("Wants", service.wanted_units + own),
        ("After", service.after),
        ("After", own),
        ("Before", service.before),
        ("PartOf", service.part_of),
    ):
        if units:
            yield f"{key}={' '.join(units)}"
    for path in service.conditions:
        yield f"ConditionPathExists={_text(path)}"
    if service.guarded:
        yield "RefuseManualStop=yes"
    yield from service.unit_lines


def _service_section(service: Service) -> Iterator[str]:
    yield f"Type={service.kind}"
    if service.kind is Kind.ONESHOT:
        yield "RemainAfterExit=yes"
    for key, value in service.environment:
        yield f"Environment={_word(f'{key}={value}')}"
    if service.environment_file:
        yield f"EnvironmentFile=-{_text(service.environment_file)}"
    for words in service.prepare:
        yield f"ExecStartPre={command(words)}"
    yield f"ExecStart={command(service.argv)}"
    for words in service.reload:
        yield f"ExecReload={command(words)}"
    # One that is kept as done has nothing to end, and stays when only its unit is stopped.
    if service.stop and service.kind is not Kind.ONESHOT:
        yield f"ExecStop={command(service.stop)}"
    yield from service.service_lines
    for name, value in service.limits:
        yield f"Limit{name.upper()}={value}"
