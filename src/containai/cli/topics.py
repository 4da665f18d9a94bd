"""The pages of the documentation, as `cai help TOPIC` finds them: by the names of their files."""

import functools
import os
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

#: The directories of docs/ that have pages for users, in the order in which they are listed.
KINDS = {
    "tutorial": "to learn it",
    "how-to": "to do something",
    "troubleshooting": "when something is wrong",
    "explanation": "to understand it",
    "reference": "to look something up",
}
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
#: Where pages are, as installed or in a checkout.
_PLACES = (os.path.join(_PACKAGE, "docs"), os.path.join(_PACKAGE, "../../docs"))
_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")


class Topic(NamedTuple):
    """A page: what it is called, in which directory of KINDS it is, and its file."""

    name: str
    kind: str
    file: str

    @property
    def path(self) -> str:
        """What names it and no other page."""
        return f"{self.kind}/{self.name}"

    @property
    def text(self) -> str:
        """The page as it is written, without what is for its writers."""
        with open(self.file, encoding="utf-8") as file:
            return re.sub(r"<!--.*?-->\n*", "", file.read(), flags=re.DOTALL)

    @property
    def title(self) -> str:
        """Its first heading."""
        head = re.search(r"^# (.+)$", self.text, re.MULTILINE)
        return re.sub(r"[`\\]", "", head[1]) if head else self.name

    @property
    def is_one_of_many(self) -> bool:
        """Whether it is about a single message: such are found by its words, and not listed."""
        return self.kind == "troubleshooting" and self.name != self.kind


@functools.cache
def every() -> Sequence[Topic]:
    """Return all pages, kind by kind."""
    directory = next(filter(os.path.isdir, _PLACES), "")
    return tuple(topic for kind in KINDS for topic in sorted(_below(directory, kind)))


def _below(directory: str, kind: str) -> Iterator[Topic]:
    for parent, _, names in os.walk(os.path.join(directory, kind)):
        for name in names:
            word, ending = os.path.splitext(name)
            # The page of a directory has its name.
            word = os.path.basename(parent) if word == "README" else word
            if ending == ".md":
                yield Topic(word, kind, os.path.join(parent, name))


def find(word: str) -> Topic | None:
    """Return the page that a word names: `install`, or `how-to/install`."""
    word = word.removeprefix("docs/").removesuffix(".md")
    return next((each for each in every() if word in (each.name, each.path)), None)


def saying(text: str) -> list[Topic]:
    """Return the pages about a message: of its whole text, else of some words of it."""
    given = _words(text)
    of_messages = [(each, each.title) for each in every() if each.is_one_of_many]
    whole = [each for each, title in of_messages if _is_of(title, given)]
    part = f" {' '.join(given)} "
    return whole or [each for each, title in of_messages if part in f" {' '.join(_words(title))} "]


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def _is_of(title: str, given: list[str]) -> bool:
    """Whether what a title has between its ellipses follows each other in what is given."""
    parts = [" ".join(_words(part)) for part in title.split("…")]
    pattern = ".* ".join(re.escape(f"{part} ") for part in parts if part)
    return re.search(f" {pattern}", f" {' '.join(given)} ") is not None if pattern else False


def linked(text: str) -> str:
    """Return a page's text whose links say what to type, or lead into the web."""
    known = {os.path.basename(each.file): each for each in every()}
    # The page of a directory has that one's name; where it is this page's own, none is named.
    known |= {f"{each.name}/README.md": each for each in every() if each.file.endswith("README.md")}
    known.pop("README.md", None)

    def said(found: re.Match[str]) -> str:
        shown, target = found.groups()
        page, _, _ = target.partition("#")
        parts = page.split("/")[-2:] if page.endswith("/README.md") else page.split("/")[-1:]
        topic = known.get("/".join(parts))
        if topic is not None and "://" not in target:
            return f"{shown} (`cai help {topic.name}`)"
        return found[0] if "://" in target else shown

    return _LINK.sub(said, text)


def rendered(text: str, width: int, *, colours: bool = False) -> str:
    """Return Markdown as a terminal shows it; `colours` (SGR of ECMA-48) are all that steers it.

    Where rich is not there, as it is written.
    """
    from containai.cli.output import printable

    # Shell or TOML, code is shown as it is: the colours of one background are unreadable on others.
    text = re.sub(r"^(\s*```+).*$", r"\1", printable(text, lines=True), flags=re.MULTILINE)
    try:
        from rich.console import Console
        from rich.markdown import Markdown
        from rich.theme import Theme
    except ImportError:
        return text
    theme = Theme({"markdown.code": "cyan", "markdown.code_block": "cyan"})
    console = Console(
        width=width,
        theme=theme,
        force_terminal=colours,
        color_system="standard" if colours else None,
        legacy_windows=False,
    )
    page = Markdown(linked(text), code_theme="ansi_light", hyperlinks=False)
    with console.capture() as shown:
        console.print(page)
    return shown.get()
