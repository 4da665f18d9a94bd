"""`cai config list|get|set|unset|edit|path`."""

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from containai.app import App
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Become, Note, Report, Table
from containai.errors import ContainAIError, UsageError

if TYPE_CHECKING:
    from containai.config.settings import Setting

#: Debian's choice, which its alternatives(1) have.
_EDITOR = "editor"
#: What an editor with windows shows itself by.
_EDITORS_OWN = ("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY")


def list_all(app: App, *, changed: bool) -> Report:
    """List the settings, each with its value and what said it."""
    from containai.config.settings import Origin

    settings = app.settings
    rows = [(row, settings.source(row)) for row in settings.rows()]
    if changed:
        rows = [(row, source) for row, source in rows if source.origin is not Origin.DEFAULT]
    value = [
        {"key": row.key, "value": settings.text(row), "default": row.default}
        | {"origin": source.origin, "source": source.name, "line": source.line}
        for row, source in rows
    ]
    cells = [[row.key, settings.text(row) or "-", str(source)] for row, source in rows]
    notes = [] if rows else [Note("nothing is set", "set something: cai config set KEY VALUE")]
    return Report(value, [Table(cells, ["SETTING", "VALUE", "FROM"])] if rows else [], notes=notes)


def get(app: App, *, key: str) -> Report:
    """Return a setting's value."""
    row = _row(key)
    text = app.settings.text(row)
    return Report({"key": row.key, "value": text}, [f"{text}\n"])


def set_(app: App, *, key: str, value: Sequence[str]) -> Report:
    """Write a setting's value into the user's file."""
    from containai.config import edit

    row = _row(key)
    stated = _stated(row, value)
    changed = _change(app, lambda text: edit.with_value(text, row.key, stated))
    return _told(app, row, changed=changed)


def unset(app: App, *, key: str) -> Report:
    """Take a key out of the user's file, be it a setting's or not."""
    from containai.config import edit
    from containai.config.settings import Settings

    changed = _change(app, lambda text: edit.without(text, key))
    if changed and key not in {row.key for row in Settings.rows()}:
        return Report({"key": key, "changed": changed, "value": None})
    return _told(app, _row(key), changed=changed)


def edit_(app: App) -> Become:
    """Return the editor, with the user's file."""
    import shlex

    from containai.host import files

    where = app.layout.config_file
    if not os.path.exists(where):
        files.private_directory(app.layout.config_dir)
        files.write(where, "# cai config list\n", 0o600)
    wanted = app.environ.get("VISUAL") or app.environ.get("EDITOR") or _EDITOR
    try:
        words = shlex.split(wanted)
    except ValueError:
        words = []
    program = app.host.which(words[0]) if words else None
    if program is None:
        raise ContainAIError(
            f"there is no editor {wanted!r}", hint=f"set EDITOR to one, or open {where} yourself"
        )
    return Become([program, *words[1:], where], keep=_EDITORS_OWN)


def path(app: App) -> Report:
    """Return where the user's file is, whether it is there or not."""
    return Report({"path": app.layout.config_file}, [f"{app.layout.config_file}\n"])


def _row(key: str) -> "Setting[Any]":
    from containai.config.settings import Settings, nearest

    for row in Settings.rows():
        if row.key == key:
            return row
    close = nearest(key, [row.key for row in Settings.rows()])
    meant = f" (did you mean {close}?)" if close else ""
    raise UsageError(f"there is no setting {key!r}{meant}", hint="see: cai config list")


def _stated(row: "Setting[Any]", words: Sequence[str]) -> bool | str | list[str]:
    """Return what a file is to say: as a person would write it."""
    value: str | list[str] = words[0] if len(words) == 1 else list(words)
    try:
        parsed = row.parse(value)
    except ValueError as wrong:
        shown = " ".join(words)
        raise UsageError(f"{row.key} = {shown!r} is not valid", hint=str(wrong)) from None
    return parsed if isinstance(parsed, bool) else value


def _change(app: App, change: Callable[[str], str]) -> bool:
    """Change the user's file under a lock; return whether that made a difference."""
    from containai.host import files

    where = app.layout.config_file
    try:
        files.private_directory(app.layout.config_dir)
        lock = os.path.join(app.layout.config_dir, "config.lock")
        with files.lock(lock, wait=30, what="changing the settings"):
            old = files.read(where) or ""
            new = change(old)
            if new != old:
                files.write(where, new, files.mode(where, 0o600))
    except ContainAIError as wrong:
        raise type(wrong)(f"{where}: {wrong}", hint=wrong.hint) from None
    except OSError as wrong:
        raise ContainAIError(
            f"{wrong.filename or where}: {wrong.strerror}",
            hint=f"it has to be yours to write: {where}",
        ) from None
    return new != old


def _told(app: App, row: "Setting[Any]", *, changed: bool) -> Report:
    """Say what a setting is from now on, and what still says something else."""
    from containai.config.settings import Origin

    settings = app.settings
    text, source = settings.text(row), settings.source(row)
    value = {"key": row.key, "changed": changed, "value": text, "origin": source.origin}
    notes = []
    if source.origin is Origin.ENVIRONMENT:
        notes.append(
            Note(f"{row.key} is {text} all the same: {source} says so", f"unset {source.name}")
        )
    return Report(value, [f"{row.key} = {text or '-'}  ({source})\n"], notes=notes)


KEY = Argument("KEY", "a setting, as box.memory", required=True)
COMMANDS = (
    Command(
        "config list",
        "list the settings: their values, and what says so",
        list_all,
        group="machine",
        arguments=(Argument("--changed", "only those that are not as by default"),),
        examples=(
            Example("cai config list", "every setting, with the file and line that says it"),
            Example("cai config list --changed --json", "for machines"),
        ),
    ),
    Command(
        "config get",
        "print the value of a setting",
        get,
        group="machine",
        arguments=(KEY,),
        examples=(Example("cai config get box.memory", ""),),
    ),
    Command(
        "config set",
        "write a setting into your config.toml",
        set_,
        group="machine",
        arguments=(KEY, Argument("VALUE", "its value, or several", required=True, many=True)),
        examples=(
            Example("cai config set box.memory 8g", "what new boxes may have"),
            Example("cai config set agent.default codex", "what cai run starts"),
        ),
        more="Everything else in the file stays as it is, comments included.",
    ),
    Command(
        "config unset",
        "take a setting out of your config.toml",
        unset,
        group="machine",
        arguments=(KEY,),
        examples=(Example("cai config unset box.memory", "as by default again"),),
        more="It also takes out what is no setting.",
    ),
    Command(
        "config edit",
        "open your config.toml in your editor",
        edit_,
        group="machine",
        has_value=False,
        examples=(Example("cai config edit", ""),),
        more="That is VISUAL or EDITOR, else the system's.",
    ),
    Command(
        "config path",
        "print where your config.toml is",
        path,
        group="machine",
        examples=(Example("cai config path", ""),),
    ),
)
