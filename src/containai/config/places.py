"""The rows of settings that say what of the host a box has, and what of that it may change."""

import os
from collections.abc import Mapping
from typing import NamedTuple

from containai.config import values
from containai.config.setting import Reach, Setting

#: What programs of the host execute of a workspace, or ask whether to.
EXECUTED = (
    ".devcontainer", ".envrc", ".git/config", ".git/hooks", ".husky", ".idea",
    ".pre-commit-config.yaml", ".vscode", "lefthook.yml",
)  # fmt: skip


class Extra(NamedTuple):
    """A directory or file of the host that boxes have, as it was said."""

    source: str
    target: str
    writable: bool = False


def protected(value: object) -> tuple[str, ...]:
    """Parse paths below a workspace, as a list or with blanks between, true or false.

    Raises ValueError.
    """
    if value in ("true", "false", "none", "") or isinstance(value, bool):
        return EXECUTED if value in ("true", True) else ()
    parts = value.split() if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(p, str) for p in parts):
        raise ValueError('expected true, false, or paths, for example [".git/hooks", ".vscode"]')
    for part in parts:
        if not _is_plain(part.removeprefix("/")) or part.startswith("/"):
            raise ValueError(f"expected paths below the workspace; {part!r} is none")
    return tuple(dict.fromkeys(parts))


def _is_plain(path: str) -> bool:
    return path.isprintable() and not {"", ".", ".."}.intersection(path.split("/"))


#: The keys of an entry.
_KEYS = {"source": str, "target": str, "writable": bool}


def extras(value: object) -> tuple[Extra, ...]:
    """Parse entries of [[mount]]. Raises ValueError for what is none."""
    if value == "":
        return ()
    if not isinstance(value, list):
        raise ValueError("expected entries of [[mount]]")
    return tuple(map(_extra, value))


def _extra(entry: object) -> Extra:
    if not isinstance(entry, Mapping):
        raise ValueError("expected a table, [[mount]], with source and target")
    for key, said in entry.items():
        kind = _KEYS.get(key)
        if kind is None:
            raise ValueError(f"{key!r} is no key of a mount; known: {', '.join(_KEYS)}")
        if not isinstance(said, kind):
            raise ValueError(f"{key} is to be {'a path' if kind is str else 'true or false'}")
    source = str(entry.get("source", ""))
    target = str(entry.get("target", source))
    if not source.startswith(("/", "~/")):
        raise ValueError("source is to be an absolute path of the host, or one below ~/")
    if not target.startswith("/"):
        raise ValueError("target is to be an absolute path in the box")
    if not _is_plain(os.path.normpath(target).removeprefix("/")) or not source.isprintable():
        raise ValueError(f"{target!r} is no place for a mount")
    return Extra(source, os.path.normpath(target), entry.get("writable", False))


def joined(first: tuple[Extra, ...], second: tuple[Extra, ...]) -> tuple[Extra, ...]:
    """Return the entries of both; of two for one target the second's."""
    return tuple({extra.target: extra for extra in (*first, *second)}.values())


def shown(extras: tuple[Extra, ...]) -> list[dict[str, object]]:
    """Return what is shown of the entries."""
    return [extra._asdict() for extra in extras]


PROTECT = Setting(
    "workspace.protect",
    protected,
    ".git/hooks",
    "What of a workspace its box cannot change, as a list of paths in it; `true` is all that "
    "programs of the host execute: `" + "`, `".join(EXECUTED) + "`; `false` is nothing. "
    "[What that holds](../explanation/workspaces.md#what-the-hosts-programs-execute). The setting "
    "is for new boxes.",
    file_only=True,
)
READ_ONLY = Setting(
    "workspace.read_only",
    values.flag,
    "false",
    "Whether boxes can only read their workspace. `cai run --read-only` says it for one. The "
    "setting is for new boxes.",
    reach=Reach.TRUSTED,
    harmless=lambda value, users: value or not users,
)
MOUNT = Setting(
    "mount",
    extras,
    "",
    "More of the host that new boxes have, an entry `[[mount]]` each: `source`, a directory or "
    "file of yours; `target`, where the box has it (left out: the same path); `writable = true`, "
    "else it is read-only. [What can be mounted](../explanation/workspaces.md#more-of-the-host).",
    table=True,
    shown=shown,
    joined=joined,
)
