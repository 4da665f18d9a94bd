"""Configurations of git (git-config(1), "CONFIGURATION FILE"), read without running git. Pure.

What is brought into a box is written anew from what was read, so that nothing which this reads
otherwise than git does can slip through.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

#: Where git looks in a home; the last one counts.
PATHS = (".config/git/config", ".gitconfig")
#: How deep files may be included in each other: git's own limit.
_DEPTH = 10
_ESCAPES = {"n": "\n", "t": "\t", "b": "\b", '"': '"', "\\": "\\"}
_WRITTEN = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\b": "\\b"}


class Entry(NamedTuple):
    """A key and its value; None is one without "=", which means true."""

    section: str
    #: None where there is none; "" is one.
    subsection: str | None
    key: str
    value: str | None

    @property
    def shown(self) -> str:
        """Its name as it is said: a subsection may be an address with a login in it."""
        return f"{self.section}.{self.key}"

    @property
    def name(self) -> str:
        """The key's whole name, as `git config --list` has it."""
        middle = () if self.subsection is None else (self.subsection,)
        return ".".join((self.section, *middle, self.key))


def parse(text: str) -> list[Entry]:
    """Return all entries, in order. Raises ValueError, with the line, for what git would not take.

    What other files are included is not read.
    """
    return list(_Reader(text.removeprefix("\ufeff").replace("\r\n", "\n")).entries())


def written(entries: Sequence[Entry]) -> str:
    """Return the text of a file with these entries."""
    lines: list[str] = []
    before: tuple[str, str | None] | None = None
    for entry in entries:
        at = (entry.section, entry.subsection)
        if at != before:
            lines.append(_header(*at))
            before = at
        value = "" if entry.value is None else f' = "{_escaped(entry.value)}"'
        lines.append(f"\t{entry.key}{value}\n")
    return "".join(lines)


def value(entries: Sequence[Entry], name: str) -> str:
    """Return the value that counts of a key: the last, or ""."""
    return next((entry.value or "" for entry in reversed(entries) if entry.name == name), "")


def _header(section: str, subsection: str | None) -> str:
    if subsection is None:
        return f"[{section}]\n"
    quoted = subsection.replace("\\", "\\\\").replace('"', '\\"')
    return f'[{section} "{quoted}"]\n'


def _escaped(text: str) -> str:
    return "".join(_WRITTEN.get(each, each) for each in text)


def included(
    content: bytes,
    path: str,
    read: Callable[[str], bytes | None],
    left: list[str],
    depth: int = 0,
) -> list[Entry]:
    """Return the entries of a file, and in their places those of files of the home it includes.

    What is included under a condition is left out: that names directories of the host. Raises
    ValueError for a file that is none of git's.
    """
    entries: list[Entry] = []
    for entry in parse(content.decode("utf-8", "surrogateescape")):
        if entry.section == "includeif":
            left.append(f"{entry.shown}: only where the host has that directory")
        elif entry.name != "include.path":
            entries.append(entry)
        else:
            there = _place(entry.value or "", path)
            inner = read(there) if there and depth < _DEPTH else None
            if inner is None:
                left.append(f"include.path: {entry.value!r} is no file of the home that is read")
            else:
                entries += included(inner, there, read, left, depth + 1)
    return entries


def identity(read: Callable[[str], bytes | None]) -> tuple[str, str]:
    """Return the name and the address that commits have, "" where there is none."""
    entries: list[Entry] = []
    for path in PATHS:
        content = read(path)
        try:
            entries += included(content or b"", path, read, [])
        except ValueError:
            continue
    return value(entries, "user.name"), value(entries, "user.email")


def _place(value: str, path: str) -> str:
    """Return the path below the home of a file that is included, or "" where it is elsewhere."""
    if value.startswith("~/"):
        return value[2:]
    if not value or value.startswith(("/", "~", "%(prefix)")):
        return ""
    parts: list[str] = path.split("/")[:-1]
    for part in value.split("/"):
        if part == "..":
            if not parts:
                return ""
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


class _Reader:
    """Reads a text once, from its beginning."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def entries(self) -> Iterator[Entry]:
        """Return all entries."""
        section: str | None = None
        subsection: str | None = None
        while (each := self._next()) is not None:
            if each.isspace():
                continue
            if each in "#;":
                self._skip_line()
            elif each == "[":
                section, subsection = self._section()
            elif each.isascii() and each.isalpha() and section is not None:
                yield Entry(section, subsection, *self._entry(each))
            else:
                raise self._wrong()

    def _next(self) -> str | None:
        if self._at == len(self._text):
            return None
        self._at += 1
        return self._text[self._at - 1]

    def _skip_line(self) -> None:
        while self._next() not in ("\n", None):
            pass

    def _section(self) -> tuple[str, str | None]:
        name = self._word("-.")
        each = self._next_after_blanks()
        if each == '"':
            subsection = self._subsection()
            if not name or self._next() != "]":
                raise self._wrong()
            return name.lower(), subsection
        if not name or each != "]":
            raise self._wrong()
        # The old way to write a subsection: no case in it counts.
        section, dot, below = name.lower().partition(".")
        return section, below if dot else None

    def _subsection(self) -> str:
        taken = ""
        while (each := self._next()) != '"':
            if each == "\\":
                each = self._next()
            if each is None or each == "\n":
                raise self._wrong()
            taken += each
        return taken

    def _entry(self, first: str) -> tuple[str, str | None]:
        key = (first + self._word("-")).lower()
        each = self._next_after_blanks()
        if each in ("\n", None):
            return key, None
        if each in ("#", ";"):
            self._skip_line()
            return key, None
        if each != "=":
            raise self._wrong()
        return key, self._value()

    def _value(self) -> str:
        taken, blanks, quoted = "", "", False
        while (each := self._next()) not in ("\n", None):
            assert each is not None
            if not quoted and each in "#;":
                self._skip_line()
                break
            if not quoted and each.isspace():
                blanks += each if taken else ""
                continue
            taken, blanks = taken + blanks, ""
            if each == '"':
                quoted = not quoted
            elif each == "\\":
                taken += self._escape()
            else:
                taken += each
        if quoted:
            raise self._wrong()
        return taken

    def _escape(self) -> str:
        each = self._next()
        if each == "\n":
            return ""
        if each not in _ESCAPES:
            raise self._wrong()
        return _ESCAPES[each]

    def _word(self, more: str) -> str:
        begin = self._at
        while self._at < len(self._text) and (
            (self._text[self._at].isascii() and self._text[self._at].isalnum())
            or self._text[self._at] in more
        ):
            self._at += 1
        return self._text[begin : self._at]

    def _next_after_blanks(self) -> str | None:
        while (each := self._next()) in (" ", "\t"):
            pass
        return each

    def _wrong(self) -> ValueError:
        line = self._text.count("\n", 0, self._at) + 1
        return ValueError(f"line {line} is none of a configuration of git")
