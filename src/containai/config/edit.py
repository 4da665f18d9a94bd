"""Changes a text of settings (TOML) and nothing else of it: comments, order and blanks stay.

On no warm path: tomlkit takes longer to import than a session to start.
"""

import tomllib
from collections.abc import MutableMapping
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Table

from containai.config import file
from containai.errors import ContainAIError, UsageError

#: What a value of a file is, that a command line says.
Stated = bool | str | list[str]


def with_value(text: str, key: str, value: Stated) -> str:
    """Return a text in which a key ("box.memory") has a value.

    Raises UsageError where a part of the key is something else than a table there, ContainAIError
    for a text that is no TOML.
    """
    document = _parsed(text)
    table: MutableMapping[str, Any] = document
    *parents, last = key.split(".")
    for parent in parents:
        if parent not in table:
            table[parent] = tomlkit.table()
        below = table[parent]
        if not isinstance(below, MutableMapping):
            raise UsageError(f"{parent} is no table there", hint="correct it: cai config edit")
        table = below
    table[last] = value
    return _checked(document.as_string(), key, value)


def without(text: str, key: str) -> str:
    """Return a text without a key; the same where it is not in there.

    Raises ContainAIError for a text that is no TOML.
    """
    document = _parsed(text)
    table: Any = document
    *parents, last = key.split(".")
    for parent in parents:
        table = table.get(parent) if isinstance(table, MutableMapping) else None
    if not isinstance(table, MutableMapping) or last not in table:
        return text
    del table[last]
    # No heading without anything below it; one with a comment stays.
    if len(parents) == 1 and isinstance(table, Table) and not table.as_string().strip():
        del document[parents[0]]
    return _checked(document.as_string(), key, None)


def _parsed(text: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except (TOMLKitError, ValueError, RecursionError) as wrong:
        raise ContainAIError(f"it is not valid TOML: {wrong}", hint="correct it") from None


def _checked(text: str, key: str, value: Stated | None) -> str:
    """Return a text that says what it should to the parser that reads settings."""
    try:
        said = file.flat(tomllib.loads(text)).get(key)
    except ValueError:
        said = object()
    if said != value:
        raise ContainAIError(f"{key} cannot be changed in this file", hint="cai config edit")
    return text
