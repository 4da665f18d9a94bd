"""`cai fork [BOX]`."""

from containai.app import App
from containai.cli import every, naming
from containai.cli.command import Argument, Command, Example, box_name
from containai.cli.report import Report
from containai.errors import UsageError

#: How many forks are made at once, at most: a mistyped number fills a server.
_MOST = 20


def run(app: App, *, box: str | None, number: int, as_: str | None, snapshot: str | None) -> Report:
    """Make boxes that begin as another one is."""
    if as_ is not None and number != 1:
        raise UsageError("--as is for one fork", hint="leave out -n, or --as")
    from containai.flows import whereabouts
    from containai.flows.placed import Forks

    done = whereabouts.box(app, naming.target(box)).fork(Forks(number, as_ or "", snapshot or ""))
    report = every.report(done, "forked")
    return report._replace(views=[f"{name}\n" for name in done.names])


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= _MOST):
        raise ValueError(f"expected a number from 1 to {_MOST}")
    return int(text)


COMMANDS = (
    Command(
        "fork",
        "make boxes on a server that begin as another one is",
        run,
        group="boxes",
        arguments=(
            naming.BOX,
            Argument("--number", "how many (default: 1)", "N", _number, default=1, short="-n"),
            Argument("--as", "what it is called (default: BOX-2, BOX-3, …)", "NAME", box_name),
            Argument("--snapshot", "as the box was then (default: as it is)", "NAME", box_name),
        ),
        examples=(
            Example("cai fork api", "api-2 begins as api is now, which runs on"),
            Example("cai fork -n 3", "three of the box of this directory, at once"),
            Example("cai fork api --as try", "by a name of your choice"),
            Example("cai fork api --snapshot before-upgrade", "as it was: cai snapshot ls api"),
        ),
        more="Each has all of the box: its work, images and volumes of its Docker, data and "
        "logins; the disk is shared until one of them writes. Its host key, machine id, address "
        "and range of ids are its own. It is a box of the same workspace, by its name: cai shell "
        "--name BOX-2, cai pull --name BOX-2. What runs in the box is as after a power cut there. "
        "Agents whose logins change with every use may want one of their own. Boxes of this "
        "machine cannot be forked, for now.",
    ),
)
