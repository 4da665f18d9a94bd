"""Which runtime starts boxes here: the first that passes a live probe."""

from collections.abc import Callable

from containai.boxes import probe
from containai.config.settings import Settings
from containai.engine import runtimes
from containai.engine.client import Engine
from containai.engine.runtimes import Choice
from containai.errors import UnsupportedError
from containai.host import files
from containai.images import recipe
from containai.layout import RUNTIME, SYSBOX_RUNC, Layout
from containai.provision import compat
from containai.provision.compat import Verdict
from containai.provision.step import Action, Do, Finding, Progress, Run, Scope, WriteFile
from containai.provision.steps.engine import EngineFiles, EngineRunning
from containai.provision.steps.sysbox import VERSION, Attempt, Sysbox

#: Where a probe is explained.
HINT = "take the embedded runtime: cai setup --runtime embedded"


class RuntimeChoice:
    """The runtime of new boxes, chosen by what works here."""

    title = "runtime of boxes"

    def __init__(self, attempt: Attempt, settings: Settings) -> None:
        self.attempt = attempt
        self.settings = settings

    def check(self, layout: Layout) -> Finding:
        """Compare the choice with what is asked for, and with the versions it was made for."""
        choice = runtimes.read_choice(layout)
        if choice is None or not self.attempt.settled(layout):
            return Finding(False, "to be probed")
        now = _versions(choice.runtime)
        changed = [
            f"{name} {was} is now {now[name]}"
            for name, was in choice.versions.items()
            if now.get(name, was) != was
        ]
        if changed:
            return Finding(False, f"{choice.runtime} is to be probed again: {', '.join(changed)}")
        return Finding(True, f"{choice.runtime}: {choice.why}{_notes(choice.runtime)}")

    def plan(self, layout: Layout) -> list[Action]:
        """Probe, and make what passes the engine's default."""
        if self.check(layout).ok:
            return []
        return [
            Do("probe the runtimes: boot a box, run and build in its Docker", self._choose(layout))
        ]

    def undo(self, layout: Layout, scope: Scope) -> list[Action]:
        """Forget the choice."""
        there = files.read(layout.runtime_choice) is not None
        return [Run(["rm", "-f", layout.runtime_choice])] if there else []

    def _choose(self, layout: Layout) -> Callable[[Progress], None]:
        def choose(progress: Progress) -> None:
            if self.attempt.refused:
                self._clean(layout, progress)
            engine = Engine(layout)
            reference = recipe.wanted(self.settings).reference
            reasons = [f"{SYSBOX_RUNC}: {self.attempt.refused}"] if self.attempt.refused else []
            for runtime in self._candidates(layout):
                problem = probe.probe(engine, reference, runtime, lambda text: progress(text, None))
                if not problem:
                    why = "; ".join(["it passed its probe", *reasons])
                    _record(layout, Choice(runtime, why, _versions(runtime)), progress)
                    return
                if runtime == SYSBOX_RUNC:
                    self.attempt.refuse(f"a box does not work: {problem}", HINT)
                    self._clean(layout, progress)
                reasons.append(f"{runtime}: {problem}")
            raise UnsupportedError(
                "no runtime works on this machine: " + "; ".join(reasons),
                hint="there is no weaker one to fall back to; see: cai engine logs",
            )

        return choose

    def _candidates(self, layout: Layout) -> list[str]:
        there = runtimes.programs(layout)
        if self.attempt.wants_sysbox(layout) and SYSBOX_RUNC in there:
            return [SYSBOX_RUNC] if self.attempt.asked == "sysbox" else [SYSBOX_RUNC, RUNTIME]
        return [RUNTIME]

    def _clean(self, layout: Layout, progress: Progress) -> None:
        """Take away what was installed of a Sysbox that no box uses, and tell the engine."""
        containers = Engine(layout).containers()
        if not any(container.runtime == SYSBOX_RUNC for container in containers):
            for action in Sysbox(self.attempt).undo(layout, Scope()):
                action.apply(progress)
        _configure(layout, progress)


def _record(layout: Layout, choice: Choice, progress: Progress) -> None:
    WriteFile(layout.runtime_choice, runtimes.choice_text(choice)).apply(progress)
    _configure(layout, progress)


def _configure(layout: Layout, progress: Progress) -> None:
    for step in (EngineFiles(), EngineRunning()):
        for action in step.plan(layout):
            action.apply(progress)


def _versions(runtime: str) -> dict[str, str]:
    """Return what a new probe is made for: its change can make a runtime work, or stop working."""
    facts = compat.gather(compat.parse_version(VERSION))
    seen = {"kernel": facts.kernel[:2], "docker": facts.docker[:2]}
    if runtime == SYSBOX_RUNC:
        seen["sysbox"] = facts.sysbox
    # A point release of kernel or Docker is not worth a new probe.
    return {name: ".".join(map(str, version)) for name, version in seen.items()}


def _notes(runtime: str) -> str:
    rows = compat.SYSBOX if runtime == SYSBOX_RUNC else compat.EMBEDDED
    facts = compat.gather(compat.parse_version(VERSION))
    found = compat.known(rows, facts, Verdict.DOUBTFUL, Verdict.BREAKS, Verdict.WORKS)
    return "".join(f"; {row.verdict}: {row.what} ({row.source})" for row in found)
