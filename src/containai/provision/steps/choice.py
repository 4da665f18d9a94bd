"""Which runtime starts boxes here: the first that passes a live probe."""

import os

from containai.boxes import probe
from containai.config.settings import Settings
from containai.engine import daemon, runtimes, sysbox
from containai.engine.client import Engine
from containai.engine.runtimes import Choice
from containai.errors import UnsupportedError
from containai.host.machine import Machine
from containai.host.perform import perform
from containai.images import recipe
from containai.layout import Layout
from containai.machine_layout import RUNTIME, SYSBOX_RUNC
from containai.provision import compat
from containai.provision.compat import Verdict
from containai.provision.step import AnyStep, Area, Described, Scope
from containai.provision.steps.engine import EngineFiles, EngineRunning
from containai.provision.steps.sysbox import VERSION, Attempt, Sysbox
from containai.work.actions import Action, Do, Finding, Run, WriteFile
from containai.work.ui import Progress

#: Where a probe is explained.
HINT = "take the embedded runtime: cai setup --runtime embedded"
#: What is tried, by what was asked for.
_TRIED = {
    "auto": f"{SYSBOX_RUNC} where it is there, else {RUNTIME}",
    "sysbox": SYSBOX_RUNC,
    "embedded": RUNTIME,
}


class RuntimeChoice(Described):
    """The runtime of new boxes, chosen by what works here."""

    area = Area.RUNTIME
    title = "runtime of boxes"
    holds = "what starts boxes was chosen by a live probe, with the versions that are there now"
    otherwise = "it is probed"
    looks = "the recorded choice is compared with the versions of now"
    means = "whether a box works here was seen with other versions than these"

    def __init__(self, attempt: Attempt, settings: Settings) -> None:
        self.attempt = attempt
        self.settings = settings

    def check(self, host: Machine) -> Finding[None]:
        """Compare the choice with what is asked for, and with the versions it was made for."""
        layout = host.layout
        choice = runtimes.read_choice(layout)
        if choice is None or not self.attempt.settled(layout):
            return Finding(False, "to be probed")
        now = _versions(host, choice.runtime)
        changed = [
            f"{name} {was} is now {now[name]}"
            for name, was in choice.versions.items()
            if now.get(name, was) != was
        ]
        if changed:
            return Finding(False, f"{choice.runtime} is to be probed again: {', '.join(changed)}")
        notes, others = _notes(host, choice.runtime), _others(host, choice.runtime)
        return Finding(True, f"{choice.runtime}: {choice.why}{notes}{others}")

    def plan(self, host: Machine, finding: Finding[None]) -> list[Action]:
        """Probe, and make what passes the engine's default."""
        layout = host.layout
        if finding.ok:
            return []
        details = (
            f"docker create, start, exec and rm a box of {recipe.wanted(self.settings).reference}, "
            f"with {_TRIED[self.attempt.asked]}, whose Docker runs and builds",
            f"# write what passes, and why, to {layout.runtime_choice}",
            f"# write {layout.engine_config} anew where it names another, and restart the engine",
            "# take away a Sysbox of ours that does not pass and that no box uses",
        )
        title = "probe the runtimes: boot a box, run and build in its Docker"
        return [Do(title, lambda progress: self._choose(host, progress), details)]

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """Forget the choice."""
        layout = host.layout
        there = os.path.lexists(layout.runtime_choice)
        return [Run(["rm", "-rf", layout.runtime_choice])] if there else []

    def _choose(self, host: Machine, progress: Progress) -> None:
        refused = self.attempt.refusal(host)
        if refused:
            self._clean(host, progress)
        engine = Engine(host)
        reference = recipe.wanted(self.settings).reference
        reasons = [f"{SYSBOX_RUNC}: {refused}"] if refused else []
        for runtime in self._candidates(host.layout, refused):
            problem = probe.probe(engine, reference, runtime, lambda text: progress(text, None))
            if not problem:
                why = "; ".join(["it passed its probe", *reasons])
                _record(host, Choice(runtime, why, _versions(host, runtime)), progress)
                if runtime == RUNTIME and sysbox.is_ours(host.layout):
                    self._clean(host, progress)
                return
            if runtime == SYSBOX_RUNC:
                self.attempt.give_up(f"a box does not work: {problem}", HINT)
                self._clean(host, progress)
            reasons.append(f"{runtime}: {problem}")
        raise UnsupportedError(
            "no runtime works on this machine: " + "; ".join(reasons),
            hint="there is no weaker one to fall back to; see: cai engine logs",
        )

    def _candidates(self, layout: Layout, refused: str) -> list[str]:
        wanted = not refused and self.attempt.wants_sysbox(layout)
        if wanted and SYSBOX_RUNC in runtimes.programs(layout):
            return [SYSBOX_RUNC] if self.attempt.asked == "sysbox" else [SYSBOX_RUNC, RUNTIME]
        return [RUNTIME]

    def _clean(self, host: Machine, progress: Progress) -> None:
        """Take away what was installed of a Sysbox that no box uses, and tell the engine."""
        containers = Engine(host).containers()
        if not any(container.runtime == SYSBOX_RUNC for container in containers):
            for action in Sysbox(self.attempt).undo(host, Scope()):
                perform(host, action, progress)
        _configure(host, progress)


def _record(host: Machine, choice: Choice, progress: Progress) -> None:
    perform(host, WriteFile(host.layout.runtime_choice, runtimes.choice_text(choice)), progress)
    _configure(host, progress)


def _configure(host: Machine, progress: Progress) -> None:
    steps: tuple[AnyStep, ...] = (EngineFiles(), EngineRunning())
    for step in steps:
        for action in step.plan(host, step.check(host)):
            perform(host, action, progress)


def _versions(host: Machine, runtime: str) -> dict[str, str]:
    """Return what a new probe is made for: its change can make a runtime work, or stop working."""
    facts = compat.gather(host, compat.parse_version(VERSION))
    seen = {"kernel": facts.kernel[:2], "docker": facts.docker[:2]}
    if runtime == SYSBOX_RUNC:
        seen["sysbox"] = facts.sysbox
    # A point release of kernel or Docker is not worth a new probe.
    return {name: ".".join(map(str, version)) for name, version in seen.items()}


def _others(host: Machine, runtime: str) -> str:
    """Return which boxes have another runtime than new ones: nothing can change a container's."""
    if not daemon.reachable(host):
        return ""
    ours = {RUNTIME, SYSBOX_RUNC} - {runtime}
    names = sorted(box.name for box in Engine(host).containers() if box.runtime in ours)
    if not names:
        return ""
    keep = "keep" if len(names) > 1 else "keeps"
    return (
        f"; {', '.join(names)} {keep} {ours.pop()}: cai run --fresh makes one anew, its data stays"
    )


def _notes(host: Machine, runtime: str) -> str:
    table = compat.SYSBOX if runtime == SYSBOX_RUNC else compat.EMBEDDED
    facts = compat.gather(host, compat.parse_version(VERSION))
    rows = compat.known(table, facts, Verdict.DOUBTFUL, Verdict.BREAKS, Verdict.WORKS)
    return "".join(f"; {row.verdict}: {row.what} ({row.source})" for row in rows)
