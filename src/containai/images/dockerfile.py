"""A workspace's own Dockerfile: what may be in it, and what of it is sent to be built.

An agent may have written it. What its RUN do in their container is for its user to trust; here is
looked at what would make of it something else than a layer upon one of ours.
"""

import json
import re
from typing import NamedTuple

from containai import trust
from containai.config.values import LAYERS
from containai.errors import ImageError

#: Where it is in a workspace.
PATH = f"{trust.DIRECTORY}/{trust.DOCKERFILE}"
#: How large it may be, in bytes: what nobody reads nobody can trust.
LIMIT = 64 << 10
#: What it begins with: one of our layers, or with this argument what the settings say.
ARGUMENT = "CONTAINAI_BASE"

_TAKEN = ("ARG", "ENV", "EXPOSE", "LABEL", "RUN", "SHELL", "USER", "WORKDIR")
_REFUSED = {
    "ADD": "nothing but this file is sent to the build; fetch with RUN curl or RUN git clone",
    "COPY": "nothing but this file is sent to the build; write files with RUN",
    "CMD": "a box boots systemd; make a service of it: RUN systemctl enable NAME",
    "ENTRYPOINT": "a box boots systemd; make a service of it: RUN systemctl enable NAME",
    "FROM": "there is one FROM, at the top",
    "HEALTHCHECK": "a box is a machine; make a timer of it: RUN systemctl enable NAME.timer",
    "ONBUILD": "no other image is made from it",
    "STOPSIGNAL": "a box shuts down as systemd does",
    "VOLUME": "a box keeps all that is in it",
}
# Compiled when they are used: every cold start imports this, and few have such a file.
_DIRECTIVE = r"(?i)#\s*(syntax|escape|check)\s*="
_CONTINUED = r"\\[ \t]*$"
_HERE_DOCUMENT = r"(?<!<)<<-?[ \t]*[\"']?\w"
_OURS = r"(?i)(^|\s)[\"']?containai\."
#: In the directory that is sent along: gives what it runs the certificates of this machine.
_RUN = ("/bin/sh", "/build/run")
_BEGINNING = f"""\
ARG ROOT
ARG SOURCE
FROM ${{ROOT}}
COPY certificates /build/certificates/
COPY run finish /build/
SHELL {json.dumps([*_RUN, "/bin/sh", "-c"])}
"""
#: systemd is started as root, whoever was the last USER.
_END = """\
USER 0:0
WORKDIR /
SHELL ["/bin/sh", "-c"]
RUN ["/bin/sh", "/build/finish"]
"""


class Dockerfile(NamedTuple):
    """One that is right: the layer that it begins with, "" for that of the settings; what is sent.

    `text` is sent to the engine.
    """

    layer: str
    text: str


class _Instruction(NamedTuple):
    """Its line, its word in capitals, what follows the word, and its lines as they are."""

    line: int
    word: str
    rest: str
    source: str


def parse(content: bytes) -> Dockerfile:
    """Understand a workspace's Dockerfile. Raises ImageError with the line of what is wrong."""
    lines = _lines(content)
    found = _instructions(lines)
    begins = next((at for at, each in enumerate(found) if each.word != "ARG"), len(found))
    if begins == len(found):
        raise _wrong(len(lines), "it has no FROM", _HOW)
    layer = _layer(found[: begins + 1])
    sent = [_sent(each) for each in found[begins + 1 :]]
    return Dockerfile(layer, "\n".join([_BEGINNING, *sent, _END]))


_HOW = (
    f"it begins with FROM and one of {', '.join(LAYERS)}; or with ARG {ARGUMENT} and "
    f"FROM ${{{ARGUMENT}}}, for what image.name says"
)


def _lines(content: bytes) -> list[str]:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise ImageError(f"{PATH} is not UTF-8", hint="save it as such") from None
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        # What is shown is what is built: nothing that steers a terminal, or cannot be seen.
        odd = next((c for c in line if not c.isprintable() and c != "\t"), "")
        if odd:
            raise _wrong(number, f"a character that is not shown: U+{ord(odd):04X}", "remove it")
    return lines


def _instructions(lines: list[str]) -> list[_Instruction]:
    """Return the instructions, as Docker's parser divides them.

    A comment or an empty line within one is none of it.
    """
    found: list[_Instruction] = []
    begins, parts = 0, list[str]()
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not found and not parts and re.match(_DIRECTIVE, text):
            raise _wrong(number, "directives are for another builder", "remove the line")
        if not text or text.startswith("#"):
            continue
        begins = begins or number
        parts.append(re.sub(_CONTINUED, "", line))
        if not re.search(_CONTINUED, line):
            found.append(_instruction(begins, parts, lines[begins - 1 : number]))
            begins, parts = 0, []
    if parts:
        raise _wrong(begins, "it goes on after the last line", "remove the last backslash")
    return found


def _instruction(line: int, parts: list[str], source: list[str]) -> _Instruction:
    word, _, rest = "".join(parts).strip().replace("\t", " ").partition(" ")
    return _Instruction(line, word.upper(), rest.strip(), "\n".join(source))


def _layer(beginning: list[_Instruction]) -> str:
    """Return the layer that is begun with, from all up to FROM."""
    *arguments, begin = beginning
    if begin.word != "FROM":
        raise _wrong(begin.line, f"{begin.word} comes before FROM", _HOW)
    for each in arguments:
        if each.rest.partition("=")[0] != ARGUMENT:
            raise _wrong(each.line, f"ARG {each.rest} comes before FROM", _HOW)
    if arguments and begin.rest in (f"${ARGUMENT}", f"${{{ARGUMENT}}}"):
        return ""
    if begin.rest not in LAYERS or arguments:
        raise _wrong(begin.line, f"FROM {begin.rest} is none of its layers", _HOW)
    return begin.rest


def _sent(given: _Instruction) -> str:
    """Return an instruction as it is sent. Raises ImageError for one that is not taken."""
    line, word, rest, source = given
    if word not in _TAKEN:
        why = _REFUSED.get(word, "there is no such instruction")
        raise _wrong(line, f"{word} is not taken: {why}", "remove it")
    if word == "RUN" and rest.startswith("--"):
        raise _wrong(line, f"{rest.split()[0]} is BuildKit's, which does not build it", "remove it")
    if word == "RUN" and re.search(_HERE_DOCUMENT, rest):
        raise _wrong(line, "here-documents are BuildKit's, which does not build it", "use printf")
    if word == "LABEL" and re.search(_OURS, rest):
        raise _wrong(line, "labels that begin with containai. are ContainAI's", "choose another")
    return _shell(given) if word == "SHELL" else source


def _shell(given: _Instruction) -> str:
    try:
        words = json.loads(given.rest)
    except (ValueError, RecursionError):
        words = None
    if not isinstance(words, list) or not words or not all(isinstance(each, str) for each in words):
        raise _wrong(given.line, 'SHELL needs a list like ["/bin/bash", "-c"]', "correct it")
    return f"SHELL {json.dumps([*_RUN, *words])}"


def _wrong(line: int, what: str, hint: str) -> ImageError:
    return ImageError(f"{PATH}, line {line}: {what}", hint=hint)
