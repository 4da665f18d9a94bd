"""What users made with the engine: doctor looks at it, and `cai uninstall` may take it away."""

from containai.boxes import box, lookup
from containai.engine import configuration, daemon, shims
from containai.engine.client import Engine
from containai.errors import ContainAIError, EngineError
from containai.host.machine import Machine
from containai.layout import SPARE
from containai.provision.step import Area, Fact, Scope
from containai.work.actions import Action, Do, Finding, Run, unknown


class Contents(Fact):
    """Boxes, and all other containers, volumes and images of the engine."""

    area = Area.BOXES
    title = "boxes"
    holds = "none of your boxes is broken"
    otherwise = "`cai rm --name NAME`"
    looks = "the engine is asked for its containers and their labels"
    means = "that box cannot be entered, and stays in the way of a new one"

    def check(self, host: Machine) -> Finding[None]:
        """Look for boxes of this user that are broken."""
        if not daemon.reachable(host):
            return unknown("the engine does not answer")
        every = lookup.every(Engine(host))
        boxes = [mine for mine in every if mine.belongs_to(host.layout.uid)]
        broken = [f"{mine.name}: {', '.join(why)}" for mine in boxes if (why := _broken(mine))]
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
        if host.which("docker") is None or not configuration.is_there(layout):
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
        # Nobody has ever been in one.
        running = [name for name in running if not name.startswith(SPARE)]
        others = _of_others(host, lookup.every(engine))
        if running and not scope.containers:
            named = [others.get(name, name) for name in running]
            raise ContainAIError(
                f"these containers are running: {', '.join(named)}",
                hint="stop them (cai stop), or remove them too: --containers",
            )
        return _removals(engine, scope, running, list(others.values()))


def _broken(mine: box.Box) -> list[str]:
    """Return what is wrong with a box; where its workspace is, is another check's."""
    elsewhere = box.wrong_with(mine.workspace)
    return [problem for problem in mine.problems if problem != elsewhere]


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
        remove = request("image", "rm", "--force", *images)
        act = lambda _: _remove_images(engine)  # noqa: E731 - it is one of a list
        actions.append(Do(remove.brief(), act, (remove.describe(),)))
    return actions


def _remove_images(engine: Engine) -> None:
    """Remove every image. Of those that stand on each other, the engine takes the last one first.

    It goes through what it is given in that order, refuses one that another stands on, and takes
    it along with the last of those: so that it is asked again for what is left.
    Raises EngineError for what it does not remove.
    """
    before: list[str] = []
    while left := sorted(set(engine.docker("image", "ls", "--quiet").out.split())):
        done = engine.docker("image", "rm", "--force", *left, ok=None)
        if left == before:
            said = done.err.strip().splitlines()
            raise EngineError(
                f"{len(left)} images could not be removed: {said[-1] if said else done.code}",
                hint="see: cai docker image ls",
            )
        before = left
