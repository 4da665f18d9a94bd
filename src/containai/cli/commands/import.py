"""`cai import [PATH]`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from containai.app import App
from containai.boxes.target import Target
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Note, Report, Table
from containai.work.sizes import size

if TYPE_CHECKING:
    from containai.flows.bringing import Brought
    from containai.sync.gather import Gathered, Item

#: The exit code where a file could not be put into the volume.
FOUND = 1


def run(
    app: App,
    target: Target,
    *,
    from_: str | None,
    include: Sequence[str] | None,
    exclude: Sequence[str] | None,
    no_secrets: bool,
    with_rotating: bool,
    dry_run: bool,
) -> Report:
    """Bring logins and settings into a box's data."""
    from containai.flows import bringing
    from containai.sync.choice import Choice

    choice = Choice(include or (), exclude or (), not no_secrets, with_rotating)
    brought = bringing.bring(app, target, choice, from_ or "", dry_run=dry_run)
    failed = list(brought.done.failed) if brought.done is not None else []
    notes = [Note(f"~/{path}: {why}") for path, why in failed]
    return Report(
        _value(brought),
        _views(brought, dry_run),
        FOUND if failed else 0,
        [*notes, *_notes(brought)],
    )


def _value(brought: "Brought") -> dict[str, Any]:
    done = brought.done
    state = {}
    if done is not None:
        state = dict.fromkeys(done.new, "new") | dict.fromkeys(done.replaced, "replaced")
        state |= dict.fromkeys(done.same, "same") | dict.fromkeys(
            [n for n, _ in done.failed], "failed"
        )
    return {
        "changed": bool(done is not None and (done.new or done.replaced)),
        "from": brought.source,
        "box": brought.box,
        "on": brought.place or "local",
        "volume": brought.volume,
        "live": brought.live,
        "files": [
            item._asdict()
            | {"to": _to(item.path), "state": state.get(item.path, "would be brought")}
            for item in brought.gathered.items
        ],
        "left": [each._asdict() for each in brought.gathered.left],
        "failed": [{"path": path, "why": why} for path, why in (done.failed if done else ())],
    }


def _to(path: str) -> str:
    from containai.layout import DATA_IN_BOX

    return f"{DATA_IN_BOX}/{path}"


def _views(brought: "Brought", dry_run: bool) -> list[str | Table]:  # noqa: FBT001
    gathered = brought.gathered
    views: list[str | Table] = []
    if gathered.items:
        head = ["FROM", "TO", "FILES", "SIZE", "LOGIN", "WITHOUT"]
        views.append(Table(_rows(gathered), head))
    if gathered.left:
        views.append("\nstays:\n" if gathered.items else "stays:\n")
        views.append(Table([("", f"~/{each.path}", each.why) for each in gathered.left]))
    if not gathered.items:
        return [*views, "nothing to bring\n"]
    away = f"the box {brought.box} on {brought.place}"
    where = away if brought.place else f"the data volume {brought.volume}"
    if dry_run:
        return [*views, f"\nwould be brought into {where}\n"]
    assert brought.done is not None
    new, replaced, same, _ = map(len, brought.done)
    has_them = brought.live and not brought.place
    at_once = f"; the running box {brought.box} has them" if has_them else ""
    views.append(f"\ninto {where}: {new} new, {replaced} replaced, {same} as they were{at_once}\n")
    if replaced:
        views.append(f"what was replaced is in {_to('before-import')}\n")
    return views


def _rows(gathered: "Gathered") -> list[list[str]]:
    of_row: dict[str, list[Item]] = {}
    for item in gathered.items:
        of_row.setdefault(item.row, []).append(item)
    return [
        [
            f"~/{row}",
            _to(row),
            str(len(items)),
            _size(sum(item.size for item in items)),
            "login" if items[0].login else "-",
            "; ".join(why for item in items for why in item.left_out) or "-",
        ]
        for row, items in of_row.items()
    ]


def _size(count: int) -> str:
    if count >= 1_000_000:
        return size(count)
    return f"{count} B" if count < 10_000 else f"{count // 1000} kB"


def _notes(brought: "Brought") -> list[Note]:
    from containai.sync import manifest

    news = {row.path: row.news for row in manifest.rows() if row.news}
    notes = []
    for item in brought.gathered.items:
        if item.path in news:
            hint = f"leave it out: --exclude {item.path}"
            notes.append(Note(f"~/{item.path}: {news[item.path]}", hint))
        if item.programs:
            named = ", ".join(item.programs)
            notes.append(Note(f"~/{item.path} runs programs ({named}): a box may not have them"))
    rotating = [each.path for each in brought.gathered.left if "instead: " in each.why]
    if rotating:
        notes.append(
            Note(
                f"not brought, as use in two places ends one of them: ~/{', ~/'.join(rotating)}",
                "log in inside, or use what the list says; all the same: --with-rotating",
            )
        )
    return notes


def _pattern(text: str) -> str:
    from containai.sync.choice import pattern

    return pattern(text)


COMMANDS = (
    Command(
        "import",
        "bring your logins and settings into a box, running or not",
        run,
        group="box",
        arguments=(
            Argument("--dry-run", "print what would be brought, and what stays and why"),
            Argument(
                "--from",
                "a directory like a home, or a tar archive of one (default: your home)",
                metavar="PATH",
                kind="files",
            ),
            Argument("--no-secrets", "bring no login, and settings without what may be secret"),
            Argument(
                "--with-rotating",
                "also logins that are renewed at each use, which logs the other copy out",
            ),
            Argument(
                "--include",
                "bring only what matches, as ~/.claude or '*.md'; may be repeated",
                metavar="GLOB",
                parse=_pattern,
                many=True,
            ),
            Argument(
                "--exclude",
                "do not bring what matches; may be repeated",
                metavar="GLOB",
                parse=_pattern,
                many=True,
            ),
        ),
        examples=(
            Example("cai import --dry-run", "what would come into the box of this directory"),
            Example("cai import", "bring it; a running box has it at once"),
            Example("cai import --name api --exclude .config/gh", "without GitHub's login"),
            Example("cai import --from backup.tar.gz --no-secrets", "settings from an archive"),
        ),
        more="What is brought is a fixed list: settings and logins of the agents, git, gh, shell, "
        "tmux, prompt and editors. git's credential helpers and signing keys, histories, and "
        "caches stay. A file that is replaced is kept in /mnt/agent-data/before-import until the "
        "next import; what does not come stays as it is. A box on a remote place is started for "
        "it. Globs match paths below the home, or a directory on the way; * stands for "
        "slashes, too.",
        has_target=True,
    ),
)
