"""What can stand where somebody presses Tab. It starts nothing, asks little, and says nothing else.

What shells get are words that mean nothing to them: whatever else a name has, is not offered. Paths
they complete themselves.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from containai.cli.command import LOUDNESS, NAME, PATH, Argument, Command, arguments
from containai.layout import Layout

if TYPE_CHECKING:
    from containai.config.setting import Setting

#: The hidden command by which the scripts of shells ask.
WORD = "__complete"
#: How long the engine is waited for, in seconds, where volumes are asked for.
PATIENCE = 0.2
#: What no shell takes for anything else than a letter. A slash and a tilde are a path's.
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.,:@+=/")


class Candidate(NamedTuple):
    """A word, and what it means."""

    word: str
    what: str = ""


class Offer(NamedTuple):
    """What can stand there; `paths`: beside it "files" or "directories", or none of both ("")."""

    words: Sequence[Candidate] = ()
    paths: str = ""


def answer(layout: Layout, words: Sequence[str]) -> str:
    """Return what a shell's script is told, for the shell and the words of `__complete`.

    A line that says how (files, directories or words), then one for each word that begins
    as the last one does.
    """
    shell, *typed = words
    if shell == "bash":
        typed = _joined(typed)
    current = typed[-1] if typed else ""
    offer = offered(layout, typed[:-1], current)
    # bash replaces only what comes after the last of its word breaks.
    cut = max(current.rfind("="), current.rfind(":")) + 1 if shell == "bash" else 0
    rows = [(word, what) for word, what in offer.words if word.startswith(current)]
    lines = [f"{word[cut:]}\t{what}" if what else word[cut:] for word, what in rows]
    return "".join(f"{line}\n" for line in [offer.paths or "words", *lines])


def _joined(words: Sequence[str]) -> list[str]:
    """Return words as they were typed: bash makes three of NAME=VALUE, and of NAME:VALUE."""
    typed: list[str] = []
    for word in words:
        breaks = word and not word.strip("=:")
        if typed and (breaks or typed[-1].endswith(("=", ":"))):
            typed[-1] += word
        else:
            typed.append(word)
    return typed


def offered(layout: Layout, before: Sequence[str], current: str) -> Offer:
    """Return what can stand after the words `before`, beginning as `current` does or not."""
    from containai.cli import registry

    before = list(before)
    while before and before[0].startswith("-"):
        before.pop(0)
    topics = before == ["help"]
    if before[:1] == ["help"] and not current.startswith("-"):
        before.pop(0)
    if not before:
        commands = [Candidate(*each) for each in registry.first_words()]
        return Offer([*commands, *_topics()] if topics else commands)
    rows = registry.rows(before[0])
    inner = [row.path.split() for row in rows]
    if len(before) == 1 and [before[0]] not in inner:
        return Offer([Candidate(row.path.split()[1], row.summary) for row in rows])
    found = [row for row in rows if row.path.split() == before[: len(row.path.split())]]
    if not found:
        return Offer()
    return _of_command(layout, found[0], before[len(found[0].path.split()) :], current)


def _of_command(layout: Layout, row: Command, before: Sequence[str], current: str) -> Offer:
    if row.passes_all or (row.remainder and "--" in before):
        return Offer()
    if current.startswith("-") and "=" not in current:
        known = [*arguments(row), *LOUDNESS]
        return Offer([Candidate(each.name, each.help) for each in known if each.is_option])
    if current.startswith("--"):
        name, _, _ = current.partition("=")
        option = _option(row, name)
        offer = _values(layout, row, option, ()) if option else Offer()
        return Offer([Candidate(f"{name}={word}", what) for word, what in offer.words])
    option = _option(row, before[-1]) if before and before[-1].startswith("-") else None
    if option is not None and option.metavar and option.const is None:
        return _values(layout, row, option, ())
    given = _positional(row, before)
    wanted = [a for a in (*row.arguments, *[PATH] * row.has_target) if not a.is_option]
    at = min(len(given), len(wanted) - 1)
    if at < 0 or (at < len(given) and not wanted[at].many):
        return Offer()
    return _values(layout, row, wanted[at], given)


def _topics() -> Iterator[Candidate]:
    from containai.cli import registry, topics

    commands = registry.names()
    shown = (each for each in topics.every() if not each.is_one_of_many)
    return (Candidate(each.name, each.kind) for each in shown if each.name not in commands)


def _option(row: Command, name: str) -> Argument | None:
    # The settings' table is read only where the name is none of the command's own.
    own = [*row.arguments, *[NAME] * row.has_target]
    return _called(name, own) or _called(name, arguments(row))


def _called(name: str, known: Sequence[Argument]) -> Argument | None:
    return next((a for a in known if a.is_option and name in (a.name, a.short)), None)


def _positional(row: Command, words: Sequence[str]) -> list[str]:
    """Return those words of a command line that are neither options nor values of such."""
    found, left = [], iter(words)
    for word in left:
        if not word.startswith("-"):
            found.append(word)
        elif "=" not in word:
            option = _option(row, word)
            if option is not None and option.metavar and option.const is None:
                next(left, None)
    return found


def _values(layout: Layout, row: Command, argument: Argument, given: Sequence[str]) -> Offer:
    """Return what an argument can be, after the positional words that are there already."""
    if argument.choices or "|" in argument.metavar:
        return Offer(list(map(Candidate, argument.choices or argument.metavar.split("|"))))
    kind = argument.kind or _KINDS.get(argument.metavar or argument.name, "")
    if kind in ("files", "directories"):
        return Offer((), kind)
    if kind == "box-paths":
        return Offer([Candidate(f"{box}:", path) for box, path in _boxes(layout)], "files")
    if kind == "workspaces":
        known = [Candidate(path, box) for box, path in _boxes(layout) if path]
        return Offer(known, "directories")
    if kind == "value":
        return Offer([Candidate(word) for word in _choices(given[0])] if given else ())
    words = _SOURCES[kind](layout) if kind else ()
    return Offer([each for each in words if each.word and _PLAIN.issuperset(each.word)])


#: The name of a positional argument, or what the value of an option is called → its kind.
_KINDS = {
    "PATH": "workspaces",
    "FILE": "files",
    "DIR": "directories",
    "SRC": "box-paths",
    "DST": "box-paths",
    "BOX": "boxes",
    "VOLUME": "volumes",
    "KEY": "settings",
    "VALUE": "value",
    "LAYER": "layers",
    "IMAGE": "layers",
    "AGENT": "agents",
    "EDITOR": "editors",
}


def _boxes(layout: Layout) -> Iterator[tuple[str, str]]:
    """Return the user's boxes with their workspaces ("" where none can be offered)."""
    from containai.ssh import session

    for name, path in session.known(layout):
        if _PLAIN.issuperset(name) and not name.startswith("-"):
            # Not looked for: a network file system that has gone would hold the shell.
            yield name, path if path.isprintable() else ""


def _box_names(layout: Layout) -> Iterator[Candidate]:
    return (Candidate(name, path) for name, path in _boxes(layout))


def _volumes(layout: Layout) -> Iterator[Candidate]:
    from containai.engine import api
    from containai.layout import LABEL_MANAGED, LABEL_OWNER

    labels = f'["{LABEL_MANAGED}=true","{LABEL_OWNER}={layout.uid}"]'
    address = "/volumes?filters=" + api.quoted(f'{{"label":{labels}}}')
    answer = api.request(layout.engine_socket, "GET", address, timeout=PATIENCE)
    if answer.status == 200:
        for volume in answer.value["Volumes"] or []:
            yield Candidate(str(volume["Name"]))


def _agents(layout: Layout) -> Iterator[Candidate]:
    from containai.agents import AGENTS

    return (Candidate(agent.name, agent.title) for agent in AGENTS)


def _editors(layout: Layout) -> Iterator[Candidate]:
    from containai.config.editors import EDITORS

    return (Candidate(editor.name, editor.title) for editor in EDITORS)


def _layers(layout: Layout) -> Iterator[Candidate]:
    from containai.images.recipe import PARENTS

    return map(Candidate, PARENTS)


def _remotes(layout: Layout) -> Iterator[Candidate]:
    from containai.errors import DamagedError
    from containai.incus import known

    try:
        places = known.read(layout.remotes)
    except DamagedError:
        return iter(())
    found = sorted(places.remotes.items())
    return (Candidate(name, str(remote.addresses[0])) for name, remote in found)


def _places(layout: Layout) -> Iterator[Candidate]:
    yield Candidate("local", "this machine")
    yield from _remotes(layout)


def _settings(layout: Layout) -> Iterator[Candidate]:
    return (Candidate(row.key, row.help) for row in _setting_rows())


def _setting_rows() -> "Sequence[Setting[object]]":
    from containai.config.settings import Settings

    return Settings.rows()


def _choices(key: str) -> Sequence[str]:
    """Return what a setting can be, where that is a closed set."""
    from containai.config import values

    closed: Mapping[object, Sequence[str]] = {
        values.flag: ("true", "false"),
        values.runtime: values.RUNTIMES,
        values.source: values.SOURCES,
        values.provider: values.PROVIDERS,
        values.offer: values.OFFERS,
        values.opening: values.OPENING,
    }
    if key == "image.name":
        return values.LAYERS
    if key == "editor.default":
        return [each.word for each in _editors(Layout.from_environment())]
    if key == "agent.default":
        return [each.word for each in _agents(Layout.from_environment())]
    return next((closed.get(row.parse, ()) for row in _setting_rows() if row.key == key), ())


_SOURCES: Mapping[str, Callable[[Layout], Iterator[Candidate]]] = {
    "boxes": _box_names,
    "volumes": _volumes,
    "agents": _agents,
    "editors": _editors,
    "layers": _layers,
    "settings": _settings,
    "remotes": _remotes,
    "places": _places,
}
