"""A file of settings, as it is read: TOML, and where in it something is said."""

import os
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from containai.errors import DamagedError

#: What a statement may have in it that ends in another line, and what ends it.
_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|'
    r"'''.*?'{3,5}|"
    r'"(?:\\.|[^"\\\n])*"|'
    r"'[^'\n]*'|#[^\n]*|[\[\]{}]|\n",
    re.DOTALL,
)
#: What helps against one that is not valid.
_ASIDE = "correct it; one of yours is moved aside by: cai doctor --fix"
#: How many tables may be in each other.
_DEPTH = 16


def read(path: str) -> str:
    """Return a file's text, or "" where there is none. Raises DamagedError."""
    try:
        with open(path, encoding="utf-8", newline="", opener=_at_once) as file:
            return file.read()
    except FileNotFoundError:
        return ""
    except OSError as wrong:
        why = "it is no file" if isinstance(wrong, IsADirectoryError) else wrong.strerror
        raise DamagedError(f"{path} cannot be read: {why}", hint=_ASIDE) from None
    except ValueError as wrong:
        raise DamagedError(f"{path} is not valid TOML: {wrong}", hint=_ASIDE) from None


def _at_once(path: str, flags: int) -> int:
    """Open a file; of a pipe, wait for nobody."""
    return os.open(path, flags | os.O_NONBLOCK)


def parsed(path: str, text: str) -> dict[str, Any]:
    """Return what a file's text says. Raises DamagedError for one that is not valid."""
    if not text:
        return {}
    import tomllib

    try:
        return tomllib.loads(text)
    except RecursionError:
        wrong: object = "what is in it is nested too deeply"
    except ValueError as invalid:
        wrong = invalid
    raise DamagedError(f"{path} is not valid TOML: {wrong}", hint=_ASIDE)


def flat(
    table: Mapping[str, Any], whole: Collection[str] = (), prefix: str = "", depth: int = 0
) -> dict[str, Any]:
    """Return tables within tables as one, by keys like "box.memory".

    Those of the `whole` keys stay tables. Raises RecursionError for too many in each other.
    """
    if depth > _DEPTH:
        raise RecursionError
    keys: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict) and prefix + key not in whole:
            keys |= flat(value, whole, f"{prefix}{key}.", depth + 1)
        else:
            keys[prefix + key] = value
    return keys


def at(table: Any, parts: Sequence[str]) -> Any:
    """Return what stands in tables below each other, or None."""
    for part in parts:
        table = table.get(part) if isinstance(table, dict) else None
    return table


def line(text: str, key: str, inside: Sequence[str] = ()) -> int:
    """Return the line where a key of a valid TOML text gets its value; of a table, the first.

    tomllib does not tell. But what is cut off between two statements is valid too: the last
    statement of the shortest such text that has the key is the one. `inside` are the tables that
    the key is in, by their names as they are.
    """
    import tomllib

    ends, begins = _ends(text), 1
    low, high = 0, len(ends)
    while low < high:
        middle = (low + high) // 2
        if _has(tomllib.loads(text[: ends[middle]]), key, inside):
            high = middle
        else:
            low = middle + 1
    if low:
        begins += text.count("\n", 0, ends[low - 1])
    return begins


def _ends(text: str) -> list[int]:
    """Return where the statements of a valid TOML text end, each with its end of line."""
    depth, ends = 0, []
    for token in _TOKEN.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if token[0] == "\n" and depth == 0:
            ends.append(token.end())
    return ends


def _has(table: Any, key: str, inside: Sequence[str]) -> bool:
    if not isinstance(table, dict):
        return False
    if inside:
        return _has(table.get(inside[0]), key, inside[1:])
    return key in table or any(
        key.startswith(f"{name}.") and _has(value, key[len(name) + 1 :], ())
        for name, value in table.items()
    )
