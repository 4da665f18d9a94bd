"""Variables for boxes: what `[env]` and `--env` may say. Values are never shown."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from containai.layout import SESSION_VARIABLE

#: A name, as every shell takes one.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}", re.ASCII)
#: What a shell starts by, or does not let itself be told.
_BREAKING = frozenset(
    ("BASH_ENV", "BASHOPTS", "ENV", "EUID", "IFS", "PPID", "PS4", "SHELLOPTS", "SHLVL", "UID")
)
#: What each session and each service of a box has of its own.
_OF_SESSION = frozenset(
    (
        "DBUS_SESSION_BUS_ADDRESS", "HOME", "LOGNAME", "MAIL", "OLDPWD", "PATH", "PWD", "SHELL",
        "TERM", "USER", "XDG_RUNTIME_DIR",
    )
)  # fmt: skip
#: The kernel takes no longer one (execve(2), MAX_ARG_STRLEN), and a session gets all in one.
LIMIT = 96 << 10
#: What says that a box took the variables of a session.
_TAKEN = "CONTAINAI_GIVEN"
_QUOTE = "'\\''"
_KEYS = ("import", "file", "set")


class Env(NamedTuple):
    """What `[env]` says: names from the host, files, and values."""

    names: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    literal: Mapping[str, str] = {}

    def over(self, other: "Env") -> "Env":
        """Return these beside others; where both say a variable, these count."""
        return Env(
            tuple(dict.fromkeys((*other.names, *self.names))),
            tuple(dict.fromkeys((*other.files, *self.files))),
            {**other.literal, **self.literal},
        )

    def shown(self) -> dict[str, list[str]]:
        """Return what people may see: names, and where values are from."""
        said = dict(
            zip(_KEYS, (list(self.names), list(self.files), list(self.literal)), strict=True)
        )
        return {key: value for key, value in said.items() if value}


def joined(before: Env, later: Env) -> Env:
    """Return what two places say, of which the later counts."""
    return later.over(before)


def parse(given: object) -> Env:
    """Parse the table `[env]`. Raises ValueError, without any value."""
    if given == "":
        return Env()
    if not isinstance(given, dict) or not given.keys() <= set(_KEYS):
        raise ValueError('expected import, file and set, for example: import = ["NPM_TOKEN"]')
    names = _listed(given.get("import", []), "import")
    files = _listed(given.get("file", []), "file")
    for name in names:
        check(name)
    for path in files:
        if not path.startswith(("/", "~/")) or not path.isprintable():
            raise ValueError("file: expected a whole path, or one that begins with ~/")
    return Env(names, files, _literal(given.get("set", {})))


def _listed(given: Any, key: str) -> tuple[str, ...]:
    listed = [given] if isinstance(given, str) else given
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise ValueError(f"{key}: expected a text, or a list of such")
    return tuple(listed)


def _literal(given: Any) -> dict[str, str]:
    if not isinstance(given, dict):
        raise ValueError('set: expected a table, for example: set.EDITOR = "vi"')
    found = {}
    for name, value in given.items():
        check(name)
        if isinstance(value, bool | int | float):
            value = str(value).lower() if isinstance(value, bool) else str(value)
        if not isinstance(value, str):
            raise ValueError(f"set.{name}: expected a text")
        found[name] = check_value(name, value)
    return found


def check(name: str, *, once: bool = False) -> str:
    """Return a name that a variable of a box, or `once` of one session, may have.

    Raises ValueError.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a variable; patterns are none, either")
    if name in {*_BREAKING, SESSION_VARIABLE, _TAKEN} or (name in _OF_SESSION and not once):
        raise ValueError(f"{name} is a session's own")
    return name


def check_value(name: str, value: str) -> str:
    """Return a value that a variable may have. Raises ValueError, without it."""
    if "\0" in value or len(value.encode("utf-8", "surrogateescape")) > LIMIT:
        raise ValueError(f"the value of {name} has a NUL, or more than {LIMIT >> 10} KiB")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"the value of {name} is not valid UTF-8") from None
    return value


def dotenv(text: str) -> dict[str, str]:
    """Return what a file says: NAME=VALUE a line, as most tools read `.env`.

    Nothing is run or replaced: "$" is a dollar. Values may be in quotes, and then have several
    lines; in double ones a backslash makes a line feed of n, and so on. Raises ValueError with the
    line, and no value.
    """
    found: dict[str, str] = {}
    at, text = 0, text.replace("\r\n", "\n")
    while at < len(text):
        match = _LINE.match(text, at)
        if match is None:
            raise ValueError(f"line {text.count(chr(10), 0, at) + 1}: expected NAME=VALUE")
        at = match.end()
        name = match["name"]
        if name is None:
            continue
        line = text.count("\n", 0, match.start("name")) + 1
        if not _NAME.fullmatch(name):
            # It may be of a key.
            raise ValueError(f"line {line}: expected NAME=VALUE")
        try:
            found[check(name)] = check_value(name, _unquoted(match))
        except ValueError as wrong:
            raise ValueError(f"line {line}: {wrong}") from None
    return found


_LINE = re.compile(
    r"""[ \t]*(?:(?:export[ \t]+)?(?P<name>[^\s=#'"]+)[ \t]*=[ \t]*"""
    r"""(?:'(?P<single>[^']*)'|"(?P<double>(?:\\.|[^"\\])*)"|(?P<plain>(?!['"])[^\n]*?))[ \t]*)?"""
    r"""(?:(?:(?<=[ \t\n'"])|^)\#[^\n]*)?(?:\n|\Z)""",
    re.DOTALL | re.MULTILINE,
)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}


def _unquoted(match: "re.Match[str]") -> str:
    if match["single"] is not None:
        return match["single"]
    if match["double"] is not None:
        return re.sub(
            r"\\(.)", lambda each: _ESCAPED.get(each[1], each[1]), match["double"], flags=re.DOTALL
        )
    return (match["plain"] or "").strip()


def for_session(values: Mapping[str, str]) -> dict[str, str]:
    """Return the variable that has others in it, as `session` in a box takes them: for a shell.

    So ssh on the host gets none that steers it.
    """
    words = [f"{name}='{value.replace(chr(39), _QUOTE)}'" for name, value in values.items()]
    return {SESSION_VARIABLE: f"{_TAKEN}=1; export {' '.join(words)}"}


def of_session(given: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return what options say: NAME=VALUE, or NAME for what it is here. Raises ValueError."""
    found = {}
    for each in given:
        name, equals, value = each.partition("=")
        check(name, once=True)
        if not equals and name not in environ:
            raise ValueError(f"{name} is not set here")
        found[name] = check_value(name, value if equals else environ[name])
    if sum(len(name) + len(value.encode()) for name, value in found.items()) > LIMIT:
        raise ValueError(f"more than {LIMIT >> 10} KiB in all")
    return found
