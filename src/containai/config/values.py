"""The kinds of values that settings have: each a function that parses what TOML or a word says."""

import re
from typing import NamedTuple


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


def seconds(value: object) -> float:
    """Parse 1 to 3600, of seconds. Raises ValueError for anything else."""
    text = str(value)
    if isinstance(value, bool) or not _SECONDS.fullmatch(text) or not 1 <= float(text) <= 3600:
        raise ValueError("expected seconds, from 1 to 3600")
    return float(text)


_SECONDS = re.compile(r"[0-9]{1,4}(\.[0-9]{1,3})?", re.ASCII)
_VOLUME = re.compile("[a-zA-Z0-9][a-zA-Z0-9_.-]{1,62}")


def word(value: object) -> str:
    """Parse a non-empty string without blanks or control characters. Raises ValueError."""
    if not isinstance(value, str) or not value.isprintable() or value.split() != [value]:
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


def place(value: object) -> str:
    """Parse the name of a place, which may be empty. Raises ValueError for what cannot be one."""
    text = str(value)
    if not isinstance(value, str) or not re.fullmatch("([a-z0-9][a-z0-9-]{0,62})?", text, re.ASCII):
        raise ValueError("expected the name of a place, of a-z, 0-9 and -: see cai remote ls")
    return text


def volume(value: object) -> str:
    """Parse the name of a volume, "" for none. Raises ValueError for what Docker would not take."""
    if not isinstance(value, str) or (value and not _VOLUME.fullmatch(value)):
        raise ValueError("expected 2 to 63 of letters, digits, - _ . with a letter or digit first")
    return value


#: The images of ours, each upon the one before.
LAYERS = ("base", "sdks", "full")
#: What `engine.runtime` and --runtime can be.
RUNTIMES = ("auto", "sysbox", "embedded")


def runtime(value: object) -> str:
    """Parse a choice of runtimes. Raises ValueError for what is none."""
    if value not in RUNTIMES:
        raise ValueError("expected one of: " + ", ".join(RUNTIMES))
    return str(value)


#: What `engine.provider` can be.
PROVIDERS = ("auto", "docker-ce", "distro")


def provider(value: object) -> str:
    """Parse where Docker's programs come from. Raises ValueError for what is no provider."""
    if value in PROVIDERS:
        return str(value)
    raise ValueError("expected auto, docker-ce or distro")


#: What `import.auto` can be.
OFFERS = ("ask", "always", "never")


def offer(value: object) -> str:
    """Parse whether something is offered. Raises ValueError for what does not say so."""
    if value in OFFERS:
        return str(value)
    raise ValueError("expected ask, always or never")


#: What `browser.open` can be.
OPENING = ("print", "open", "never")


def opening(value: object) -> str:
    """Parse what is done with an address that a box asks to open. Raises ValueError."""
    if value in OPENING:
        return str(value)
    raise ValueError("expected print, open or never")


#: What `image.source` and --source can be.
SOURCES = ("auto", "upstream", "distro")


def source(value: object) -> str:
    """Parse where what is in images comes from. Raises ValueError for what is no source."""
    if value in SOURCES:
        return str(value)
    raise ValueError("expected auto, upstream or distro")


#: The steps of image `sdks`, each a file of its directory `steps`.
STEPS = ("build", "dotnet", "go", "node", "python", "rust")


def steps(value: object) -> str:
    """Parse what image `sdks` is made without; return it sorted. Raises ValueError."""
    chosen = sorted(set(str(value).split()))
    if not isinstance(value, str) or not set(chosen) <= set(STEPS):
        raise ValueError("expected some of: " + ", ".join(STEPS))
    return " ".join(chosen)


def versions(value: object) -> str:
    """Parse versions, NAME=VALUE each, with blanks between. Raises ValueError."""
    words = str(value).split()
    if not isinstance(value, str) or not all(_VERSION.fullmatch(word) for word in words):
        raise ValueError("expected versions, for example GO=1.26.7 GO_SHA256_amd64=…")
    return " ".join(words)


_VERSION = re.compile(r"[A-Z][A-Z0-9]*(_\w+)?=[\w.+/=-]+", re.ASCII)


#: What Docker pulls from where an image's name has no registry.
DOCKER_HUB = "https://registry-1.docker.io"
_REGISTRY_URL = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?")


def cached(value: object) -> str | None:
    """Parse true (Docker Hub), the URL of a registry, "none" or false (""), or "" (None: as it is).

    Raises ValueError for what is none of these. It ends up in a configuration: only what is plain.
    """
    if value == "":
        return None
    if value in ("none", "false") or value is False:
        return ""
    if value == "true" or value is True:
        return DOCKER_HUB
    if not isinstance(value, str) or not _REGISTRY_URL.fullmatch(value):
        raise ValueError("expected true, none, or a URL like https://mirror.example.com")
    return value


def directories(value: object) -> tuple[str, ...]:
    """Parse absolute paths, as a list or with colons between, or "none". Raises ValueError."""
    if value == "none":
        return ()
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
