"""Spare boxes are claimed, and something is killed: a spare, a box or nothing is left, never half.

Rounds come from a seed, which is printed, and from the round's number, as in test_chaos.py:
CONTAINAI_CHAOS_SEED repeats a run, CONTAINAI_CHAOS_ROUNDS=200 makes it longer and 36-36 is that
round alone. Problems are told as they are found, and all of them fail the test at its end.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from collections import Counter

import pytest

from containai.boxes.spec import data_labels
from containai.engine import shims
from containai.host import files
from containai.layout import DATA_IN_BOX, SPARE
from harness.claims import Around, is_mounted, names_in
from harness.waiting import eventually

FIRST, _, LAST = os.environ.get("CONTAINAI_CHAOS_ROUNDS", "3").rpartition("-")
ROUNDS = range(int(FIRST or "1"), int(LAST) + 1)
SEED = int(os.environ.get("CONTAINAI_CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
VICTIMS = ("cai", "cai", "helper", "helper", "ssh", "keeper", "keeper")
#: The same where somebody says how many rounds: test_chaos.py kills the engine in any case, which
#: then may have missed a box's end, and waits for it for minutes.
ALL_VICTIMS = (*VICTIMS, "dockerd", "containerd")
#: From when on it is waited, and how long at most, in seconds: all of a claim, or a part of it.
MOMENTS = {"begun": 0.6, "noted": 0.05, "locked": 0.05, "recorded": 0.1, "published": 0.05}
#: How long the keeper of spares is let alone, once whoever wanted a box has one.
MAKING = 6.0
#: How long all may take until it works again where the engine was killed, as in test_chaos.py.
PATIENT = shims.STARTING + 40
#: Every how many rounds the boxes are stopped and started again.
STOP_EVERY = 5
#: Says whose box it is, as its workspace does, and leaves something there.
COMMAND = (
    'hostname; cat /etc/hostname marker; grep -c "\t$(hostname)$" /etc/hosts; echo "$1" >back; '
    f"cat {DATA_IN_BOX}/kept 2>/dev/null || :"
)


class Round:
    """New workspaces want boxes, there are spares, and something is killed."""

    def __init__(self, around, make_space, number):
        self.around, self.site = around, around.site
        self.chance = random.Random(f"{SEED} {number}")
        self.number = number
        self.spares = count_of(number)
        is_said = "CONTAINAI_CHAOS_ROUNDS" in os.environ
        self.victim = self.chance.choice(ALL_VICTIMS if is_said else VICTIMS)
        # Who waits for a claim has ended with it.
        early = ["begun", "locked", "recorded"]
        self.moment = self.chance.choice(early if self.victim == "helper" else sorted(MOMENTS))
        self.wait = self.chance.random() * MOMENTS[self.moment]
        #: Whether there is no keeper to begin with; and whether it is killed when it makes spares.
        self.is_alone, self.is_late = self.chance.random() < 0.3, self.chance.random() < 0.5
        self.spaces = [
            make_space(f"w{number}{each}") for each in "ab"[: self.chance.choice((1, 2))]
        ]
        #: Those that have a data volume of a box before, with something in it.
        self.used = [space for space in self.spaces if self.chance.random() < 0.4]
        self.killed = 0
        self.problems = []
        self.tally = Counter()
        for space in self.spaces:
            with open(os.path.join(space.path, "marker"), "w", encoding="utf-8") as file:
                file.write(f"{space.path}\n")
        for space in self.used:
            self.fill(space)

    def fill(self, space):
        labels = data_labels(os.getuid(), space.path).items()
        words = [word for pair in labels for word in ("--label", "=".join(pair))]
        self.site.docker("volume", "create", *words, space.box)
        at = self.site.docker("volume", "inspect", "--format", "{{.Mountpoint}}", space.box)
        with open(os.path.join(at, "kept"), "w", encoding="utf-8") as file:
            file.write(f"kept {space.path}\n")

    @property
    def title(self):
        alone = "no keeper, " * self.is_alone
        used = f" ({len(self.used)} used)" * bool(self.used)
        return (
            f"{self.number}: {len(self.spaces)}{used} for {self.spares} spares, {alone}"
            f"{self.killed} x {self.victim} at {self.moment} and {self.wait:.3f} s"
        )

    def start(self, space, said):
        """Start a `cai run` that has as many spares made as the next round is to have."""
        return self.site.start(
            *("run", space.path, "--", "sh", "-c", COMMAND, "-", said),
            env={"CONTAINAI_BOX_SPARES": str(count_of(self.number + 1))},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def outcome(self, space, run, said):
        """Wait for a `cai run`; return "" where it did what it was to, else what it did."""
        try:
            out, err = run.communicate(timeout=PATIENT)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            out, err = run.communicate()
            err += b"[it went on and on]"
        wanted = f"{space.box}\n{space.box}\n{space.path}\n1\n"
        wanted += f"kept {space.path}\n" * (space in self.used)
        back = files.read(os.path.join(space.path, "back"))
        if (run.returncode, out.decode(), back) == (0, wanted, f"{said}\n"):
            return ""
        return f"code {run.returncode}, {out!r}, back {back!r}, {err.decode()[-1500:]}"

    def passed(self, before):
        """Whether that has come by which the moment is known."""
        layout = self.around.layout
        attached = set(names_in(layout.attached)) - before[0]
        match self.moment:
            case "noted":
                return set(names_in(layout.spares)) - before[1]
            case "locked":
                return any(each.endswith(".lock") for each in attached)
            case "recorded":
                return any("." not in each for each in attached)
            case "published":
                return any(os.path.exists(layout.ssh_block(space.box)) for space in self.spaces)
        return True

    @staticmethod
    def wait_for(runs):
        deadline = time.monotonic() + PATIENT
        while any(run.poll() is None for run in runs) and time.monotonic() < deadline:
            time.sleep(0.01)

    def there(self):
        return set(names_in(self.around.layout.attached)), set(names_in(self.around.layout.spares))

    def kill(self, runs, before):
        """Kill at the moment; return the runs that have to do without knowing of it."""
        helpers, masters = self.helpers, self.masters
        deadline = time.monotonic() + 60
        while not self.passed(before) and any(run.poll() is None for run in runs):
            if time.monotonic() > deadline:
                break
            time.sleep(0.001)
        time.sleep(self.wait)
        match self.victim:
            case "cai":
                run = self.chance.choice(runs)
                if run.poll() is None:
                    os.killpg(run.pid, signal.SIGKILL)
                    self.killed += 1
                return [each for each in runs if each is not run]
            case "keeper":
                if self.is_late:
                    self.wait_for(runs)
                    time.sleep(self.chance.random() * MAKING)
                victims = self.around.keepers()
                if self.chance.random() < 0.5:
                    victims = self.chance.sample(victims, min(1, len(victims)))
            case "helper":
                victims = self.chance.sample(sorted(helpers.values()), min(1, len(helpers)))
            case "ssh":
                victims = self.chance.sample(sorted(masters), min(1, len(masters)))
            case _:
                victims = self.engine
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self.killed += 1
        return runs if self.victim in ("helper", "keeper") else []

    def run(self):
        """Make the round; what is wrong is in `problems`."""
        around, before = self.around, self.there()
        if self.is_alone and not around.end_keeper():
            self.problems.append("the keeper does not end")
        self.helpers, self.masters = around.helpers(), around.masters()
        self.engine = around.engine(self.victim) if self.victim.endswith("d") else []
        runs = [self.start(space, "first") for space in self.spaces]
        sure = self.kill(runs, before)
        for space, run in zip(self.spaces, runs, strict=True):
            wrong = self.outcome(space, run, "first")
            if wrong and run in sure:
                self.problems.append(f"first run: {wrong}")
            self.tally["run failed at the kill"] += bool(wrong)
        recorded = around.records()
        for space in self.spaces:
            self.tally["claimed when killed"] += space.path in recorded
        self.again("again")
        self.check("again")
        if self.number % STOP_EVERY == 0:
            for space in self.spaces:
                self.site.cai("stop", space.path)
            self.again("restarted")
            self.check("restarted")
        self.remove()

    def again(self, said):
        """Run in the same workspaces once more: where the engine was not killed, at once."""
        patience = PATIENT if self.victim in ("dockerd", "containerd") else 0
        at_once = self.chance.random() < 0.5
        runs = [self.start(space, said) for space in self.spaces] if at_once else []
        for place, space in enumerate(self.spaces):
            tried = []

            def works(place=place, space=space, tried=tried):
                run = runs[place] if at_once and not tried else self.start(space, said)
                tried.append(self.outcome(space, run, said))
                return not tried[-1]

            if not eventually(works, patience):
                self.problems.append(f"{said}: {tried[-1]}")
            self.tally[f"{said} at attempt {len(tried)}"] += 1

    def check(self, when):
        """See that each workspace has one box, wherever one looks."""
        around, wrong = self.around, []
        # A warm run needs none.
        self.site.cai("engine", "start")
        there = around.containers()
        for space in self.spaces:
            having = [each.name for each in there if space.path in each.sources]
            if having != [space.box]:
                wrong.append(f"{space.path} is recorded in {having}")
            seen = [each.name for each in there if each.pid and is_mounted(each.pid, space.path)]
            if seen != [space.box]:
                wrong.append(f"{space.path} is mounted in {seen}")
            if when == "again":
                spare = any(each.is_spare for each in there if each.name == space.box)
                self.tally["ended claimed" if spare else "ended cold"] += 1
        listed = json.loads(self.site.cai("ls", "--json").stdout)
        shown = sorted(
            (each["name"], each["workspace"])
            for each in listed
            if each["name"] not in around.others
        )
        if shown != sorted((space.box, space.path) for space in self.spaces):
            wrong.append(f"cai ls has {shown}")
        data = Counter(each.data for each in there if each.data)
        wrong += [f"{count} containers have {name}" for name, count in data.items() if count > 1]
        rows = json.loads(self.site.cai("volume", "ls", "--json").stdout)
        rows = [each for each in rows if each["name"] not in around.volumes]
        shown = sorted((each["workspace"], *each["boxes"]) for each in rows)
        if shown != sorted((space.path, space.box) for space in self.spaces):
            wrong.append(f"cai volume ls has {rows}")
        known = {each.data: each for each in there}
        for name in names_in(around.layout.spares):
            said = files.read(os.path.join(around.layout.spares, name))
            if name in known and known[name].workspace != said:
                wrong.append(f"{name} is noted as of {said}, {known[name].name} has it")
        self.problems += [f"{when}: {each}" for each in wrong]

    def remove(self):
        """Remove the boxes; an orderly stop is not what is tried here."""
        names = {space.box for space in self.spaces} & self.site.container_names()
        if names:
            self.site.docker("kill", *names, check=False)
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        words = ("--data", "--yes")
        ends = [
            self.site.start("rm", "--name", name, *words, stderr=subprocess.PIPE, **pipes)
            for name in sorted(names)
        ]
        for end in ends:
            said = end.communicate()[1]
            if end.returncode:
                self.problems.append(f"removed: {said!r}")


def count_of(number):
    """Return how many spares a round has; after the last one there are to be none."""
    return random.Random(f"{SEED} {number} spares").choice((1, 2)) if number in ROUNDS else 0


@pytest.fixture
def around(site):
    made = Around(site)
    yield made
    site.cai("engine", "start")
    made.end_keeper()
    made.settled(0)


@pytest.mark.timeout(120 * len(ROUNDS) + 300)
def test_whatever_is_killed_a_claim_gives_a_box_or_a_spare(site, around, make_space):
    print(f"CONTAINAI_CHAOS_SEED={SEED} CONTAINAI_CHAOS_ROUNDS={ROUNDS[0]}-{ROUNDS[-1]}")
    assert around.settled(count_of(ROUNDS[0])) == []
    tally, problems, told = Counter(), [], set()
    for number in ROUNDS:
        one = Round(around, make_space, number)
        try:
            one.run()
        except BaseException as failed:
            failed.add_note(f"CONTAINAI_CHAOS_SEED={SEED} CONTAINAI_CHAOS_ROUNDS={number}-{number}")
            raise
        one.problems += around.settled(count_of(number + 1))
        # What a removal leaves is ended by a shim, or by whoever asks next.
        left = eventually(lambda: not set(around.left()) - told, 4)
        lost = [] if left else sorted(set(around.left()) - told)
        told.update(lost)
        one.problems += [f"left: {each}" for each in lost]
        tally.update(one.tally)
        tally[f"{one.victim} killed" if one.killed else f"{one.victim} had ended"] += 1
        print(f"{one.title}: {dict(one.tally)}", *one.problems, sep="\n    ", flush=True)
        problems += [f"{one.title}: {each}" for each in one.problems]
    print(dict(sorted(tally.items())))
    assert around.end_keeper()
    assert around.settled(0) == []
    assert around.left() == []
    assert around.helpers() == around.masters() == {}
    assert around.containers() == []
    assert not any(name.startswith(SPARE) for name in site.container_names())
    assert problems == []
