"""Commands on boxes of a remote place that steers a terminal: cases of test_views.py."""

from containai.away import record
from containai.away.place import Node, Stored
from containai.away.record import Entry
from containai.boxes.box import Status
from containai.boxes.target import Target
from containai.cli.commands import (
    fork,
    image,
    limit,
    logs,
    ls,
    move,
    pull,
    push,
    rm,
    snapshot,
    status,
    stop,
)
from containai.errors import BoxNotFoundError, ContainAIError, UsageError, WorkspaceError
from harness.place import OTHER, OWN, FakePlace

#: As in of_running.py.
EVIL = "a\x1b[2J\x9b1m\r\x07\u202e\x7fb"


def _away(app):
    """Return the App with boxes on a place, of this user and of others."""
    place = FakePlace(EVIL)
    place.console = f"{EVIL} [2J\n"
    app.place = lambda name: place
    for name, owner in ((EVIL, OWN), (f"{EVIL}-4", OTHER)):
        place.create_as(name, owner, EVIL)
    record.put(app.layout, Entry(EVIL, EVIL, EVIL, f"/srv/{EVIL}"))
    return app


def _broken(app):
    app = _away(app)
    app.place(EVIL)._set(EVIL, status=Status.BROKEN, problem=EVIL, node=EVIL)
    return app


def _snapshot(app):
    app = _away(app)
    app.place(EVIL).take(EVIL, EVIL, None)
    return app


def _cluster(app):
    app = _away(app)
    app.place(EVIL)._set(EVIL, node=EVIL)
    app.place(EVIL).cluster = [Node(EVIL), Node("node2", EVIL)]
    return app


def _pruned(app, *, is_everyones):
    app = _away(app)
    image_there = Stored(EVIL, EVIL, EVIL, EVIL, (EVIL,), 1, EVIL, (), is_everyones, EVIL)
    app.place(EVIL).stored = [image_there]
    return image.prune(app, on=EVIL, dry_run=False)


#: The command, how it is done, and whether it says a name of somebody's at all.
CASES = [
    ("ls", lambda app: ls.run(_away(app), all=True), True),
    ("ls", lambda app: ls.run(_broken(app), all=False), True),
    (
        "status",
        lambda app: status.run(
            _away(app), Target(name=EVIL), watch=False, size=False, processes=False
        ),
        True,
    ),
    ("limit", lambda app: limit.run(_away(app), Target(name=EVIL)), True),
    (
        "logs",
        lambda app: logs.run(
            _away(app), Target(name=EVIL), follow=False, since=None, lines=9, unit=None,
            boot=False, console=True,
        ),
        True,
    ),
    ("stop", lambda app: stop.run(_away(app), Target(name=EVIL), all=False), True),
    ("rm", lambda app: rm.run(_away(app), Target(name=EVIL), all=False), True),
    ("fork", lambda app: fork.run(_broken(app), box=None, number=1, as_=None, snapshot=None), True),
    ("snapshot add", lambda app: snapshot.add(_broken(app), box=None, name=None), True),
    ("snapshot ls", lambda app: snapshot.ls(_snapshot(app), box=None), True),
    ("snapshot restore", lambda app: snapshot.restore(_snapshot(app), box=".", name=EVIL), True),
    ("snapshot rm", lambda app: snapshot.rm(_snapshot(app), box=".", name=EVIL), True),
    ("move", lambda app: move.run(_cluster(app), box=None, to="node2"), True),
    ("move", lambda app: move.run(_cluster(app), box=None, to="node3"), True),
    ("image prune", lambda app: _pruned(app, is_everyones=False), True),
    ("image prune", lambda app: _pruned(app, is_everyones=True), True),
    ("push", lambda app: push.run(_broken(app), Target(name=EVIL), ignored=None), True),
    ("pull", lambda app: pull.run(_broken(app), Target(name=EVIL), merge=False), True),
]  # fmt: skip

#: Rows of test_bad_input.py.
WRONG: dict[str, list[tuple[list[str], type[ContainAIError]]] | None] = {
    "fork": [
        (["gone"], BoxNotFoundError),
        (["./gone"], WorkspaceError),
        (["A b"], UsageError),
        ([".", "-n", "0"], UsageError),
        ([".", "-n", "21"], UsageError),
        ([".", "-n", "²"], UsageError),
        ([".", "-n", "2", "--as", "one"], UsageError),
        ([".", "--as", "../x"], UsageError),
        ([".", "--snapshot", "a b"], UsageError),
    ],
    "move": [
        (["."], UsageError),
        ([".", "--to", ""], UsageError),
        (["gone", "--to", "node2"], BoxNotFoundError),
        (["./gone", "--to", "node2"], WorkspaceError),
        (["A b", "--to", "node2"], UsageError),
    ],
    "snapshot add": [
        (["gone"], BoxNotFoundError),
        (["./gone"], WorkspaceError),
        (["A b"], UsageError),
        ([".", "../x"], UsageError),
    ],
    "snapshot ls": [
        (["gone"], BoxNotFoundError),
        (["./gone"], WorkspaceError),
        (["A b"], UsageError),
    ],
    "snapshot restore": [
        (["."], UsageError),
        (["gone", "before"], BoxNotFoundError),
        (["./gone", "before"], WorkspaceError),
        (["A b", "before"], UsageError),
    ],
    "snapshot rm": [
        (["."], UsageError),
        (["gone", "before"], BoxNotFoundError),
        (["./gone", "before"], WorkspaceError),
        (["A b", "before"], UsageError),
    ],
}
