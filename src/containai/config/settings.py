"""One table of settings feeds the file, the environment and the documentation."""

import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from containai.errors import ContainAIError, UsageError


class PortRange(NamedTuple):
    """Host ports from `first` to `last`, both included."""

    first: int
    last: int


def port_range(value: object) -> PortRange:
    """Parse "2300-2500". Raises ValueError for anything that is not a range within 1024-65535."""
    first, dash, last = str(value).partition("-")
    if not (dash and first.isascii() and first.isdigit() and last.isascii() and last.isdigit()):
        raise ValueError("expected FIRST-LAST, for example 2300-2500")
    ports = PortRange(int(first), int(last))
    if not 1024 <= ports.first <= ports.last <= 65535:
        raise ValueError("expected FIRST <= LAST, both from 1024 to 65535")
    return ports


def word(value: object) -> str:
    """Parse a non-empty string without white space. Raises ValueError for anything else."""
    if not isinstance(value, str) or not value or value.split() != [value]:
        raise ValueError("expected one word")
    return value


def flag(value: object) -> bool:
    """Parse true or false. Raises ValueError for anything else."""
    if isinstance(value, bool):
        return value
    if value in ("true", "1"):
        return True
    if value in ("false", "0"):
        return False
    raise ValueError("expected true or false")


#: What a box needs to boot systemd, sshd and its own Docker, in bytes.
LEAST_MEMORY = 256 << 20
_UNITS = {"m": 20, "g": 30, "t": 40}


def memory(value: object) -> int:
    """Parse "512m", "4g" or "none" (0). Returns bytes. Raises ValueError for anything else."""
    if value in (0, "none"):
        return 0
    text = str(value).lower()
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdigit() and unit in _UNITS):
        raise ValueError("expected a number with m, g or t, for example 4g, or none")
    size = int(number) << _UNITS[unit]
    if not LEAST_MEMORY <= size < 1 << 63:
        raise ValueError(f"expected at least {LEAST_MEMORY >> 20}m, or none")
    return size


def processors(value: object) -> float:
    """Parse a number of processors, or "none" (0). Raises ValueError for anything else."""
    if value in (0, "none") and value is not False:
        return 0.0
    # Not float(): that takes "nan", "inf" and "1_000".
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,2})?", str(value)):
        raise ValueError("expected a number, for example 2 or 1.5, or none")
    if float(str(value)) < 0.1:
        raise ValueError("expected at least 0.1, or none")
    return float(str(value))


#: What `engine.runtime` and --runtime can be.
RUNTIMES = ("auto", "sysbox", "embedded")


def runtime(value: object) -> str:
    """Parse a choice of runtimes. Raises ValueError for what is none."""
    if value not in RUNTIMES:
        raise ValueError("expected one of: " + ", ".join(RUNTIMES))
    return str(value)


def provider(value: object) -> str:
    """Parse where Docker's programs come from. Raises ValueError for what is no provider."""
    if value in ("auto", "docker-ce", "distro"):
        return str(value)
    raise ValueError("expected auto, docker-ce or distro")


def directories(value: object) -> tuple[str, ...]:
    """Parse absolute paths, as a list or with colons between. Raises ValueError for others."""
    parts = value.split(":") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(str(part).startswith("/") for part in parts):
        raise ValueError('expected absolute paths, for example ["/opt/homebrew/bin"]')
    return tuple(map(str, parts))


def host_ports(value: object) -> str | None:
    """Parse "5432 53/udp", "none" (nothing), or "" (None: as it is). Raises ValueError.

    Returns the lines of the network's file: "tcp 5432".
    """
    if value in (None, "", "none"):
        return "" if value == "none" else None
    lines = []
    for one in str(value).split():
        port, _, protocol = one.partition("/")
        number = int(port) if port.isascii() and port.isdigit() else 0
        if not 1 <= number <= 65535 or protocol not in ("", "tcp", "udp"):
            raise ValueError("expected ports, for example 5432 8080 or 53/udp, or none")
        lines.append(f"{protocol or 'tcp'} {number}\n")
    return "".join(sorted(set(lines)))


class Setting(NamedTuple):
    """A row: its name in config.toml, how it is parsed, its default and what it is for."""

    key: str
    parse: Callable[[object], Any]
    default: Any
    doc: str
    #: Whether the file alone can say it: tools set variables by files of a workspace.
    file_only: bool = False

    @property
    def variable(self) -> str:
        """The environment variable that overrides it, or ""."""
        return "" if self.file_only else "CONTAINAI_" + self.key.upper().replace(".", "_")


SETTINGS = (
    Setting("agent.default", word, "claude", "The agent that `cai run` starts without a COMMAND."),
    Setting("box.memory", memory, 0, "Memory of new boxes, for example 4g; none is no limit."),
    Setting("box.cpus", processors, 0.0, "Processors of new boxes, for example 1.5."),
    Setting(
        "engine.runtime",
        runtime,
        "auto",
        "What starts boxes: sysbox, embedded, or auto: Sysbox where it works, else embedded.",
    ),
    Setting(
        "engine.provider",
        provider,
        "auto",
        "Where Docker's programs come from if they are missing: docker-ce, distro, or auto.",
    ),
    Setting(
        "host.path",
        directories,
        (),
        "Directories of programs that the system's do not have, for example Homebrew's ssh.",
        file_only=True,
    ),
    Setting("image.name", word, "base", "The image of new boxes."),
    Setting(
        "image.root",
        word,
        "docker.io/library/debian:trixie-slim",
        "Where the root file system of image base is pulled from, if a registry answers.",
    ),
    Setting(
        "network.host_ports",
        host_ports,
        None,
        "Ports of the host that boxes of this machine may use, for example 5432 53/udp, or none; "
        "without it: what is open stays so.",
    ),
    Setting("ssh.port_range", port_range, PortRange(2300, 2500), "Host ports given to boxes."),
    Setting("ssh.forward_agent", flag, False, "Whether your ssh agent is reachable in new boxes."),
)


def load(path: str) -> dict[str, Any]:
    """Return every setting's value: from the environment, else config.toml, else the default.

    Raises ContainAIError for a file that cannot be read, an unknown key or a wrong value.
    """
    given = _flat(_read(path))
    known = {setting.key: setting for setting in SETTINGS}
    for key in given:
        if key not in known:
            raise ContainAIError(
                f"{path}: unknown setting {key!r}", hint="known: " + ", ".join(sorted(known))
            )
    values = {}
    for key, setting in known.items():
        where, value = path, given.get(key)
        if setting.variable in os.environ:
            where, value = "the environment", os.environ[setting.variable]
        try:
            values[key] = setting.default if value is None else setting.parse(value)
        except ValueError as wrong:
            raise UsageError(
                f"{key} = {value!r} in {where} is not valid", hint=str(wrong)
            ) from None
    return values


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            import tomllib

            return tomllib.load(file)
    except FileNotFoundError:
        return {}
    except OSError as wrong:
        raise ContainAIError(f"{path} cannot be read: {wrong.strerror}") from None
    except ValueError as wrong:
        raise ContainAIError(f"{path} is not valid TOML: {wrong}", hint="correct it") from None


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= (
            _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return flat
