"""Changes a text of settings (TOML) and nothing else of it: comments, order and blanks stay.

On no warm path: tomlkit takes longer to import than a session to start.
"""

import tomllib
from collections.abc import MutableMapping, Sequence
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Table

from containai.config import file
from containai.errors import ContainAIError, UsageError

#: What a value of a file is, that a command line says.
Stated = bool | str | list[str]


def with_value(text: str, key: str, value: Stated, inside: Sequence[str] = ()) -> str:
    """Return a text in which a key ("box.memory") has a value.

    `inside` are the tables that the key is in, by their names as they are. Raises UsageError where
    a part of the key is something else than a table there, ContainAIError for a text that is no
    TOML.
    """
    document = _parsed(text)
    table: MutableMapping[str, Any] = document
    *parents, last = (*inside, *key.split("."))
    for at, parent in enumerate(parents):
        if parent not in table:
            table[parent] = tomlkit.table(is_super_table=at + 1 < len(parents))
        below = table[parent]
        if not isinstance(below, MutableMapping):
            raise UsageError(f"{parent} is no table there", hint="correct it: cai config edit")
        table = below
    table[last] = value
    return _checked(document.as_string(), [*parents, last], value)


def without(text: str, key: str, inside: Sequence[str] = ()) -> str:
    """Return a text without a key; the same where it is not in there.

    Raises ContainAIError for a text that is no TOML.
    """
    document = _parsed(text)
    *parents, last = (*inside, *key.split("."))
    tables: list[Any] = [document]
    for parent in parents:
        table = tables[-1]
        tables.append(table.get(parent) if isinstance(table, MutableMapping) else None)
    if not isinstance(tables[-1], MutableMapping) or last not in tables[-1]:
        return text
    del tables[-1][last]
    # No heading without anything below it; one with a comment stays.
    for parent, table, above in zip(parents[::-1], tables[:0:-1], tables[-2::-1], strict=True):
        if not isinstance(table, Table) or table.as_string().strip():
            break
        del above[parent]
    return _checked(document.as_string(), [*parents, last], None)


def _parsed(text: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except (TOMLKitError, ValueError, RecursionError) as wrong:
        raise ContainAIError(f"it is not valid TOML: {wrong}", hint="correct it") from None


def _checked(text: str, parts: Sequence[str], value: Stated | None) -> str:
    """Return a text that says what it should to the parser that reads settings."""
    try:
        said = file.at(tomllib.loads(text), parts)
    except ValueError:
        said = object()
    if said != value:
        key = ".".join(parts)
        raise ContainAIError(f"{key} cannot be changed in this file", hint="cai config edit")
    return text
