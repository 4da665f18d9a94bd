"""A box on a remote place, against the same by hand, with the client of Incus.

The client has the place's server and project as its default, by a certificate of its own that may
see them: `incus remote add`, `incus remote switch`. The image is on the server already.
"""

import contextlib
import os
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

from bench.measure import Row, interleaved, ratio, run, timed
from bench.waiting import login, wait_for
from containai.away import record
from containai.boxes.design import AUTHORIZED_KEYS_IN_BOX, HOST_KEY_IN_BOX
from containai.boxes.workspace import box_name
from containai.host import proc
from containai.layout import Layout

#: How large the file is that is copied, in bytes.
COPIED = 50_000_000
#: Where `cai` and the client put it in a box.
OURS, THEIRS = "/var/tmp/ours", "/var/tmp/theirs"


class Elsewhere:
    """A place that is measured, and what was made for it."""

    def __init__(self, cai: str, made: ExitStack, place: str, incus: str) -> None:
        """`incus` is the client's command, with words that go before its subcommand."""
        self.layout = Layout.from_environment()
        self.cai, self.place, self._incus = cai, place, shlex.split(incus)
        self.directory = made.enter_context(tempfile.TemporaryDirectory(prefix="cai-bench-"))
        self.workspace = os.path.realpath(os.path.join(self.directory, "box"))
        _make_repository(self.workspace)
        self.box = box_name(self.workspace, self.layout.uid)
        self.host_key = os.path.join(self.directory, "host_key")
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.host_key])
        made.callback(self.remove_box)
        run(self.cai_true())
        self.image = self.incus_run("config", "get", self.instance, "volatile.base_image").strip()
        self.versions = ", ".join(self.incus_run("version").strip().splitlines())

    @property
    def instance(self) -> str:
        """What the box is called on the place."""
        return record.every(self.layout)[self.box].instance

    def incus(self, *words: str) -> list[str]:
        """Return a command line of the client's."""
        return [*self._incus, *words]

    def incus_run(self, *words: str) -> str:
        """Run the client; return what it printed. `create` reads its stdin, which is empty."""
        return run(self.incus(*words))

    def cai_true(self) -> list[str]:
        """Return the command line that users type."""
        return [self.cai, "run", "--yes", "--on", self.place, self.workspace, "--", "true"]

    def remove_box(self) -> None:
        """Remove the box, if it is there."""
        with contextlib.suppress(RuntimeError):
            run([self.cai, "rm", "--yes", self.workspace])


def remote(there: Elsewhere, runs: int) -> Iterator[Row]:
    """A new box, a command in one that runs, and a file in and out."""
    yield from _new(there, runs)
    yield from _warm(there, 3 * runs)
    yield from _copies(there, runs)


def _new(there: Elsewhere, runs: int) -> Iterator[Row]:
    """`cai run` of a new box, against one that is made by hand from the same image, with the same
    keys: until ssh runs `true` in it, which is the same but for the work that `cai` sends there,
    and until the client does, which asks nothing of what boots.
    """
    name = f"{there.box}-by-hand"
    through = proc.describe(there.incus("exec", "-T", name, "--", "/usr/sbin/sshd", "-i"))
    logged_in = login(there.layout.ssh_key, "-o", f"ProxyCommand={through}", "by-hand")

    def with_cai() -> float:
        there.remove_box()
        return timed(there.cai_true())

    def by_hand(until: list[str]) -> Callable[[], float]:
        def made() -> float:
            begun = time.perf_counter()
            try:
                _make(there, name)
                wait_for(until, f"login in {name}")
                return time.perf_counter() - begun
            finally:
                with contextlib.suppress(RuntimeError):
                    there.incus_run("delete", "--force", name)

        return made

    ours, login_, executed = interleaved(
        runs, with_cai, by_hand(logged_in), by_hand(there.incus("exec", "-T", name, "--", "true"))
    )
    yield ratio("new: cai run / incus create, push, start until ssh runs true", ours, login_, 1.3)
    yield ratio("new: ... until incus exec runs true", ours, executed, None)


def _warm(there: Elsewhere, runs: int) -> Iterator[Row]:
    """`cai run` into a box that runs, over the connection that stands, against `incus exec`."""
    run(there.cai_true())
    plain = [there.cai, "run", there.workspace, "--", "true"]
    by_hand = there.incus("exec", "-T", there.instance, "--", "true")
    jobs = [partial(timed, argv) for argv in (plain, there.cai_true(), by_hand)]
    ours, said, theirs = interleaved(runs, *jobs)
    yield ratio("warm: cai run / incus exec", ours, theirs, 1.2)
    yield ratio("warm: cai run --on / incus exec", said, theirs, None)


def _copies(there: Elsewhere, runs: int) -> Iterator[Row]:
    """A file into a box and out of it by `cai cp`, against `incus file`."""
    run(there.cai_true())
    source, back = (os.path.join(there.directory, each) for each in ("source", "back"))
    with open(source, "wb") as file:
        file.write(os.urandom(COPIED))
    megabytes = COPIED // 1_000_000
    pairs = {
        f"{megabytes} MB in: cai cp / incus file push": (
            [there.cai, "cp", source, f"{there.workspace}:{OURS}"],
            there.incus("file", "push", "--quiet", source, f"{there.instance}{THEIRS}"),
        ),
        f"{megabytes} MB out: cai cp / incus file pull": (
            [there.cai, "cp", f"{there.workspace}:{OURS}", back],
            there.incus("file", "pull", "--quiet", f"{there.instance}{THEIRS}", back),
        ),
    }
    for name, (ours, theirs) in pairs.items():
        with_cai, by_hand = interleaved(runs, partial(timed, ours), partial(timed, theirs))
        yield ratio(name, with_cai, by_hand, None)


def _make(there: Elsewhere, name: str) -> None:
    """Make and start by hand what `cai` makes a box of."""
    there.incus_run("create", "--quiet", there.image, name)
    pushed = {
        f"{HOST_KEY_IN_BOX}": (there.host_key, "600"),
        f"{HOST_KEY_IN_BOX}.pub": (f"{there.host_key}.pub", "644"),
        AUTHORIZED_KEYS_IN_BOX: (f"{there.layout.ssh_key}.pub", "644"),
    }
    for target, (source, mode) in pushed.items():
        rights = ["--create-dirs", "--uid", "0", "--gid", "0", "--mode", mode]
        there.incus_run("file", "push", "--quiet", *rights, source, f"{name}/{target}")
    there.incus_run("start", "--quiet", name)


def _make_repository(path: str) -> None:
    """Make a small repository of git."""
    os.mkdir(path)
    git = ["git", "-C", path, "-c", "user.name=bench", "-c", "user.email=bench@example.com"]
    run(["git", "init", "--quiet", path])
    for number in range(10):
        with open(os.path.join(path, f"file{number}"), "w", encoding="ascii") as file:
            file.write(f"{number}\n" * 100)
    run([*git, "add", "."])
    run([*git, "commit", "--quiet", "--message", "a few files"])
