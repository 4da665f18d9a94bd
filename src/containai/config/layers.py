"""What files say of settings, each part of one as a layer: keys, and where they stand."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from containai.config import file
from containai.config.setting import Origin, Reach, Setting, Source
from containai.errors import ContainAIError, DamagedError, UsageError

#: The user's table of tables, one a workspace, by its path; what is no path there is a setting.
WORKSPACES = "workspace"


class Own(NamedTuple):
    """The file of settings that is in a workspace, and whether its user trusts it as it is."""

    path: str
    text: str
    trusted: bool = False


class Layer(NamedTuple):
    """What a file says, or a table of it: `inside` has the names of the tables it is in."""

    origin: Origin
    path: str
    text: str
    given: Mapping[str, object]
    inside: tuple[str, ...] = ()
    trusted: bool = False

    def source(self, key: str) -> Source:
        """Return where it says a key, with the line."""
        return Source(self.origin, self.path, file.line(self.text, key, self.inside))


def of_user(path: str, rows: "Sequence[Setting[Any]]") -> tuple[Layer, dict[str, Layer]]:
    """Return what the user's file says, and what its tables say of workspaces, by their paths.

    Raises ContainAIError for a file that cannot be read, UsageError for a key that is not known or
    cannot be said of a workspace.
    """
    text = file.read(path)
    said = file.parsed(path, text)
    named = said.get(WORKSPACES)
    tables = {}
    if isinstance(named, dict):
        tables = {key: value for key, value in named.items() if key.startswith(("/", "~"))}
        said = {**said, WORKSPACES: {key: named[key] for key in named.keys() - tables.keys()}}
    users = _layer(Layer(Origin.FILE, path, text, said), rows)
    found = {}
    for key, value in tables.items():
        if not isinstance(value, dict):
            where = Source(Origin.TABLE, path, file.line(text, key, (WORKSPACES,)))
            raise UsageError(f"{where}: {key!r} is no table", hint=f'write [workspace."{key}"]')
        layer = _layer(Layer(Origin.TABLE, path, text, value, (WORKSPACES, key)), rows)
        for row in rows:
            if row.key in layer.given and row.reach is Reach.MACHINE:
                raise UsageError(
                    f"{layer.source(row.key)}: {row.key} is not of one workspace",
                    hint="say it outside of the workspace's table, for all of them",
                )
        found[place(key)] = layer
    return users, found


def place(key: str) -> str:
    """Return the path that a table of a workspace is for. No link on its way is followed."""
    return os.path.normpath(os.path.expanduser(key))


def inside(text: str, workspace: str) -> tuple[str, ...]:
    """Return the names of the tables that a text's settings of a workspace are in, or go to."""
    try:
        named = file.at(file.parsed("", text), [WORKSPACES])
    except ContainAIError:
        named = None
    keys = named if isinstance(named, dict) else ()
    same = (key for key in keys if key.startswith(("/", "~")) and place(key) == workspace)
    return (WORKSPACES, next(same, workspace))


def of_workspace(own: Own, rows: "Sequence[Setting[Any]]") -> Layer:
    """Return what the file in a workspace says. Raises as `of_user`."""
    try:
        said = file.parsed(own.path, own.text)
    except DamagedError as wrong:
        # It is no file of cai's: nobody moves it aside.
        raise ContainAIError(str(wrong), hint="correct it") from None
    layer = Layer(Origin.WORKSPACE, own.path, own.text, said, trusted=own.trusted)
    return _layer(layer, rows)


def _layer(layer: Layer, rows: "Sequence[Setting[Any]]") -> Layer:
    """Return a layer with its tables as keys. Raises UsageError for one that is not known."""
    whole = {row.key for row in rows if row.table}
    try:
        given = file.flat(layer.given, whole)
    except RecursionError:
        wrong = "what is in it is nested too deeply"
        raise ContainAIError(f"{layer.path} is not valid: {wrong}", hint="correct it") from None
    known = [row.key for row in rows]
    for key in given:
        if key not in known:
            raise _unknown(key, layer.source(key), known)
    return layer._replace(given=given)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return what is spelled most like a word, or ""."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(word, list(known), 1)), "")


def _unknown(key: str, source: Source, known: Sequence[str]) -> UsageError:
    close = nearest(key, known)
    hint = f"did you mean {close}? " if close else ""
    return UsageError(
        f"{source}: unknown setting {key!r}", hint=f"{hint}known: {', '.join(sorted(known))}"
    )
