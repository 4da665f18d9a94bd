"""What is in the pages of the documentation: code, and the command lines in it."""

import os
import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

import containai
from containai.cli import command, loudness, registry

ROOT = os.path.realpath(f"{os.path.dirname(containai.__file__)}/../..")
DOCS = f"{ROOT}/docs"
#: Says that a block runs in the system tests; or why it does not, where all others of its page do.
RUN = "run"
ELSEWHERE = "elsewhere: "
_FENCE = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]+) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """A fenced block, what is said of it in a comment above, and the output below it, if any."""

    language: str
    text: str
    mark: str
    output: str = ""


def read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def pages(*below: str) -> list[str]:
    """Return the paths of all pages below some places of the checkout."""
    found = []
    for top in below:
        for parent, directories, names in os.walk(os.path.join(ROOT, top)):
            directories.sort()
            paths = [os.path.join(parent, name) for name in sorted(names) if name.endswith(".md")]
            found += [os.path.relpath(path, ROOT) for path in paths]
    return found


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a page; one of output that follows another belongs to it."""
    found: list[Block] = []
    end = -1
    for match in _FENCE.finditer(text):
        block = Block(match["language"], match["text"], match["mark"] or "")
        if block.language == "text" and found and not text[end : match.start()].strip():
            found[-1] = found[-1]._replace(output=block.text)
        else:
            found.append(block)
        end = match.end()
    return found


def spans(text: str) -> list[str]:
    """Return the command lines of cai in the prose of a page."""
    prose = _FENCE.sub("", text)
    return [" ".join(span.split()) for span in re.findall(r"(?<!`)`(cai [^`]+)`", prose)]


def simple_commands(script: str) -> Iterator[list[str]]:
    """Yield the simple commands of a shell script, without redirections and here-documents."""
    script = re.sub(r"<<'(\w+)'(.*)\n(?:.*\n)*?\1$", r"\2", script, flags=re.MULTILINE)
    script = re.sub(r"(?m)(^|\s)#( .*)?$", "", script)
    lexer = shlex.shlex(script.replace("\\\n", " "), posix=True, punctuation_chars=";|&<>(){}\n")
    lexer.whitespace = " \t"
    lexer.whitespace_split = True
    words: list[str] = []
    redirected = False
    for token in lexer:
        if set(token) <= set("<>&") and set(token) & set("<>"):
            redirected = True
            if words and words[-1] in "012":
                words.pop()
        elif set(token) <= set(";|&(){}\n"):
            if words:
                yield words
            words = []
        elif redirected:
            redirected = False
        else:
            words.append(token)
    if words:
        yield words


def of_cai(script: str) -> list[list[str]]:
    """Return the command lines of cai in a script, without its name."""
    return [
        words[at + 1 :]
        for words in simple_commands(script)
        for at in [
            next((i for i, w in enumerate(words) if w == "cai" or w.endswith("/bin/cai")), None)
        ]
        if at is not None and words[0] != "limactl"
    ]


def parse(words: list[str]) -> None:
    """Understand a command line as cai does. Raises UsageError."""
    if words[:1] in (["--help"], ["--version"]) or words[-1:] == ["--help"]:
        registry.help_on([word for word in words if not word.startswith("-")])
        return
    words, _ = loudness.split(words, {})
    row, rest = registry.find(words)
    command.parse(row, rest)


def parse_loosely(words: list[str]) -> None:
    """Understand a command line that need not be whole. Raises UsageError, or AssertionError."""
    if words[0] in ("--help", "--version", "COMMAND", "…"):
        return
    row, rest = registry.find([word for word in words if word != "…"])
    known = {word for each in (*command.arguments(row), *command.LOUDNESS) for word in _names(each)}
    ours = rest[: rest.index("--")] if "--" in rest else rest
    options = [word.partition("=")[0] for word in ours if re.match("--?[a-z]", word)]
    unknown = [word for word in options if word not in known | {"--help", "-h"}]
    assert row.passes_all or not unknown, f"cai {row.path} has no {unknown}"


def _names(argument: command.Argument) -> set[str]:
    return {argument.name, argument.short} - {""}
