"""From a box that runs to its control connection: what the engine can vouch for is mended."""

import time
from collections.abc import Callable

from containai.boxes import design, pinned, ports, sshd, starting
from containai.boxes.sshd import Sshd
from containai.engine.client import Engine
from containai.errors import HostKeyError
from containai.ssh import connect, keys
from containai.ssh.connect import KeyRefusedError, NoAnswerError

#: How long a box that runs may take to let somebody in where no setting says so, in seconds.
PATIENCE = connect.TIMEOUT
_FILE = f"/{design.AUTHORIZED_KEYS_IN_BOX}"
#: Has a box let in whoever has the key on stdin: the file is root's, and read for the agent.
LET_IN = (
    "sh", "-c",
    f"umask 022; mkdir -p {_FILE.rpartition('/')[0]}; rm -f {_FILE}; cat >{_FILE}",
)  # fmt: skip


def connect_to(engine: Engine, name: str, container: str, seconds: float) -> None:
    """Open a box's control connection; wait until that can be, `seconds` at most.

    Another host key than the pinned one is believed where the engine says that the box has it, and
    a key of this user's that the box does not know is given to it, once each. Raises as
    `connect.open_master` does, and BoxStartError or SshConnectError at once where the box or its
    sshd died.
    """
    end = time.monotonic() + seconds
    started = engine.container(container)
    address = started.address if started is not None else ""
    alive = starting.watch(engine, name, container)
    daemon = Sshd(engine, name, container, lambda: pinned.given_anew(engine, name, container))

    def watch() -> None:
        alive()
        daemon.look()

    mends: dict[type[Exception], Callable[[], bool]] = {
        HostKeyError: lambda: pinned.replaced(engine, name, container),
        KeyRefusedError: lambda: let_in(engine, container),
    }
    while True:
        try:
            left = max(1.0, end - time.monotonic())
            return connect.open_master(engine.host, name, watch, address, left)
        except NoAnswerError as silent:
            ports.look()
            raise NoAnswerError(f"{silent}{daemon.journal()}", hint=silent.hint) from None
        except (HostKeyError, KeyRefusedError) as refused:
            mend = mends.pop(type(refused), lambda: False)
            if not mend():
                raise _reason(engine, container, refused) from None


def let_in(engine: Engine, container: str) -> bool:
    """Have a running box know this user's key, which is mended; return whether it took it."""
    public = keys.usable(engine.host)
    done = sshd.ask(engine, container, LET_IN, f"{public}\n".encode())
    return done is not None and done.code == 0


def _reason(engine: Engine, container: str, refused: Exception) -> Exception:
    """Return why a box cannot be vouched for, of a host key."""
    if not isinstance(refused, HostKeyError):
        return refused
    own = pinned.own_key(engine, container)
    why = "it has the pinned one, so another answers in its place" if own else "it says none"
    return HostKeyError(f"{refused}, and asked through the engine {why}", hint=refused.hint)
