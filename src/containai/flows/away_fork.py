"""Forks of a box on a remote place: what it was at one moment, several times, side by side."""

import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from typing import TypeVar

from containai.app import App
from containai.away import forking
from containai.away.record import Entry
from containai.boxes.workspace import Workspace
from containai.errors import ContainAIError
from containai.flows import away, away_work
from containai.flows.placed import Forks
from containai.flows.several import Outcome
from containai.transfer import exchange, state
from containai.transfer.state import Place as Work

Given = TypeVar("Given")


def fork(app: App, entry: Entry, wanted: Forks) -> Outcome:
    """Make forks of a box, and start them; one of them fails without the others.

    The box runs on. Without a name for one, they are NAME-2, NAME-3. What is begun when somebody
    interrupts, is undone.
    """
    workspace = away.workspace_of(app, entry)
    app = app.at(workspace.path)
    outcome = Outcome([], [])
    with ExitStack() as undo:
        made = _made(app, entry, wanted, workspace, outcome, undo)
        for result in _at_once(made, lambda each: _started(app, each)):
            if isinstance(result, Entry):
                outcome.names.append(result.name)
            else:
                outcome.failures.append(result)
        undo.pop_all()
    return outcome


def _made(
    app: App, entry: Entry, wanted: Forks, workspace: Workspace, outcome: Outcome, undo: ExitStack
) -> list[Entry]:
    """Make forks, which are not started; note what of them failed, and how each is undone."""
    boxes, one = app.away(entry.place), threading.Lock()
    with boxes.held(entry.name), state.held(app.layout, entry.name) as work:
        if wanted.snapshot:
            forking.existing(boxes, entry, wanted.snapshot)
        else:
            forking.ready(boxes, entry)
        forking.tidy(boxes, entry, app.ui.say)
        names = [wanted.name] if wanted.name else forking.names(boxes, entry, wanted.number)
        app.ui.say(f"forking {entry.name} on {entry.place}: {', '.join(names)}")
        progress = app.ui.step(f"forks of {entry.name}", 1, 1)
        now = nullcontext(wanted.snapshot)
        with now if wanted.snapshot else forking.of_now(boxes, entry, progress) as snapshot:

            def make(name: str) -> Entry:
                hand_on = _Handing(app, name, work, snapshot, one)
                own = app.away(entry.place)
                try:
                    done = forking.make(own, entry, name, snapshot, workspace, progress, hand_on)
                except BaseException:
                    hand_on.undo()
                    raise
                undo.callback(_undo, app, done)
                return done

            results = _at_once(names, make)
    outcome.failures.extend(each for each in results if not isinstance(each, Entry))
    return [each for each in results if isinstance(each, Entry)]


class _Handing:
    """Has what is known of the work of a box known of a fork, too."""

    def __init__(self, app: App, name: str, work: Work, snapshot: str, one: threading.Lock) -> None:
        self._app, self._name, self._work, self._snapshot = app, name, work, snapshot
        self._is_begun = False
        #: git lets one at a time write the user's configuration.
        self._one = one

    def __call__(self) -> None:
        app, name = self._app, self._name
        self._is_begun = True
        with self._one:
            away_work.forget(app, name)
            way = away_work.reach(app, name)
            exchange.hand_on(app.host, app.layout, self._work, way, self._snapshot)

    def undo(self) -> None:
        """Know nothing of the fork's work again."""
        if self._is_begun:
            with self._one:
                away_work.forget(self._app, self._name)


def _started(app: App, fork: Entry) -> Entry:
    try:
        away.started(app, fork)
    except BaseException:
        _undo(app, fork)
        raise
    return fork


def _undo(app: App, fork: Entry) -> None:
    with contextlib.suppress(ContainAIError):
        away.remove(app, fork)


def _at_once(given: Sequence[Given], act: Callable[[Given], Entry]) -> list[Entry | ContainAIError]:
    """Do something with each at the same time; return what came of it, in order."""
    if not given:
        return []
    with ThreadPoolExecutor(len(given)) as pool:
        doing = [pool.submit(act, each) for each in given]
    results: list[Entry | ContainAIError] = []
    for each in doing:
        try:
            results.append(each.result())
        except ContainAIError as failed:
            results.append(failed)
    return results
