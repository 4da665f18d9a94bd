"""Boxes that wait for a workspace: whether there are as many as there are to be."""

from containai.boxes import claims, spares
from containai.config.settings import Settings
from containai.engine import configuration, daemon
from containai.engine.client import Engine
from containai.host import files
from containai.host.machine import Machine
from containai.layout import DATA_IN_BOX, SPARE
from containai.provision.step import Area, Fact, Scope
from containai.work.actions import Action, Do, Finding, Run, unknown


class Spares(Fact):
    """Spare boxes of this user."""

    area = Area.BOXES
    title = "spare boxes"
    holds = "as many boxes wait for a workspace as `box.spares` says"
    otherwise = "they are made beside the next new box; `cai run` then takes the longer way"
    looks = "the engine is asked for them, and each whether it can be claimed"
    means = "a new workspace waits for its box to boot"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def check(self, host: Machine) -> Finding[None]:
        """Count those that could be claimed now."""
        said = self._settings.box_spares
        if not said.is_auto and not said.number:
            return Finding(True, "none wanted")
        if configuration.read(host.layout) is None or not daemon.reachable(host):
            return unknown("the engine does not answer")
        if Engine(host).needs_root:
            return Finding(True, "none: whoever goes through sudo has none")
        found = spares.unclaimed(Engine(host))
        wanted = spares.wanted(host, said, len(found))
        if not wanted:
            return Finding(True, "none wanted: too little memory is free")
        ready = sum(spares.is_ready(host.layout, each) for each in found)
        if ready >= wanted:
            return Finding(True, f"{ready} wait for a workspace")
        why = files.read_if_whole(spares.note(host.layout)) or ""
        if said.is_auto and not found and not why:
            return Finding(True, "none yet: one is made beside the next new box")
        seen = f"{ready} of {wanted} wait for a workspace"
        return Finding(
            False,
            f"{seen}: {why}" if why else seen,
            optional=True,
            hint="they are made beside the next new box: cai run",
        )

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """End what makes them, and remove those of all users: nobody has ever been in one."""
        if host.which("docker") is None or not daemon.answering(host):
            return []
        engine = Engine(host)
        found = [each for each in engine.containers() if each.name.startswith(SPARE)]
        data = [mount.source for each in found if (mount := each.mount(DATA_IN_BOX))]
        requests = [
            ("rm", "--force", "--volumes", *(each.id for each in found)),
            ("volume", "rm", "--force", *data),
        ]
        return [
            Do("end what makes spare boxes", lambda _: claims.ask(host.layout, claims.END), ()),
            *(
                Run(engine.argv(*each), root=engine.needs_root)
                for each in requests
                if found and len(each) > 3
            ),
        ] * bool(found)
