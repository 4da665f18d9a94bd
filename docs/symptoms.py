"""Troubleshooting: a page for each message, exit code and check, and for what other programs say.

Their words are the program's own, as messages.py reads them; symptoms.toml has what else is known.
"""

import functools
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from messages import ERRORS, Message, mends, of_check, of_errors

from containai import errors
from containai.provision.step import AnyStep

_TOML = os.path.join(os.path.dirname(os.path.abspath(__file__)), "symptoms.toml")
_USAGE = errors.UsageError.exit_code
#: How long the name of a page may be, without what makes it one of its own.
_LONG = 60


class Page(NamedTuple):
    """A page: its file, its title as text, and what follows that."""

    name: str
    title: str
    text: str

    @property
    def link(self) -> str:
        """A link to it, from its own directory."""
        return f"[{escaped(self.title)}]({self.name})"


@functools.cache
def known() -> Mapping[str, Any]:
    """Return what is written by hand."""
    with open(_TOML, "rb") as file:
        return tomllib.load(file)


def pages(meanings: Mapping[int, str], steps: Sequence[AnyStep]) -> dict[str, str]:
    """Return all pages of troubleshooting: file name → text.

    `meanings` is what each exit code stands for.
    """
    said = _of_messages(meanings)
    others = [_of_other(each) for each in known()["other"]]
    checks = [_of_check(step, said) for step in {step.title: step for step in steps}.values()]
    codes = [_of_code(code, text, said) for code, text in sorted(meanings.items()) if code]
    made = [_index(codes, checks, others, said), *codes, *checks, *others, *said]
    names = [page.name for page in made]
    assert len(set(names)) == len(names), [name for name in names if names.count(name) > 1]
    return {page.name: f"# {escaped(page.title)}\n\n{page.text}" for page in made}


def escaped(text: str) -> str:
    """Return text in which nothing is Markdown's."""
    return re.sub(r"([\\`*\[\]<])", r"\\\1", text)


def slug(text: str) -> str:
    """Return the name that a text has in an address."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower().replace("'", "")).strip("-")
    return words if len(words) <= _LONG else words[:_LONG].rpartition("-")[0]


def _of_messages(meanings: Mapping[int, str]) -> list[Page]:
    """Return a page for each message; those of the command line are on the page of their code."""
    by_title: dict[str, list[Message]] = {}
    for message in of_errors():
        if message.texts and _searchable(message.texts[0]) and _code(message) != _USAGE:
            by_title.setdefault(message.texts[0], []).append(message)
    taken: dict[str, int] = {}
    made = []
    for title, messages in sorted(by_title.items(), key=lambda item: (slug(item[0]), item[0])):
        name = slug(title)
        taken[name] = taken.get(name, 0) + 1
        name += f"-{taken[name]}" if taken[name] > 1 else ""
        made.append(Page(f"{name}.md", title, _of_message(title, messages, meanings)))
    return made


def _searchable(text: str) -> bool:
    """Whether a text has enough words of its own to be looked for."""
    return len(re.findall(r"[a-z]{2,}", text)) >= 2


def _code(message: Message) -> int:
    return ERRORS[message.kind].exit_code


def _of_message(title: str, messages: Sequence[Message], meanings: Mapping[int, str]) -> str:
    hints = list(dict.fromkeys(hint for message in messages for hint in message.hints))
    texts = list(dict.fromkeys(text for message in messages for text in message.texts))
    parts = [_block(title, hints[:1])]
    for code in sorted({_code(message) for message in messages}):
        said = meanings[code][0].lower() + meanings[code][1:]
        about = _about(code)
        parts.append(f"[Exit code {code}](code-{code}.md): {said}\n")
        parts.append(f"{about['about']}\n")
    parts += [note["text"].strip() + "\n" for note in known()["note"] if note["words"] in title]
    if texts[1:]:
        parts.append("## In other words\n")
        parts += [_block(text, ()) for text in texts[1:]]
    if hints[1:]:
        parts.append("## What it advises else\n")
        parts += [f"```text\n  hint: {hint}\n```\n" for hint in hints[1:]]
    codes = sorted({_code(message) for message in messages})
    see = [target for code in codes for target in _about(code)["see"]]
    parts.append(_see(see))
    return "\n".join(parts)


def _about(code: int) -> Mapping[str, Any]:
    about: Mapping[str, Any] = known()["code"].get(str(code), {"about": "", "see": []})
    return about


def _block(text: str, hints: Iterable[str]) -> str:
    lines = [f"cai: {text}", *(f"  hint: {hint}" for hint in hints)]
    return "\n".join(["```text", *lines, "```\n"])


def _see(targets: Sequence[str]) -> str:
    links = [f"[{_named(target)}]({target})" for target in dict.fromkeys(targets)]
    return "See " + ", ".join([*links, "[all of troubleshooting](README.md)"]) + ".\n"


def _named(target: str) -> str:
    """Return what a link is called: the heading that it leads to."""
    page, _, anchor = target.partition("#")
    if "/" not in page:
        return page.removesuffix(".md").replace("check-", "the check ").replace("-", " ")
    with open(
        os.path.join(os.path.dirname(_TOML), "troubleshooting", page), encoding="utf-8"
    ) as file:
        heads = re.findall(r"^#+ (.+)$", file.read(), re.MULTILINE)
    return next((head for head in heads if anchor and _anchor(head) == anchor), heads[0])


def _anchor(head: str) -> str:
    """Return what a heading is reached by, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-")


def _of_code(code: int, meaning: str, said: Sequence[Page]) -> Page:
    about = _about(code)
    own = {title for title, codes in _codes().items() if code in codes}
    pages = [page for page in said if page.title in own]
    parts = [f"{meaning}\n", f"{about['about']}\n"]
    if code == _USAGE:
        parts.append("## What it says\n")
        parts += [_block(title, ()) for title in sorted(own)]
    elif pages:
        parts.append("## What it says\n")
        parts.append("\n".join(f"- {page.link}" for page in pages) + "\n")
    parts.append(_see([*about["see"], "../reference/exit-codes.md"]))
    return Page(f"code-{code}.md", f"cai ends with exit code {code}", "\n".join(parts))


@functools.cache
def _codes() -> dict[str, set[int]]:
    """Return the first words of each message → the codes with which it is said."""
    found: dict[str, set[int]] = {}
    for message in of_errors():
        if message.texts and _searchable(message.texts[0]):
            found.setdefault(message.texts[0], set()).add(_code(message))
    return found


def check_page(step: AnyStep) -> str:
    """Return the file of the page of a check."""
    return f"check-{slug(step.title)}.md"


def _of_check(step: AnyStep, said: Sequence[Page]) -> Page:
    by_title = {page.title: page for page in said}
    found = [each for each in of_check(type(step)) if each.texts]
    told = [each for each in found if each.kind not in ERRORS]
    # What all findings of a check advise may stand in its row.
    hint = getattr(step, "hint", "")
    raised = [by_title[each.texts[0]] for each in found if each.texts[0] in by_title]
    parts = [f"`cai doctor` says in its row `{step.title}` that something does not hold.\n"]
    parts += _facts(step)
    if told:
        parts.append("## What it says\n")
        parts += dict.fromkeys(
            _row(step, text, each.hints or [hint] * bool(hint))
            for each in told
            for text in each.texts
        )
    if raised:
        parts.append("## What it refuses\n")
        parts.append("\n".join(f"- {page.link}" for page in dict.fromkeys(raised)) + "\n")
    parts.append("## Mend it\n")
    parts.append(_MEND if mends(type(step)) else _LOOK)
    parts.append(_see(["../reference/checks.md"]))
    return Page(check_page(step), f"cai doctor: {step.title}", "\n".join(parts))


def _row(step: AnyStep, text: str, hints: Sequence[str]) -> str:
    lines = [f"{step.title}: {text}", *(f"  hint: {hint}" for hint in hints)]
    return "\n".join(["```text", *lines, "```\n"])


_MENDING = [
    "cai doctor --fix --dry-run   # what would be done",
    "cai doctor --fix             # asks before anything that stops a box or removes a file",
]
_MEND = "\n".join(["```sh", *_MENDING, "```\n"])
_LOOK = """\
It is nothing that `cai` changes: do what the hint says, and look again.

```sh
cai doctor
```
"""


def _facts(step: AnyStep) -> list[str]:
    """Return what a check's row says of it."""
    rows = [
        ("What has to hold", step.holds),
        ("How it is looked at", step.looks),
        ("What it means if not", step.means),
        ("How it is mended", step.otherwise),
        ("What mending interrupts", step.interrupts),
    ]
    return [f"**{head}:** {_relinked(text)}\n" for head, text in rows if text]


def _relinked(text: str) -> str:
    """Return what a row says; its links are from the reference."""
    return re.sub(r"\]\((?!\.\./|https?:)", "](../reference/", text)


def _of_other(row: Mapping[str, str]) -> Page:
    text = f"Said by {row['by']}.\n\n```text\n{row['said']}\n```\n\n{row['text'].strip()}\n"
    return Page(f"{slug(row['said'])}.md", row["said"], f"{text}\n{_see([])}")


def _index(
    codes: Sequence[Page], checks: Sequence[Page], others: Sequence[Page], said: Sequence[Page]
) -> Page:
    groups = [
        ("What other programs say", others),
        ("A row of `cai doctor`", checks),
        ("An exit code", codes),
        ("What `cai` says", said),
    ]
    parts = [_HEAD]
    for title, pages in groups:
        parts.append(f"## {title}\n")
        parts.append("\n".join(f"- {page.link}" for page in pages) + "\n")
    return Page("README.md", "Troubleshooting", "\n".join(parts))


_HEAD = """\
Search for the words of the message: each has a page whose title it is, with an ellipsis for what is
another each time. Or begin with

```sh
cai doctor                   # what is not as it has to be, and what helps
cai doctor --fix             # mend it
cai status                   # the box of this directory
cai logs                     # what it said
```
"""
