"""`cai mount add|ls|rm`."""

from containai.app import App
from containai.cli import naming
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Note, Report, Table

_BOX = "its name, or the path of its workspace; . is the box of this directory"


def add(app: App, *, box: str, source: str, target: str | None, writable: bool) -> Report:
    """Have a box show something of the host, while it runs."""
    from containai.flows import mounts

    found, mount, is_new = mounts.add(app, naming.target(box), source, target, writable=writable)
    value = {"name": found.name, "added": is_new, **mount._asdict()}
    how = "writable" if mount.writable else "read-only"
    return Report(value, [f"{found.name}: {mount.source} is at {mount.target}, {how}\n"])


def ls(app: App, *, box: str | None) -> Report:
    """List what was added to a box."""
    from containai.flows import mounts

    found, rows = mounts.listed(app, naming.target(box))
    cells = [[m.source, m.target, "writable" if m.writable else "read-only"] for m in rows]
    notes = [
        Note(f"{m.source} is not there: the next start of {found.name} goes without it")
        for m in rows
        if not m.is_there
    ]
    views = [Table(cells, ["SOURCE", "TARGET", "MODE"])] if rows else []
    return Report({"name": found.name, "mounts": rows}, views, notes=notes)


def rm(app: App, *, box: str, target: str) -> Report:
    """Take what was added to a box away again."""
    from containai.flows import mounts

    found, gone = mounts.remove(app, naming.target(box), target)
    value = {"name": found.name, "removed": gone.target, "source": gone.source}
    return Report(value, [f"{found.name}: {gone.target} is mounted no more\n"])


COMMANDS = (
    Command(
        "mount add",
        "show a box more of the host, while it runs",
        add,
        group="boxes",
        arguments=(
            Argument("BOX", _BOX, required=True),
            Argument("SOURCE", "a directory or a file of yours", required=True),
            Argument("TARGET", "where the box has it (default: at the same path)"),
            Argument("--writable", "the box may change it; else it is read-only"),
        ),
        examples=(
            Example("cai mount add . /srv/models", "at the same path, read-only"),
            Example("cai mount add api ~/data /data --writable", "a box by its name"),
        ),
        more="Nothing in the box is stopped, and every later start has it again, also that of a "
        "box that cai run --fresh makes in its place. Your files are the agent's there, as those "
        "of the workspace are. What every new box is to have is the setting mount. A stopped box "
        "is started.",
    ),
    Command(
        "mount ls",
        "list what cai mount add has added to a box",
        ls,
        group="boxes",
        arguments=(naming.BOX,),
        examples=(
            Example("cai mount ls", "the box of this directory"),
            Example("cai mount ls api --json", "a box by its name, for machines"),
        ),
        more="What the settings gave it when it was made is shown by cai run --dry-run.",
    ),
    Command(
        "mount rm",
        "take away what cai mount add has added to a box",
        rm,
        group="boxes",
        arguments=(
            Argument("BOX", _BOX, required=True),
            Argument("TARGET", "where the box has it", required=True),
        ),
        examples=(Example("cai mount rm api /data", "from a box by its name"),),
        more="A process of the box that has a file of it open, or that made mounts of its own of "
        "it, has that until it ends, or the box is restarted. A stopped box is started.",
    ),
)
