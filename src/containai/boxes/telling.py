"""What a box is told of the network around the machine, and its user's variables: said to it."""

from collections.abc import Callable, Sequence

from containai.boxes import around, given, places, sshd, variables
from containai.boxes.box import Box
from containai.boxes.variables import Variables
from containai.engine import configuration, forward
from containai.engine.client import Engine
from containai.host.machine import Machine
from containai.ssh import hosts, session


def told(host: Machine, name: str) -> str:
    """Return what a box of that name is to be told of the network.

    Raises ContainAIError for a certificate or a proxy of this machine that is none.
    """
    addresses = configuration.network(host.layout)
    if addresses is None:
        return ""
    forwarded = forward.forwarded(host.layout)
    return around.text(host.surroundings, addresses, name, forwarded)


def tell(engine: Engine, box: Box, text: str, say: Callable[[str], None], *, runs: bool) -> None:
    """Have a box know what it is told of the network, where it knows other: now, or as it boots.

    What it says is nobody's business: it may be anything.
    """
    if around.mark(text) == session.last_told(engine.layout, box.name):
        return
    if not runs:
        given.forget(engine.layout, box.container)
    if not _place(engine, box, around.FILE_IN_BOX, around.PLACE, text, runs=runs):
        say(f"{box.name} did not take this machine's certificates and proxies")
    if runs:
        hosts.retire(engine.host, box.name)


def give(
    engine: Engine, box: Box, wanted: Variables, say: Callable[[str], None], *, runs: bool
) -> None:
    """Have a box know its user's variables, at once or when it boots, where it knows others."""
    if wanted.mark == session.last_variables(engine.layout, box.name):
        return
    if not _place(engine, box, variables.FILE_IN_BOX, variables.PLACE, wanted.text, runs=runs):
        say(f"{box.name} did not take the variables of [env]; a newer image does: cai run --fresh")


def link(engine: Engine, box: Box, repository: str, say: Callable[[str], object]) -> None:
    """Have a box that runs know the repository of its linked worktree, as one that boots would."""
    path, program = places.REPOSITORY_FILE_IN_BOX, places.LINK
    if not _place(engine, box, path, program, repository + "\n", runs=True):
        say(f"{box.name} did not take its repository; a newer image does: cai run --fresh")


def _place(
    engine: Engine, box: Box, path: str, program: Sequence[str], text: str, *, runs: bool
) -> bool:
    """Have a file in a box: its program takes it, or the box when it boots. Whether it did."""
    if not runs:
        files = {path: (text, 0o600)}
        given.give(engine, box.container, files)
        return True
    done = sshd.ask(engine, box.container, program, text.encode(), around.TIMEOUT)
    return done is not None and not done.code
