"""A command as a row: its words, what it is for, its arguments. Parser and help come from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from keyword import iskeyword

from containai.boxes.target import Target
from containai.cli.report import Become, Enter, Report
from containai.errors import UsageError
from containai.light import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import argparse

    from containai.config.setting import Setting

#: How wide help is, in columns.
WIDTH = 100


class Argument(NamedTuple):
    """An option ("--all") or, in capitals, a positional argument ("PATH").

    An option without `metavar` is a flag; with a `const`, its value may be left out. `parse` turns
    the text into a value, or raises ValueError with what was expected.
    """

    name: str
    help: str
    metavar: str = ""
    parse: Callable[[str], Any] = str
    default: Any = None
    const: Any = None
    short: str = ""
    #: A positional argument that has to be there.
    required: bool = False
    #: It may be given several times: `run` gets a list, or None for an option that is not given.
    many: bool = False
    #: A positional argument that has to be there, behind a PATH which may be left out.
    last: bool = False
    #: One of those that may be left out, too.
    optional: bool = False
    #: All that it can be, where that is a closed set; or its kind, for completion: cli/complete.py.
    choices: Sequence[str] = ()
    kind: str = ""

    @property
    def keyword(self) -> str:
        """The keyword that `run` of the command gets it as."""
        return _keyword(self.name)

    @property
    def is_option(self) -> bool:
        """Whether it begins with a dash."""
        return self.name.startswith("-")

    @property
    def shown(self) -> str:
        """The argument as usage has it."""
        if self.many and not self.is_option:
            return f"{self.name} …"
        value = self.metavar if self.const is None else f"[{self.metavar}]"
        return f"{self.name} {value}" if value else self.name


def _keyword(name: str) -> str:
    word = name.lstrip("-").replace("-", "_").lower()
    return f"{word}_" if iskeyword(word) else word


class Example(NamedTuple):
    """A command line, and what it does."""

    line: str
    what: str


class Command(NamedTuple):
    """A row. `run(app, **keywords)` gets each argument as a keyword; see the flags for others."""

    path: str
    summary: str
    run: Callable[..., Report | Become | Enter]
    group: str
    arguments: Sequence[Argument] = ()
    examples: Sequence[Example] = ()
    more: str = ""
    #: It has PATH and --name, and `run` gets them as `target`.
    has_target: bool = False
    #: It is of boxes, none of which it names, and has --on.
    of_place: bool = False
    #: What follows `--` goes to `run` as `command`: "" is refused, "optional" or "required".
    remainder: str = ""
    #: It returns a value, and has --json.
    has_value: bool = True
    #: It returns one with one of these options only.
    value_needs: tuple[str, ...] = ()
    #: It may ask, and has --yes.
    asks: bool = False
    #: All that follows it goes to `run` as `command`, options and --help too.
    passes_all: bool = False


class Asked(NamedTuple):
    """A command line that was understood: what `run` gets, and what flags say of settings."""

    keywords: dict[str, Any]
    flags: dict[str, str]
    as_json: bool = False
    agreed: bool = False


def box_name(text: str) -> str:
    """Parse a box's name: what Docker, host names and ssh all take."""
    allowed = set("abcdefghijklmnopqrstuvwxyz0123456789-")
    if not text or len(text) > 63 or not allowed.issuperset(text) or text[0] == "-":
        raise ValueError("1 to 63 of a-z, 0-9 and -, not beginning with -")
    return text


PATH = Argument("PATH", "the workspace (default: the current directory)")
NAME = Argument("--name", "the box's name", metavar="NAME", parse=box_name, kind="boxes")


def _place(text: str) -> str:
    from containai.config import values

    return values.place(text)


#: Of commands for which no setting says it: where the box has to be, or boxes that are meant.
ON = Argument(
    "--on",
    "only there: local, or a remote place",
    metavar="PLACE",
    parse=_place,
    kind="places",
)
#: The setting that it says, and the arguments which name a box.
_WHERE, _BOXES = "box.on", ("BOX", "SRC")
JSON = Argument("--json", "for machines")
YES = Argument("--yes", "agree to what would be asked (or CAI_YES=1)", short="-y")

#: What every command takes: cli/loudness.py reads them before anything else does.
LOUDNESS = (
    Argument("--quiet", "say nothing but errors and the result", short="-q"),
    Argument("--verbose", "say what is done, step by step"),
    Argument("--debug", "say each command that is run, how long it took and its exit code"),
)


def arguments(command: Command) -> list[Argument]:
    """Return all arguments of a command, those included that come from its flags."""
    target = [NAME, PATH] if command.has_target else []
    common = [YES] * command.asks + [JSON] * command.has_value
    target += [ON] * _says_where(command)
    every = [*command.arguments, *map(_of_setting, _settings(command)), *target, *common]
    return sorted(every, key=lambda argument: (not argument.is_option, argument.last))


def _says_where(command: Command) -> bool:
    """Whether it has ON; where one is made, a flag of a setting says."""
    is_of_box = command.has_target or any(each.name in _BOXES for each in command.arguments)
    makes = any(row.key == _WHERE for row in _settings(command))
    return command.of_place or (is_of_box and not makes)


def _settings(command: Command) -> list[Setting[Any]]:
    from containai.config import settings

    return settings.flags(command.path)


#: What can stand as the values of settings, for completion.
_KINDS = {"agent.default": "agents", "box.on": "places"}


def _of_setting(row: Setting[Any]) -> Argument:
    kind = _KINDS.get(row.key, "")
    return Argument(row.flag, row.help, metavar=row.metavar, parse=row.checked, kind=kind)


def parse(command: Command, words: Sequence[str]) -> Asked:
    """Understand the words after a command. Raises UsageError."""
    if command.passes_all:
        return Asked({"command": words}, {})
    words, remainder = _split(command, words)
    given = vars(_parser(command).parse_args(words))
    missing = [
        argument.name
        for argument in command.arguments
        if argument.required and not given[argument.keyword]
    ]
    if missing:
        raise UsageError(f"{command.path} needs {' and '.join(missing)}", hint=usage(command))
    if command.remainder == "required" and not remainder:
        raise UsageError(
            f"{command.path} needs a COMMAND", hint=f"for example: {_example(command)}"
        )
    said = {row.key: given.pop(_of_setting(row).keyword) for row in _settings(command)}
    if _says_where(command):
        said[_WHERE] = given.pop(ON.keyword)
    flags = {key: text for key, text in said.items() if text is not None}
    if command.has_target:
        given["target"] = Target(given.pop(PATH.keyword), given.pop(NAME.keyword))
    if command.remainder:
        given["command"] = remainder
    as_json, agreed = given.pop(JSON.keyword, False), given.pop(YES.keyword, False)
    if as_json and command.value_needs and not any(given[_keyword(n)] for n in command.value_needs):
        options = " or ".join(command.value_needs)
        raise UsageError(f"{command.path}: --json goes with {options}", hint=usage(command))
    return Asked(given, flags, as_json, agreed)


def _split(command: Command, words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Return what is ours to understand, and what follows `--`."""
    if not command.remainder or "--" not in words:
        return words, ()
    at = words.index("--")
    if at + 1 == len(words):
        raise UsageError("nothing follows --", hint=f"for example: {_example(command)}")
    return words[:at], words[at + 1 :]


def _example(command: Command) -> str:
    return next((example.line for example in command.examples if " -- " in example.line), "")


def _parser(command: Command) -> argparse.ArgumentParser:
    import argparse
    from functools import partial

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> Any:
            _, missing, names = message.partition("arguments are required: ")
            said = f" needs {names}" if missing else f": {message}{_meant(command, message)}"
            said = "".join(c if c.isprintable() else repr(c)[1:-1] for c in said)
            raise UsageError(f"{command.path}{said}", hint=usage(command))

    # The width of the terminal, which nobody is shown anything in, is much to import.
    formatter = partial(argparse.HelpFormatter, width=WIDTH)
    parser = Parser(add_help=False, allow_abbrev=False, formatter_class=formatter)
    for argument in arguments(command):
        names = [argument.name, *filter(None, [argument.short])]
        if not argument.is_option:
            typed, count = _typed(argument.parse), _count(argument)
            parser.add_argument(argument.keyword, nargs=count, metavar=argument.name, type=typed)
        elif not argument.metavar:
            parser.add_argument(*names, action="store_true")
        else:
            parser.add_argument(
                *names,
                dest=argument.keyword,
                type=_typed(argument.parse),
                default=argument.default,
                metavar=argument.metavar,
                nargs=None if argument.const is None else "?",
                const=argument.const,
                action="append" if argument.many else "store",
            )
    return parser


def _count(argument: Argument) -> str | None:
    """Return how many words an argument takes, as argparse has it."""
    if argument.last and not argument.optional:
        return None
    return "*" if argument.many else "?"


def _typed(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    import argparse

    def typed(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as wrong:
            raise argparse.ArgumentTypeError(f"{text!r}: {wrong}") from None

    return typed


def _meant(command: Command, message: str) -> str:
    """Return a question after an option that was mistyped, or nothing."""
    from containai.config.settings import nearest

    _, unknown, words = message.partition("unrecognized arguments: ")
    known = [each.name for each in (*arguments(command), *LOUDNESS) if each.is_option]
    close = nearest(words.split("=")[0].split(" ")[0], known) if unknown else ""
    if unknown and command.remainder and not words.startswith("-"):
        return f" (a command is behind --: {_example(command)})"
    return f" (did you mean {close}?)" if close else ""


def usage(command: Command) -> str:
    """Return the usage of a command, wrapped."""
    words = [
        argument.shown
        if argument.required or (argument.last and not argument.optional)
        else f"[{argument.shown}]"
        for argument in arguments(command)
    ]
    if command.passes_all:
        words = ["ARGUMENT …"]
    if command.remainder:
        words.append("-- COMMAND …" if command.remainder == "required" else "[-- COMMAND …]")
    lines = [f"usage: cai {command.path}"]
    for word in words:
        if len(lines[-1]) + 1 + len(word) > WIDTH:
            lines.append(" " * len(f"usage: cai {command.path}"))
        lines[-1] += f" {word}"
    return "\n".join(lines)


def overview(command: Command) -> str:
    """Return a command's help: what it is for, examples, usage, arguments."""
    parts = [f"{command.summary[:1].upper()}{command.summary[1:]}."]
    if command.examples:
        parts.append("examples:\n" + two_columns(command.examples))
    parts.append(usage(command))
    rows = [(_introduced(argument), argument.help) for argument in arguments(command)]
    common = [] if command.passes_all else [(_introduced(each), each.help) for each in LOUDNESS]
    parts.append(two_columns([*rows, *common, ("-h, --help", "this text")]))
    if command.more:
        from textwrap import fill

        parts.append(fill(command.more, WIDTH, break_on_hyphens=False))
    return "\n\n".join(parts) + "\n"


def _introduced(argument: Argument) -> str:
    return f"{argument.short}, {argument.shown}" if argument.short else argument.shown


def two_columns(rows: Sequence[tuple[str, str] | Example]) -> str:
    """Return what stands on the left with what it means on the right, or below where it is long."""
    width = min(30, max(len(left) for left, _ in rows))
    lines = []
    for left, right in rows:
        first, *more = _wrapped(right, WIDTH - width - 4)
        if len(left) > width:
            lines.append(f"  {left}\n{'':{width + 4}}{first}")
        else:
            lines.append(f"  {left:{width}}  {first}")
        lines += [f"{'':{width + 4}}{line}" for line in more]
    return "\n".join(lines)


def _wrapped(text: str, width: int) -> list[str]:
    if len(text) <= width:
        return [text]
    from textwrap import wrap

    return wrap(text, width, break_on_hyphens=False)
