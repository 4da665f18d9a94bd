"""`cai config list|get|set|unset|edit|path`."""

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from containai.app import App
from containai.cli.command import PATH, Argument, Command, Example
from containai.cli.report import Become, Note, Report, Table
from containai.errors import ContainAIError, UsageError

if TYPE_CHECKING:
    from containai.config.setting import Setting
    from containai.config.settings import Ignored

#: Debian's choice, which its alternatives(1) have.
_EDITOR = "editor"
_SETTINGS = "docs/reference/settings.md"
#: What an editor with windows shows itself by.
_EDITORS_OWN = ("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY")


def list_all(app: App, *, changed: bool, path: str | None = None) -> Report:
    """List the settings, each with its value and what said it."""
    from containai.config.setting import Origin

    settings = _at(app, path).settings
    ignored = {each.key: each for each in settings.ignored}
    rows = [(row, settings.source(row)) for row in settings.rows()]
    if changed:
        rows = [
            (row, source)
            for row, source in rows
            if source.origin is not Origin.DEFAULT or row.key in ignored
        ]
    value = [
        {"key": row.key, "value": settings.told(row), "default": row.default}
        | {"origin": source.origin, "source": source.name, "line": source.line}
        | {"ignored": _left_out(ignored.get(row.key))}
        for row, source in rows
    ]
    cells = [[row.key, settings.text(row) or "-", str(source)] for row, source in rows]
    notes = [Note(f"{each.source}: {each.key} is ignored: {each.why}") for each in settings.ignored]
    if not rows:
        notes = [Note("nothing is set", "set something: cai config set KEY VALUE")]
    return Report(value, [Table(cells, ["SETTING", "VALUE", "FROM"])] if rows else [], notes=notes)


def _at(app: App, path: str | None) -> App:
    """Return the App of a workspace: that of the current directory where none is given."""
    from containai.boxes import workspace

    return app.at(workspace.resolve(app.layout, path, force=True).path)


def _left_out(ignored: "Ignored | None") -> dict[str, Any] | None:
    if ignored is None:
        return None
    return {"source": ignored.source.name, "line": ignored.source.line, "why": ignored.why}


def get(app: App, *, key: str, path: str | None = None) -> Report:
    """Return a setting's value."""
    row = _row(key)
    settings = _at(app, path).settings
    return Report({"key": row.key, "value": settings.told(row)}, [f"{settings.text(row)}\n"])


def set_(app: App, *, key: str, value: Sequence[str], workspace: str | None = None) -> Report:
    """Write a setting's value into the user's file."""
    from containai.config import edit
    from containai.config.setting import Reach

    row = _row(key, within=True)
    stated = _stated(row, key, value)
    if workspace is not None:
        app = _at(app, workspace)
        if row.reach is Reach.MACHINE:
            raise UsageError(f"{key} is not of one workspace", hint="leave out --workspace")

    def changed(text: str, inside: Sequence[str]) -> str:
        return _whole(row, edit.with_value(text, key, stated, inside), inside)

    return _told(app, row, changed=_change(app, changed))


def unset(app: App, *, key: str, workspace: str | None = None) -> Report:
    """Take a key out of the user's file, be it a setting's or not."""
    from containai.config import edit

    if workspace is not None:
        # It may be gone.
        app = app.at(os.path.realpath(workspace))
    changed = _change(app, lambda text, inside: edit.without(text, key, inside))
    if changed and _known(key, within=True) is None:
        return Report({"key": key, "changed": changed, "value": None})
    return _told(app, _row(key, within=True), changed=changed)


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


def _known(key: str, *, within: bool = False) -> "Setting[Any] | None":
    """Return the row of a key, or of the table that it is `within`."""
    from containai.config.settings import Settings

    for row in Settings.rows():
        if row.key == key or (within and row.table and key.startswith(f"{row.key}.")):
            return row
    return None


def _row(key: str, *, within: bool = False) -> "Setting[Any]":
    from containai.config.settings import Settings, nearest

    row = _known(key, within=within)
    if row is not None:
        return row
    close = nearest(key, [row.key for row in Settings.rows()])
    meant = f" (did you mean {close}?)" if close else ""
    raise UsageError(f"there is no setting {key!r}{meant}", hint="see: cai config list")


def _stated(row: "Setting[Any]", key: str, words: Sequence[str]) -> bool | str | list[str]:
    """Return what a file is to say: as a person would write it."""
    value: str | list[str] = words[0] if len(words) == 1 else list(words)
    if row.table:
        if key == row.key:
            raise UsageError(
                f"{key} is a table", hint=f"write it: cai config edit; its form: {_SETTINGS}"
            )
        return value
    try:
        parsed = row.parse(value)
    except ValueError as wrong:
        shown = " ".join(words)
        raise UsageError(f"{row.key} = {shown!r} is not valid", hint=str(wrong)) from None
    return parsed if isinstance(parsed, bool) else value


def _whole(row: "Setting[Any]", text: str, inside: Sequence[str]) -> str:
    """Return a text whose table of a row is right as a whole. Raises UsageError."""
    if row.table:
        import tomllib

        from containai.config import file

        try:
            row.parse(file.at(tomllib.loads(text), [*inside, *row.key.split(".")]))
        except ValueError as wrong:
            raise UsageError(f"{row.key} would not be valid", hint=str(wrong)) from None
    return text


def _change(app: App, change: Callable[[str, Sequence[str]], str]) -> bool:
    """Change the user's file under a lock; return whether that made a difference.

    Where the App is of a workspace, its table there is meant.
    """
    from containai.config import layers
    from containai.host import files

    where = app.layout.config_file
    try:
        files.private_directory(app.layout.config_dir)
        lock = os.path.join(app.layout.config_dir, "config.lock")
        with files.lock(lock, wait=30, what="changing the settings"):
            old = files.read(where) or ""
            new = change(old, layers.inside(old, app.workspace) if app.workspace else ())
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
    from containai.config.setting import Origin

    settings = app.settings
    text, source = settings.text(row), settings.source(row)
    told = settings.told(row)
    value = {"key": row.key, "changed": changed, "value": told, "origin": source.origin}
    notes = []
    if source.origin is Origin.ENVIRONMENT:
        notes.append(
            Note(f"{row.key} is {text} all the same: {source} says so", f"unset {source.name}")
        )
    return Report(value, [f"{row.key} = {text or '-'}  ({source})\n"], notes=notes)


KEY = Argument("KEY", "a setting, as box.memory", required=True)
WORKSPACE = Argument(
    "--workspace",
    "in your config.toml's table of a workspace (default: the current directory)",
    metavar="PATH",
    const=".",
)
COMMANDS = (
    Command(
        "config list",
        "list the settings: their values, and what says so",
        list_all,
        group="machine",
        arguments=(Argument("--changed", "only those that are not as by default"), PATH),
        examples=(
            Example("cai config list", "every setting, with the file and line that says it"),
            Example("cai config list ~/api", "as they are for that workspace"),
            Example("cai config list --changed --json", "for machines"),
        ),
        more="They are those of a workspace, the current directory where no PATH is given: a flag, "
        'else a variable, else your config.toml\'s table [workspace."PATH"], else the '
        "workspace's .containai/config.toml, else your config.toml. What the workspace's may not "
        "say is named.",
    ),
    Command(
        "config get",
        "print the value of a setting",
        get,
        group="machine",
        arguments=(KEY, PATH),
        examples=(Example("cai config get box.memory", "for a box of the current directory"),),
    ),
    Command(
        "config set",
        "write a setting into your config.toml",
        set_,
        group="machine",
        arguments=(
            KEY,
            Argument("VALUE", "its value, or several", required=True, many=True),
            WORKSPACE,
        ),
        examples=(
            Example("cai config set box.memory 8g", "what new boxes may have"),
            Example("cai config set agent.default codex", "what cai run starts"),
            Example("cai config set box.memory 2g --workspace", "for this directory's boxes"),
            Example("cai config set agent.default codex --workspace ~/api", "for that one's"),
        ),
        more="Everything else in the file stays as it is, comments included.",
    ),
    Command(
        "config unset",
        "take a setting out of your config.toml",
        unset,
        group="machine",
        arguments=(KEY, WORKSPACE),
        examples=(
            Example("cai config unset box.memory", "as by default again"),
            Example("cai config unset box.memory --workspace ~/api", "for that one's boxes"),
        ),
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
