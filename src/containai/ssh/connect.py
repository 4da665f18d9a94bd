"""From "the box was started" to "its control connection stands"."""

import os
import re
import sys
import time
from collections.abc import Callable

from containai.errors import ContainAIError, HostKeyError, SshConnectError
from containai.host import files, proc
from containai.host.machine import Machine
from containai.host.proc import ENDS_WITH_US
from containai.layout import Layout
from containai.ssh import hosts, mux, session
from containai.ssh.hosts import CONTROL_PERSIST

#: How long all of it may take, in seconds, where no setting says so. It takes half a second.
TIMEOUT = 30.0
#: How long to wait after a first try that failed, in seconds, and after many.
PAUSE, LONGEST_PAUSE = 0.02, 1.0
#: How long a connection that stands may take to answer, in seconds: another is made then.
ANSWER_TIMEOUT = 5.0
#: Where sshd listens in a box.
SSHD_PORT = 22
#: Where the kernel says what the processors can do, and how much of it is about the first of them.
CPUINFO, CPUINFO_LENGTH = "/proc/cpuinfo", 1 << 12
#: What ssh says of a connection that was not to be had, or ended before it was one: that may pass.
_PASSING = re.compile(
    r"connection (reset|closed|refused|timed out)|kex_exchange_identification|broken pipe"
    r"|banner exchange|no route to host|network is unreachable|connection to \S+ port \d+ timed out"
    r"|timeout, server|lost connection|resource temporarily unavailable",
    re.IGNORECASE,
)


class NoAnswerError(SshConnectError):
    """No sshd answered in time."""


class KeyRefusedError(SshConnectError):
    """The box takes our key for no one's, or ssh cannot use it."""


def stands(layout: Layout, box: str) -> bool:
    """Whether a box answers over the control connection that there is."""
    path = layout.control_socket(box)
    return session.is_live(layout, box) and mux.run(path, b"exit", timeout=ANSWER_TIMEOUT) == 0


def open_master(
    host: Machine,
    box: str,
    still_alive: Callable[[], None],
    address: str = "",
    seconds: float = TIMEOUT,
) -> None:
    """Wait for a box's sshd and open the control connection, which stays behind by itself.

    It goes to the box's own `address` where that can be reached, else to its published port.
    `still_alive` is called every second or less often, and before another try, and raises when the
    box has died. What may pass is tried again, `seconds` in all. A try is one connection, and waits
    for sshd to speak before it becomes one: penalties (sshd_config(5)) have nothing to count.
    Raises HostKeyError where the box shows another key than the pinned one, and SshConnectError
    where it says nothing in that time (NoAnswerError), refuses our key (KeyRefusedError), or stops
    in the middle.
    """
    end, pause = time.monotonic() + seconds, PAUSE
    files.private_directory(host.layout.control_dir)
    while True:
        code, said = _try(host, box, still_alive, address, end)
        if code == 0:
            return
        left = end - time.monotonic()
        if left <= pause or not _PASSING.search(said):
            raise _failure(host.layout, box, code, said, seconds)
        still_alive()
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _try(
    host: Machine, box: str, still_alive: Callable[[], None], address: str, end: float
) -> tuple[int, str]:
    """Try once until `end`; return ssh's code and what it said."""

    def watch() -> None:
        still_alive()
        if time.monotonic() > end + LONGEST_PAUSE:
            raise SshConnectError(
                f"sshd in the box {box!r} answers, and does not go on",
                hint="try again; if it stays so: cai doctor",
            )

    layout = host.layout
    # One that is there still lives on for its sessions, and without any would for hours, which
    # nobody reaches; the next forwards what it did.
    hosts.retire(host, box)
    clear(layout.control_socket(box))
    with files.nameless() as log:
        left = max(0.1, end - time.monotonic())
        code = host.run_detached(master_argv(layout, box, log, address, left), watch)
        return code, (files.read(log) or "").strip()


def clear(socket: str) -> None:
    """Have nothing where a control socket is to be."""
    try:
        files.remove(socket)
    except OSError:
        # A directory. There is nobody but this user to put it there.
        os.rename(socket, f"{socket}.old-{os.urandom(4).hex()}")


def _failure(layout: Layout, box: str, code: int, said: str, seconds: float) -> ContainAIError:
    """Return the error for what ssh said."""
    if "did not pass back a connection" in said:
        return NoAnswerError(
            f"sshd in the box {box!r} did not answer within {seconds:g} s",
            hint="on a slow machine it may take longer: cai config set ssh.timeout 120; else look: "
            f"cai logs --name {box}; or start over: cai run --fresh --name {box}",
        )
    if "host key" in said.lower() and "verification failed" in said.lower():
        return HostKeyError(
            f"the box {box!r} shows another host key than the one that was pinned",
            hint=f"if nobody else listens on its port, make it anew: cai run --fresh --name {box}",
        )
    why = f"ssh to the box {box!r} failed (code {code}): {said or 'it said nothing'}"
    hint = f"try: ssh -v -F {layout.ssh_block(box)} {box}"
    if "permission denied (" in said.lower():
        return KeyRefusedError(why, hint=hint)
    return SshConnectError(why, hint=hint)


def master_argv(
    layout: Layout, box: str, log: str, address: str = "", seconds: float = TIMEOUT
) -> list[str]:
    """Return the ssh command line that opens a box's control connection, in so many seconds."""
    return [
        "ssh",
        "-F", layout.ssh_block(box),
        *session.control_path(layout, box),
        *_way(layout, box, seconds, address),
        "-o", f"ControlPersist={CONTROL_PERSIST}",
        # A session names what it sends; the connection lets through only what it has named, too.
        "-o", "SendEnv=*",
        *agent(layout, box),
        "-E", log,
        "-fN", "--", box,
    ]  # fmt: skip


def forwarding_argv(layout: Layout, box: str, socket: str, address: str = "") -> list[str]:
    """Return the ssh command line of a connection that forwards what is asked of its socket.

    It ends with whoever starts it (setpriv(1)), and ssh then takes its socket away.
    """
    return [*ENDS_WITH_US, "ssh", *_forwarding(layout, box, socket, address)]


def callback_argv(layout: Layout, box: str, forward: tuple[str, str], seconds: int) -> list[str]:
    """Return the ssh command line that forwards one port, for so long; it ends as the above."""
    return [
        *ENDS_WITH_US, "timeout", str(seconds),
        "ssh",
        "-o", "ControlMaster=no",
        "-o", "ExitOnForwardFailure=yes",
        *forward,
        *_forwarding(layout, box, "none"),
    ]  # fmt: skip


def _forwarding(layout: Layout, box: str, socket: str, address: str = "") -> list[str]:
    """Return the words of a connection that only forwards."""
    return [
        "-F", layout.ssh_block(box),
        "-S", socket,
        *_way(layout, box, TIMEOUT, address),
        "-o", "ControlPersist=no",
        # Whoever connects to a port that nobody listens on makes it write a line.
        "-o", "LogLevel=FATAL",
        "-NT", "--", box,
    ]  # fmt: skip


def _way(layout: Layout, box: str, seconds: float, address: str) -> list[str]:
    """Return the options of a connection of cai's own, to a box that may still boot."""
    return [
        *([] if session.place_of(layout, box) else _dialled(layout, seconds, address)),
        "-o", "ControlMaster=yes",
        "-o", f"ConnectTimeout={max(1, round(seconds))}",
        "-o", "BatchMode=yes",
        *ciphers(),
    ]  # fmt: skip


def _dialled(layout: Layout, seconds: float, address: str) -> list[str]:
    """Return the options of the way to a box of this machine."""
    dial = [sys.executable, "-IS", os.path.join(os.path.dirname(__file__), "dial.py")]
    command = proc.describe(dial).replace("%", "%%")
    own = f" {layout.bridge} {address} {SSHD_PORT}" if address else ""
    return [
        "-o", f"ProxyCommand={command} %h %p {seconds:.4g}{own}",
        "-o", "ProxyUseFdpass=yes",
        "-o", "ServerAliveInterval=0",
    ]  # fmt: skip


def agent(layout: Layout, box: str) -> list[str]:
    """Return the options by which a box reaches the agent that its user has at each time.

    The path is followed for each request (ssh_config(5), ForwardAgent): the connection outlives
    the agent of its beginning.
    """
    if not session.forwards_agent(layout, box):
        return []
    path = layout.agent_link.replace("%", "%%")
    return ["-o", f'ForwardAgent="{path}"']


def ciphers() -> list[str]:
    """Return ssh's options for the ciphers that are the quickest here, the others after them.

    Where the processor has AES, that takes two thirds of the time of ssh's own first choice; where
    it has not, it takes longer.
    """
    try:
        with open(CPUINFO, "rb", buffering=0) as file:
            said = file.read(CPUINFO_LENGTH).lower().split()
    except OSError:
        return []
    # x86 and ARM call it the same.
    if b"aes" not in said:
        return []
    return ["-o", "Ciphers=^aes128-gcm@openssh.com,aes256-gcm@openssh.com"]
