"""What users made with the engine: doctor looks at it, and `cai uninstall` may take it away."""

from containai.boxes import box, lookup
from containai.engine import configuration, daemon, shims
from containai.engine.client import Engine
from containai.errors import ContainAIError, EngineError
from containai.host.machine import Machine
from containai.provision.step import Fact, Scope
from containai.work.actions import Action, Finding, Run


class Contents(Fact):
    """Boxes, and all other containers, volumes and images of the engine."""

    title = "boxes"
    holds = "none of your boxes is broken"
    otherwise = "`cai rm --name NAME`"

    def check(self, host: Machine) -> Finding[None]:
        """Look for boxes of this user that are broken."""
        if host.which("docker") is None or not daemon.answering(host):
            return Finding(False, "not checked: the engine does not answer")
        every = lookup.every(Engine(host))
        boxes = [mine for mine in every if mine.belongs_to(host.layout.uid)]
        broken = [f"{mine.name}: {', '.join(mine.problems)}" for mine in boxes if mine.problems]
        if broken:
            return Finding(False, "; ".join(broken), hint="remove it: cai rm --name NAME")
        running = sum(mine.status is box.Status.RUNNING for mine in boxes)
        others = len(every) - len(boxes)
        beside = f"; {others} of other users" if others else ""
        return Finding(True, f"{len(boxes)}, of which {running} run{beside}")

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """Remove what the scope names; a purge takes the whole of the engine's data later.

        Raises ContainAIError where containers run and may not be removed, EngineError where an
        engine that does not answer keeps that from being seen.
        """
        layout = host.layout
        if host.which("docker") is None or configuration.read(layout) is None:
            return []
        engine = Engine(host)
        if not daemon.answering(host):
            if shims.alive(layout):
                raise EngineError(
                    "containers run whose engine does not answer: what it holds cannot be seen",
                    hint="start it: cai engine start; or end what runs: cai engine stop",
                )
            if scope[:3] != Scope()[:3]:
                raise EngineError(
                    "the engine does not answer: what it holds cannot be seen",
                    hint="start it: cai engine start; or take all that it has: --purge alone",
                )
            return []
        running = engine.docker("ps", "--format", "{{.Names}}").out.split()
        others = _of_others(host, lookup.every(engine))
        if running and not scope.containers:
            named = [others.get(name, name) for name in running]
            raise ContainAIError(
                f"these containers are running: {', '.join(named)}",
                hint="stop them (cai stop), or remove them too: --containers",
            )
        return _removals(engine, scope, running, list(others.values()))


def _of_others(host: Machine, boxes: list[box.Box]) -> dict[str, str]:
    """Return the boxes of other users, by name, with whose each is."""
    return {
        other.name: f"{other.name} ({host.user_name(other.owner)}'s)"
        for other in boxes
        if not other.belongs_to(host.layout.uid)
    }


def _removals(engine: Engine, scope: Scope, running: list[str], others: list[str]) -> list[Action]:
    def request(*words: str) -> Run:
        return Run(engine.argv(*words), root=engine.needs_root)

    def listed(*words: str) -> list[str]:
        return engine.docker(*words, "--quiet").out.split()

    actions: list[Action] = []
    volumes = listed("volume", "ls")
    if scope.containers:
        if running:
            actions.append(request("stop", *running))
        if containers := listed("ps", "--all"):
            remove = request("rm", "--force", "--volumes", *containers)
            title = f"remove every container, boxes of other users too: {', '.join(others)}"
            actions.append(remove._replace(title=title) if others else remove)
        # What of a box has a name does not go with it, and is a part of it all the same.
        every = filter(box.is_box, engine.containers())
        own = {name for container in every for name in box.named_volumes(container)}
        if parts := [name for name in volumes if name in own]:
            actions.append(request("volume", "rm", "--force", *parts))
    if scope.volumes and volumes:
        actions.append(request("volume", "rm", "--force", *volumes))
    # Without --all: the steps of a build go with the image that they were steps to.
    if scope.images and (images := sorted(set(listed("image", "ls")))):
        actions.append(request("image", "rm", "--force", *images))
    return actions
