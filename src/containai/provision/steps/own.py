"""The boxes of whoever asks, for checks of them: all, or one by its name."""

import os
from collections.abc import Sequence
from typing import Any

from containai.boxes import entries
from containai.boxes.box import Box
from containai.config.settings import Settings
from containai.engine.client import Engine
from containai.host.machine import Machine
from containai.work.actions import Action, Do, Finding, unknown


class Only:
    """A check of all boxes of a user, or of the one of that name."""

    def __init__(self, only: str = "") -> None:
        self.only = only

    def check(self, host: Machine) -> Finding[Any]:
        """Judge the boxes, which the engine is asked for."""
        own = boxes(host, self.only)
        return engine_silent() if own is None else self.judged(host, own)

    def judged(self, host: Machine, own: Sequence[Box]) -> Finding[Any]:
        """Return how it is with these boxes."""
        raise NotImplementedError


class Mending:
    """A check that finds boxes, each of which is made right by itself."""

    #: What mending it in one box is called, BOX being its name, and what that does.
    doing = ""
    details: tuple[str, ...] = ()

    def mend(self, engine: Engine, box: Box) -> None:
        """Make it right in one box."""
        raise NotImplementedError

    def plan(self, host: Machine, finding: Finding[list[Box]]) -> list[Action]:
        """Make it right in each."""
        return [self._mending(host, box) for box in finding.data or ()]

    def _mending(self, host: Machine, box: Box) -> Action:
        title = self.doing.replace("BOX", box.name)
        return Do(title, lambda _: self.mend(Engine(host), box), self.details)


def boxes(host: Machine, only: str = "") -> list[Box] | None:
    """Return this user's boxes, or the one of that name; None where the engine does not answer."""
    own = entries.boxes(Engine(host))
    return own if own is None else [box for box in own if only in ("", box.name)]


def engine_silent() -> Finding[Any]:
    """Return what a check says where the engine does not answer."""
    return unknown("the engine does not answer", hint="start it: cai engine start")


def none_runs(only: str) -> Finding[Any]:
    """Return what a check says that only running boxes can answer, where none does."""
    if only:
        return unknown("it does not run", hint=f"start it: cai start --name {only}")
    return Finding(True, "no box runs")


def settings(host: Machine, workspace: str = "") -> Settings:
    """Return what the user set, for a workspace. Raises ContainAIError where that is damaged."""
    return Settings.load(host.layout.config_file, os.environ, workspace)
