"""`cai help [TOPIC]`."""

import os
import shlex
import shutil
from collections.abc import Sequence

from containai.app import App
from containai.cli import registry, topics
from containai.cli.command import Argument, Command, Example, two_columns
from containai.cli.report import Become, Report
from containai.errors import ContainAIError, UsageError

#: What shows a page where PAGER names nothing: it ends by itself where all fits, leaves it on the
#: screen, and shows colours and nothing else of what steers a terminal.
_PAGER = ("less", "-FRX")
#: The widest that is read well.
_WIDTH = 100
#: How many pages are named where words are those of several.
_MANY = 10


def run(app: App, *, topic: Sequence[str], install: bool, remove: bool) -> Report:
    """Show a page, the help of a command, or what pages there are."""
    if install or remove:
        if topic or (install and remove):
            raise UsageError("--install or --remove, and nothing else", hint="cai help --help")
        return _installed(app) if install else _removed(app)
    if not topic:
        return _listed()
    if topic[0] in registry.names():
        return _of_command(topic)
    found = topics.find("-".join(topic))
    if found is None:
        said = topics.saying(" ".join(topic))
        if len(said) > 1:
            raise _several(" ".join(topic), said)
        found = next(iter(said), None)
    if found is None:
        raise _none(" ".join(topic))
    return _shown(app, found)


def _listed() -> Report:
    every = topics.every()
    parts = []
    for kind, title in topics.KINDS.items():
        mine = [each for each in every if each.kind == kind and not each.is_one_of_many]
        own = [(_word(each), each.title) for each in mine]
        if own:
            parts.append(f"{title}:\n{two_columns(own)}")
    parts.append(
        "cai help TOPIC shows one, cai help 'WORDS OF A MESSAGE' what is known of that. The "
        "commands: cai --help; one of them: cai COMMAND --help"
    )
    value = [{"topic": _word(each), "kind": each.kind, "title": each.title} for each in every]
    return Report(value, ["\n\n".join(parts) + "\n"])


def _word(topic: topics.Topic) -> str:
    """Return what shows a page: a command of its name comes first."""
    return topic.path if topic.name in registry.names() else topic.name


def _of_command(words: Sequence[str]) -> Report:
    text = registry.help_on(words)
    page = topics.find(words[0])
    if page is not None:
        text += f"\nThere is a page, too: cai help {page.path}\n"
    return Report({"topic": " ".join(words), "text": text}, [text])


def _none(word: str) -> UsageError:
    from difflib import get_close_matches

    known = [*map(_word, topics.every()), *registry.names()]
    parts = {each.rpartition("/")[2]: each for each in known}
    close = [parts[each] for each in get_close_matches(word.replace(" ", "-"), parts, 3)]
    meant = f" (did you mean {' or '.join(close)}?)" if close else ""
    return UsageError(f"there is no topic {word!r}{meant}", hint="all of them: cai help")


def _several(words: str, found: Sequence[topics.Topic]) -> UsageError:
    named = "\n".join(f"    {each.name}  {each.title}" for each in found[:_MANY])
    return UsageError(
        f"{len(found)} pages have {words!r}", hint=f"more of its words, or one of:\n{named}"
    )


def _shown(app: App, topic: topics.Topic) -> Report:
    """Return a page: as it is written for programs, laid out for a terminal."""
    text = topic.text
    report = Report({"topic": _word(topic), "text": text}, [text])
    if not os.isatty(1):
        return report
    width = min(shutil.get_terminal_size().columns, _WIDTH)
    pager = _pager(app) if os.isatty(0) else []
    if not pager:
        return report._replace(views=[topics.rendered(text, width)])
    shown = topics.rendered(text, width, colours=not app.environ.get("NO_COLOR"))
    return report._replace(pager=Become(pager, given={"LESSCHARSET": "utf-8"}, text=shown))


def _pager(app: App) -> list[str]:
    """Return the user's pager, or nothing where there is none, or no use for one."""
    if app.environ.get("TERM", "") in ("", "dumb"):
        return []
    try:
        words = shlex.split(app.environ.get("PAGER", ""))
    except ValueError:
        words = []
    for argv in (words, _PAGER):
        program = app.host.which(argv[0]) if argv else None
        if program is not None:
            # Whatever it is told besides, it is to show colours.
            more = ["-R"] if os.path.basename(program) == "less" else []
            return [program, *argv[1:], *more]
    return []


def _directory(app: App) -> str:
    # man looks there for what is in ~/.local/bin, whatever XDG_DATA_HOME says (manpath(1)).
    return os.path.join(app.layout.home, ".local/share/man/man1")


def _installed(app: App) -> Report:
    from containai.cli import manual
    from containai.host import files

    directory, pages = _directory(app), manual.pages()
    for name in pages:
        where = os.path.join(directory, name)
        if os.path.lexists(where) and not _is_ours(where):
            raise ContainAIError(
                f"{where} is there and is not cai's", hint="move it away, or leave it as it is"
            )
    _removed(app)
    try:
        os.makedirs(directory, exist_ok=True)
        for name, text in pages.items():
            files.write(os.path.join(directory, name), text)
    except OSError as wrong:
        raise ContainAIError(
            f"{wrong.filename or directory}: {wrong.strerror}", hint="it has to be yours to write"
        ) from None
    return Report({"pages": len(pages)}, [f"{len(pages)} pages in {directory}\n"])


def _removed(app: App) -> Report:
    from containai.host import files

    directory = _directory(app)
    names = os.listdir(directory) if os.path.isdir(directory) else []
    paths = [os.path.join(directory, name) for name in names if name.startswith("cai")]
    gone = [path for path in paths if _is_ours(path)]
    for path in gone:
        files.remove(path)
    said = [f"removed {len(gone)} pages from {directory}\n"] if gone else []
    return Report({"pages": len(gone)}, said)


def _is_ours(where: str) -> bool:
    from containai.cli import manual

    try:
        with open(where, encoding="utf-8", errors="replace") as file:
            return file.readline().rstrip("\n") == manual.MARK
    except OSError:
        return False


COMMANDS = (
    Command(
        "help",
        "show a page of the documentation, or the help of a command",
        run,
        group="machine",
        arguments=(
            Argument("TOPIC", "the page, or the command (default: list the pages)", many=True),
            Argument("--install", "write man pages of all commands to where man looks"),
            Argument("--remove", "remove what --install wrote"),
        ),
        examples=(
            Example("cai help", "which pages there are"),
            Example("cai help install", "one of them; what PAGER names shows it on a terminal"),
            Example("cai help run", "the same as cai run --help"),
            Example("cai help how-to/import", "a page, where a command has its name, too"),
        ),
        more="The pages are those of this version and need no network. Without a terminal a page "
        "comes as it is written, in Markdown. `install.sh` does --install: man cai-run.",
    ),
)
