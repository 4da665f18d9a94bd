"""`cai forward [BOX] PORT…`."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from containai.app import App
from containai.cli import naming
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Report
from containai.config import forwards
from containai.errors import UsageError

if TYPE_CHECKING:
    from containai.boxes.box import Box
    from containai.config.forwards import Forward
    from containai.flows.forwarding import Wanted


def run(app: App, *, box: Sequence[str], auto: bool, on_demand: bool = False) -> Report:
    """Forward ports of this machine's loopback into a box, until Ctrl-C."""
    from containai.flows import forwarding, whereabouts

    name, ports = understood(box, auto=auto)
    wanted = forwarding.Wanted(ports, auto, on_demand)
    found = whereabouts.box(app, naming.target(name), to_enter=True).box
    forwarding.ready(app, found, wanted)

    def follow(on_line: Callable[[str], None]) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            for change in forwarding.changes(app, found, wanted):
                on_line(change.described())

    return Report(follow=follow, frames=_frames(app, found, wanted))


def _frames(app: App, box: "Box", wanted: "Wanted") -> Iterator[Report]:
    from containai.flows import forwarding

    for change in forwarding.changes(app, box, wanted):
        yield Report(change)


def understood(words: Sequence[str], *, auto: bool) -> "tuple[str | None, list[Forward]]":
    """Return which box words mean, and which ports of it. Raises UsageError."""
    named = bool(words) and not words[0].replace(":", "").isdigit()
    wanted = []
    for word in words[1:] if named else words:
        try:
            wanted.append(forwards.forward(word))
        except ValueError as wrong:
            raise UsageError(f"{word!r} is no port: {wrong}", hint="cai forward --help") from None
    if len({each.listen for each in wanted}) < len(wanted):
        raise UsageError("a port of this machine leads to one place", hint="cai forward --help")
    if not wanted and not auto:
        raise UsageError(
            "forward which port?", hint="for example: cai forward . 3000; what listens: cai ports"
        )
    return (words[0] if named else None), wanted


COMMANDS = (
    Command(
        "forward",
        "open ports of a box on this machine's loopback, for as long as it runs",
        run,
        group="box",
        arguments=(
            Argument(
                "BOX",
                "its name, or the path of its workspace (default: of this directory); then ports: "
                "PORT, HOST_PORT:PORT, or HOST_PORT:HOST:PORT for what the box reaches",
                many=True,
            ),
            Argument("--auto", "whatever listens in the box, too, and while it does"),
            Argument("--on-demand", "the ports only while something in the box listens on them"),
        ),
        examples=(
            Example("cai forward . 3000", "http://localhost:3000 is the box of this directory"),
            Example("cai forward api 8080:80 5432", "two of a box by its name, one as another"),
            Example("cai forward --auto", "whatever listens in there, and will"),
        ),
        more="It runs until Ctrl-C, and nothing of it is left then, however it ends. Only this "
        "machine's loopback is listened on. With --auto a port that is taken here, or below 1024, "
        "gets another one, which is said; anything in the box can have a port opened so. A stopped "
        "box is started. --json says each change in a line.",
    ),
)
