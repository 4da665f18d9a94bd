"""What is asked of running boxes themselves: it takes a box to answer, and so is slow.

Their answers are boxes' words: they say how that box is, and decide about nothing else.
"""

from containai.boxes import connecting, inside, pinned
from containai.boxes.box import Box, Status
from containai.boxes.inside import Inside
from containai.engine.client import Engine
from containai.host import files
from containai.host.machine import Machine
from containai.provision.step import Area, Described, Scope
from containai.provision.steps.own import Mending, boxes, engine_silent, none_runs
from containai.ssh import hosts
from containai.work.actions import Action, Finding, unknown

#: From how many percent on a place is as good as full.
FULL = 95
#: What systemd says of a box that is up.
_UP = ("running", "degraded", "starting", "initializing")


class Asked:
    """What the running boxes of a user say, asked once for all the checks that follow each other.

    `only` is the name of a box, "" for all.
    """

    def __init__(self, only: str = "") -> None:
        self.only = only
        self._said: dict[str, Inside] | None = None

    def forget(self) -> None:
        """Ask again."""
        self._said = None

    def answers(self, host: Machine) -> list[tuple[Box, Inside]] | None:
        """Return what each says; None where the engine does not answer."""
        own = boxes(host, self.only)
        if own is None:
            return None
        running = [box for box in own if box.status is Status.RUNNING]
        if self._said is None or any(box.container not in self._said for box in running):
            self._said = inside.ask(Engine(host), running)
        return [(box, self._said[box.container]) for box in running]


class _OfBoxes(Described):
    """A check of what each running box says: `wrong` is what is wrong with one, or nothing."""

    area = Area.BOXES
    slow = True
    #: What is said where nothing is wrong, and what helps; BOX is the name of one.
    fine = ""
    hint = ""
    optional = False
    #: Whether the answer has to be of now.
    anew = False

    def __init__(self, asked: Asked | None = None) -> None:
        self.asked = asked or Asked()

    def wrong(self, host: Machine, box: Box, said: Inside) -> str:
        """Return what is wrong with a box that answered."""
        raise NotImplementedError

    def check(self, host: Machine) -> Finding[list[Box]]:
        """Ask each running box."""
        if self.anew:
            self.asked.forget()
        answers = self.asked.answers(host)
        if answers is None:
            return engine_silent()
        if not answers:
            return none_runs(self.asked.only)
        silent = [box.name for box, said in answers if not said.whole]
        found = {
            box: why for box, said in answers if said.whole and (why := self.wrong(host, box, said))
        }
        if found:
            seen = "; ".join(f"{box.name}: {why}" for box, why in found.items())
            name = next(iter(found)).name
            hint = self.hint.replace("BOX", name)
            return Finding(False, seen, self.optional, hint, data=list(found))
        if silent:
            return self._silent(silent)
        return Finding(True, self.fine)

    def _silent(self, names: list[str]) -> Finding[list[Box]]:
        return unknown(f"{', '.join(names)}: no answer", hint=_restart(names[0]))

    def plan(self, host: Machine, finding: Finding[list[Box]]) -> list[Action]:
        """Nothing of ours would make it right."""
        return []

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """It goes with the box."""
        return []


def _restart(name: str) -> str:
    return f"start it again: cai restart --name {name}"


class Booted(_OfBoxes):
    """Running boxes answer, and their systemd is up."""

    title = "boxes boot"
    holds = "each running box answers, and its systemd is up"
    otherwise = "`cai restart --name NAME`; what runs in it ends"
    looks = "its systemd is asked, through the engine"
    means = "nothing starts in it: no sshd, no Docker, no job"
    fine = "each is up"
    hint = "start it again: cai restart --name BOX"
    anew = True

    def wrong(self, host: Machine, box: Box, said: Inside) -> str:
        """One that is only half up is another check's."""
        return "" if said.system in _UP else f"its systemd says {said.system or 'nothing'}"

    def _silent(self, names: list[str]) -> Finding[list[Box]]:
        seen = f"{', '.join(names)}: no answer within {inside.TIMEOUT:g} s"
        return Finding(False, seen, hint=_restart(names[0]))


class Units(_OfBoxes):
    """No unit of a running box has failed."""

    title = "units in boxes"
    holds = "no unit of a running box has failed; what the agent made may"
    otherwise = "look in it: `systemctl status UNIT`"
    looks = "its systemd is asked, through the engine"
    means = "a service in it does not run"
    fine = "none has failed"
    # The names of units are the box's to choose: no command is made of them.
    hint = "look: cai exec --name BOX -- systemctl --failed; "
    hint += "done with: cai exec --name BOX -- sudo systemctl reset-failed"
    optional = True

    def wrong(self, host: Machine, box: Box, said: Inside) -> str:
        """Name those that have failed."""
        return f"{', '.join(said.failed)} failed" if said.failed else ""


class _Connected(Mending, _OfBoxes):
    """What entering a box mends, too: as `cai run` does it."""

    def plan(self, host: Machine, finding: Finding[list[Box]]) -> list[Action]:
        """Make it right in each. What a box said before does not count afterwards."""
        self.asked.forget()
        return super().plan(host, finding)


class HostKeys(_Connected):
    """The host key that is pinned for a running box is the one that it has."""

    area = Area.SSH
    title = "host keys"
    holds = "the host key that is pinned for a running box is the one that it has"
    otherwise = "the one that the box has is pinned: the engine vouches for it; a lost one is made"
    looks = "the box is asked for it, through the engine"
    means = "`ssh` warns of another host and does not connect"
    fine = "each is the pinned one"
    doing = "ask the box BOX for its host key through the engine, and pin that"
    details = ("its line in known_hosts; a box that has no key gets one",)

    def wrong(self, host: Machine, box: Box, said: Inside) -> str:
        """Compare it with the pinned one; where none is, another check says so."""
        known = hosts.pinned_key(files.read(host.layout.known_hosts) or "", box.name)
        if not said.key:
            return "it has none"
        return "" if known in (None, said.key) else "it has another than the pinned one"

    def mend(self, engine: Engine, box: Box) -> None:
        """Pin its own, or have it have one."""
        if not pinned.replaced(engine, box.name, box.container):
            pinned.given_anew(engine, box.name, box.container)


class LetIn(_Connected):
    """A running box has an sshd, and that lets this user in."""

    area = Area.SSH
    title = "sshd in boxes"
    holds = "the sshd of each running box is there, and lets in the key of this user"
    otherwise = "sshd is started, and gets the key, as `cai run` does; one that is masked is left"
    looks = "its systemd and its root are asked, through the engine"
    means = "`cai run` has to mend it first; plain `ssh` and editors do not get in"
    fine = "each is there, and lets you in"
    hint = "cai run --name BOX -- true says why"
    doing = "start sshd in the box BOX, let this user in, and connect"
    details = ("as cai run does: the key of this user is given to its sshd, through the engine",)

    def wrong(self, host: Machine, box: Box, said: Inside) -> str:
        """Its socket may have it wait until it is wanted."""
        if said.sshd not in ("active", "activating"):
            return f"sshd is {said.sshd or 'not there'}"
        key = " ".join((files.read(f"{host.layout.ssh_key}.pub") or "").split()[:2])
        return "" if said.lets_in == key else "it does not let in your key"

    def mend(self, engine: Engine, box: Box) -> None:
        """Give it the key, and connect, which starts sshd."""
        connecting.let_in(engine, box.container)
        hosts.close(engine.host, box.name)
        connecting.connect_to(engine, box.name, box.container, connecting.PATIENCE)


class InnerDocker(_OfBoxes):
    """The Docker in a running box answers."""

    title = "Docker in boxes"
    holds = "the Docker in each running box answers; one that was idle is started for it"
    otherwise = "`cai exec --name NAME -- sudo systemctl restart docker`"
    looks = "its version is asked for in the box"
    means = "`docker` in it does not work"
    fine = "each answers"
    hint = "start it again: cai exec --name BOX -- sudo systemctl restart docker; "
    hint += "why: cai exec --name BOX -- journalctl -u docker"

    def wrong(self, host: Machine, box: Box, said: Inside) -> str:
        """Whether it has a version."""
        return "" if said.docker else "it does not answer"


class BoxSpace(_OfBoxes):
    """No place of a running box is full."""

    title = "space in boxes"
    holds = f"less than {FULL} % of the space and of the inodes of each place of a box is taken"
    otherwise = "remove something there, or `cai run --fresh --disk SIZE`"
    looks = "`df` in the box"
    means = "what writes in it fails"
    fine = "none is full"
    hint = "see: cai status --name BOX --size; give more: cai run --fresh --disk SIZE"
    optional = True

    def wrong(self, host: Machine, box: Box, said: Inside) -> str:
        """Say what of it is full."""
        full = [
            f"{place} has {max(space, inodes)} % of its {'space' if space >= FULL else 'inodes'}"
            for place, space, inodes in said.full
            if max(space, inodes) >= FULL
        ]
        return f"{', '.join(full)} taken" if full else ""
