"""`cai cp SRC DST`."""

import os
import re
from typing import NamedTuple

from containai.app import App
from containai.boxes.target import Target
from containai.cli.command import Argument, Command, Example, box_name
from containai.cli.report import Note, Report
from containai.errors import UsageError

#: How many of the files that were left out are named.
_SHOWN = 10
#: The exit code where some were.
FOUND = 1
_HINT = "one of both is BOX:PATH, for example: cai cp api:report.txt ."


class Side(NamedTuple):
    """A path of a box, or of the host where `target` is None."""

    target: Target | None
    path: str


def run(app: App, *, src: str, dst: str, follow_links: bool) -> Report:
    """Copy files and directories between a box and the host."""
    from containai.flows import copying

    source, to = sides(src, dst)
    if source.target is not None:
        copied = copying.out(app, source.target, source.path, to.path, follow=follow_links)
    elif to.target is None:
        raise AssertionError("unreachable")
    elif follow_links:
        raise UsageError(
            "--follow-links is for what comes out of a box: going in, no link is followed",
            hint="copy what it leads to by its own path",
        )
    else:
        copied = copying.into(app, to.target, source.path, to.path)
    if not copied.left_out:
        return Report(copied)
    some = "\n  ".join(f"{each.name}: {each.why}" for each in copied.left_out[:_SHOWN])
    dots = "\n  …" if len(copied.left_out) > _SHOWN else ""
    links = any("a link to" in each.why for each in copied.left_out)
    hint = "cai cp --follow-links copies what links lead to in the box" if links else ""
    return Report(copied, (), FOUND, [Note(f"left out:\n  {some}{dots}", hint)])


def sides(src: str, dst: str) -> tuple[Side, Side]:
    """Return what both words mean: one is of a box, the other of the host. Raises UsageError."""
    kinds = [_kind(src), _kind(dst)]
    if "box" not in kinds and "either" in kinds and kinds != ["either", "either"]:
        kinds = ["box" if kind == "either" else "host" for kind in kinds]
    kinds = ["host" if kind == "either" and "box" in kinds else kind for kind in kinds]
    if kinds == ["box", "box"]:
        raise UsageError(
            "cp is between a box and the host, not between two boxes",
            hint="in two steps, through a directory of the host",
        )
    if sorted(kinds) != ["box", "host"]:
        raise UsageError(f"neither {src!r} nor {dst!r} is of a box", hint=_HINT)
    first, second = (_side(text, kind) for text, kind in zip((src, dst), kinds, strict=True))
    return first, second


def _kind(text: str) -> str:
    """Return "box", "host", or "either" for a path with a colon, which may be a workspace's."""
    before, colon, _ = text.partition(":")
    if not colon:
        return "host"
    return "either" if "/" in before else "box"


def _side(text: str, kind: str) -> Side:
    if kind == "host":
        return Side(None, text)
    before, _, path = _divided(text)
    if not path:
        raise UsageError(f"{text!r} has no PATH", hint=f"the agent's home is {before}:.")
    path = re.sub("^~/*", "", path) or "." if re.match("~(/|$)", path) else path
    if "/" in before or before in (".", ".."):
        return Side(Target(path=before), path)
    if not before:
        return Side(Target(), path)
    try:
        return Side(Target(name=box_name(before)), path)
    except ValueError as wrong:
        raise UsageError(
            f"{before!r} is no name of a box: {wrong}",
            hint=f"a file of that name is ./{text}, the box of a directory ./{text}",
        ) from None


def _divided(text: str) -> tuple[str, str, str]:
    """Divide at the first colon behind a directory, or at the first."""
    for found in re.finditer(":", text):
        if os.path.isdir(text[: found.start()] or "."):
            return text[: found.start()], ":", text[found.end() :]
    return text.partition(":")


COMMANDS = (
    Command(
        "cp",
        "copy files and directories between a box and the host",
        run,
        group="box",
        arguments=(
            Argument("SRC", "what is copied: a path, or BOX:PATH", required=True),
            Argument("DST", "where to: a path, or BOX:PATH", required=True),
            Argument("--follow-links", "out of a box: copy what links lead to, not them"),
        ),
        examples=(
            Example("cai cp :report.txt .", "out of the box of this directory"),
            Example("cai cp data.csv api:data/", "into a box by its name"),
            Example("cai cp ~/api:/var/log/app ./logs", "out of the box of a workspace"),
            Example("cai cp api:src/. ./src", "what is in a directory, into another"),
        ),
        more="BOX is a name, the path of a workspace, or nothing for the box of this directory. A "
        "PATH that does not begin with / is below the agent's home. A path of the host with a "
        "colon begins with ./ or /. Where DST is a directory, the copy gets its name in it, and a "
        "directory that is there already gets what is new; else DST is the copy's name. Modes, "
        "times and holes are kept. What comes out is yours, without set-user-id bits, and what "
        "goes in is the agent's. Links come as links; those that lead out of what is copied, "
        "devices and pipes do not come out, are named, and the command ends with 1. SRC itself "
        "is followed in a box, and nothing is followed on the host. A stopped box is started.",
    ),
)
