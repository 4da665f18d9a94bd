"""A box's sshd, as its root sees it: through the engine, as nobody gets in another way.

What it answers is a box's word: it is shown as such, and decides about nothing but that box.
"""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from containai.boxes import console, design
from containai.engine.client import Engine
from containai.engine.container import State
from containai.errors import SshConnectError
from containai.host import proc

#: What an answer may have, in bytes, and how long it may take, in seconds.
_LIMIT, _TIMEOUT = 1 << 16, 20.0
#: When it is looked at first, in seconds after somebody began to wait; then after twice as long.
_FIRST_LOOK = 1.0
#: How many lines of its journal are shown, and how much of each.
_LINES, _WIDTH = 8, 300
_STATE = """
systemctl show --property LoadState,ActiveState,SubState,Result,Job ssh.service || exit 1
echo "System=$(systemctl is-system-running)"
"""
#: sshd does not start without its host key.
_START = f"""
ssh-keygen -y -P '' -f /{design.HOST_KEY_IN_BOX} >/dev/null 2>&1 </dev/null || exit 3
systemctl reset-failed ssh.service
timeout 15 systemctl start ssh.service || exit 1
"""
#: What it is started with by the end of 3.
_NEEDS_KEY = 3
_JOURNAL = f"journalctl --unit ssh.service --boot --lines {_LINES} --output cat --no-pager"
_GONE = ("masked", "not-found", "bad-setting", "error")
_BOOTED = ("running", "degraded", "maintenance")


class Unit(NamedTuple):
    """What systemd in a box says of its sshd."""

    load: str = ""
    active: str = ""
    sub: str = ""
    result: str = ""
    job: str = ""
    system: str = ""

    @classmethod
    def parse(cls, text: str) -> "Unit":
        """Read what the box answered; what it left out is empty."""
        said = dict(line.partition("=")[::2] for line in text.splitlines())
        names = ("LoadState", "ActiveState", "SubState", "Result", "Job", "System")
        return cls(*(said.get(name, "") for name in names))

    @property
    def is_down(self) -> bool:
        """Whether nothing is about to start it."""
        if self.load in _GONE or self.active == "failed":
            return True
        return self.active == "inactive" and not self.job and self.system in _BOOTED


class Sshd:
    """The sshd of one box, while somebody waits for it."""

    def __init__(self, engine: Engine, box: str, container: str, give_key: Callable[[], bool]):
        """`give_key` has the box have a host key, which ssh is told; it says whether it could."""
        self.engine, self.box, self.container = engine, box, container
        self._give_key = give_key
        self._begun = time.monotonic()
        self._next = _FIRST_LOOK
        self._was_started = False

    def look(self) -> None:
        """See whether it runs, now and then; start it once where it does not, and nothing will.

        Raises SshConnectError where that does not help.
        """
        waited = time.monotonic() - self._begun
        if waited < self._next:
            return
        self._next = 2 * waited
        state = self.unit()
        if not state.is_down:
            return
        if not self._was_started and state.load not in _GONE:
            self._was_started = True
            if self._start():
                return
        raise SshConnectError(
            f"sshd in the box {self.box!r} does not run ({_why(state)}){self.journal()}",
            hint=f"mend it as its root: cai docker exec -it {self.box} bash; or start over: "
            f"cai run --fresh --name {self.box}",
        )

    def unit(self) -> Unit:
        """Return its state; nothing where the box does not say."""
        done = self._ask(_STATE)
        return Unit.parse(done.out) if done is not None and done.code == 0 else Unit()

    def journal(self) -> str:
        """Return what follows an error: the last lines of its journal."""
        done = self._ask(_JOURNAL)
        said = console.legible(done.out)[-_LINES:] if done is not None else []
        return (
            "; its journal says last:" + "".join(f"\n  {line[:_WIDTH]}" for line in said)
            if said
            else ""
        )

    def _start(self) -> bool:
        done = self._ask(_START)
        if done is not None and done.code == _NEEDS_KEY and self._give_key():
            done = self._ask(_START)
        return done is not None and done.code == 0

    def _ask(self, script: str) -> proc.Done | None:
        return ask(self.engine, self.container, ("sh", "-c", script))


def ask(
    engine: Engine,
    container: str,
    command: Sequence[str],
    stdin: bytes = b"",
    timeout: float = _TIMEOUT,
) -> proc.Done | None:
    """Run a command as a box's root; return how it ended, or None where it did not.

    It may take so many seconds: whoever waits then waits no more.
    """
    argv = engine.argv("exec", "--interactive", container, *command)
    try:
        return engine.host.run_limited(
            argv, stdin=stdin, limit=_LIMIT, timeout=timeout, root=engine.needs_root
        )
    except proc.ProcessError:
        return None


def is_running(engine: Engine, container: str) -> bool:
    """Whether a box can be asked."""
    seen = engine.container(container)
    return seen is not None and seen.state is State.RUNNING


def _why(state: Unit) -> str:
    words = [state.load] if state.load in _GONE else [state.active, state.result]
    return ", ".join(word for word in words if word and word != "success")
