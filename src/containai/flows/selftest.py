"""The escape self-test of a box: it is started if need be, and every probe is run."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from containai.app import App
from containai.attack import facts, report, send
from containai.away.record import Entry
from containai.boxes import mounting
from containai.boxes.box import Box, Status
from containai.boxes.target import Target
from containai.boxes.workspace import Workspace
from containai.errors import BoxStartError, ContainAIError, SelfTestError
from containai.flows import enter, whereabouts
from containai.host import files
from containai.ssh import session


class Tested(NamedTuple):
    """A box, by its name, and what each probe saw."""

    box: str
    rows: list[report.Row]

    @property
    def is_fine(self) -> bool:
        """Whether every probe could look, and found nothing."""
        return all(row.status == "ok" for row in self.rows)


def selftest(app: App, target: Target) -> Tested:
    """Run all probes in a box. Raises a ContainAIError with a code of its own where they cannot."""
    with _of_the_test():
        return whereabouts.box(app, target, to_enter=True).selftest()


def of_here(app: App, box: Box) -> Tested:
    """Run all probes in a box of this machine."""
    if not session.is_live(app.layout, box.name) or box.status is not Status.RUNNING:
        if box.status in (Status.UNFINISHED, Status.BROKEN, Status.PAUSED):
            raise BoxStartError(f"{box.name} is {box.status}", hint="see: cai ls")
        enter.started(app, box)
    app.ui.say(f"probing the box {box.name}")
    known = facts.gather(app.engine, box.container, asked=_asked(app, box))
    return Tested(box.name, report.run(ways(app, box), known))


def selftest_elsewhere(app: App, name: str, through: send.Through) -> Tested:
    """Run the probes in a box on another machine, whose control connection stands.

    `through` runs a command there as its root, by another way than ssh. What only the host can say
    is not looked at, and never fine. Raises as `selftest`.
    """
    with _of_the_test():
        app.ui.say(f"probing the box {name}; its host is another machine, and is not looked at")
        both = _over_ssh(app, name, "", ())
        return Tested(
            name, report.run_elsewhere(both | {"exec": lambda: send.run_through(through)})
        )


def of_there(app: App, entry: Entry) -> Tested:
    """Run the probes in a box on a remote place that can be run in there."""
    from containai.flows import away

    away.started(app, entry)
    place = app.place(entry.place)

    def through(words: Sequence[str], stdin: bytes) -> tuple[int, bytes, bytes]:
        code, out, err = place.run(entry.instance, words, stdin)
        return code, out, err

    return selftest_elsewhere(app, entry.name, through)


@contextmanager
def _of_the_test() -> Iterator[None]:
    """Have what fails be no finding: the code 1 says that something was found."""
    try:
        yield
    except (ContainAIError, OSError) as failed:
        if getattr(failed, "exit_code", 1) != 1:
            raise
        raise SelfTestError(str(failed), hint=getattr(failed, "hint", "")) from None


def _asked(app: App, box: Box) -> list[tuple[str, str]]:
    """Return what of the host a box of its workspace is given beside that, and where."""
    given = app.at(box.workspace).boxes.wishes.places(app.host, Workspace(box.workspace)).mounts
    added = mounting.added(app.layout, box.container)
    return [(mount.source, mount.target) for mount in (*given, *added)]


def ways(app: App, box: Box) -> report.Ways:
    """Return the ways into a box: as the agent, as root through sudo, and through the engine."""
    opened = files.read_if_whole(app.layout.opened_ports) or ""
    targets = [target for _, target in _asked(app, box)]

    def through_engine() -> list[send.Answer]:
        argv = app.engine.argv("exec", "-i", box.container, *send.PYTHON)
        root = app.engine.needs_root
        return send.run(app.host, argv, opened=opened, places=targets, root=root)

    return _over_ssh(app, box.name, opened, targets) | {"exec": through_engine}


def _over_ssh(
    app: App, name: str, opened: str, places: Sequence[str]
) -> dict[str, Callable[[], list[send.Answer]]]:
    def over(*prefix: str) -> list[send.Answer]:
        argv = session.ssh_argv(app.layout, name, [*prefix, *send.PYTHON], terminal=False)
        return send.run(app.host, argv, opened=opened, places=places)

    return {"root": lambda: over("sudo", "-n"), "agent": over}
