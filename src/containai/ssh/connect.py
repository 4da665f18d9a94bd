"""From "the box was started" to "its control connection stands"."""

import os
import sys
from collections.abc import Callable

from containai.errors import HostKeyError, SshConnectError
from containai.host import files, proc
from containai.host.machine import Machine
from containai.layout import Layout
from containai.ssh import session
from containai.ssh.hosts import CONTROL_PERSIST

#: How long sshd may take from the start of the box, in seconds. It takes half a second, and some
#: minutes on a slow and busy machine; a box that dies ends the wait at once.
READY_TIMEOUT = 300.0
#: How long it may then take to let us in, in seconds, which ssh itself waits for endlessly. sshd
#: waits for two minutes (sshd_config(5), LoginGraceTime).
LOGIN_TIMEOUT = 150.0


def open_master(host: Machine, box: str, still_alive: Callable[[], None]) -> None:
    """Wait for a box's sshd and open the control connection, which stays behind by itself.

    `still_alive` is called every second or less often and raises when the box has died.
    Raises HostKeyError where the box shows another key than the pinned one, and SshConnectError
    where it says nothing within READY_TIMEOUT seconds, refuses our key, or stops in the middle.
    """
    import time

    deadline = time.monotonic() + READY_TIMEOUT + LOGIN_TIMEOUT

    def watch() -> None:
        still_alive()
        if time.monotonic() > deadline:
            raise SshConnectError(
                f"sshd in the box {box!r} answers, and does not go on",
                hint="try again; if it stays so: cai doctor",
            )

    layout = host.layout
    files.private_directory(layout.control_dir)
    files.remove(layout.control_socket(box))
    with files.nameless() as log:
        code = host.run_detached(master_argv(layout, box, log), watch)
        if code == 0:
            return
        said = (files.read(log) or "").strip()
    if "did not pass back a connection" in said:
        raise SshConnectError(
            f"sshd in the box {box!r} did not answer within {READY_TIMEOUT:g} s",
            hint="start over: cai rm, then cai run; the engine's log: cai engine logs",
        )
    if "host key" in said.lower() and "verification failed" in said.lower():
        raise HostKeyError(
            f"the box {box!r} shows another host key than the one that was pinned",
            hint=f"if nobody else listens on its port, make it anew: cai rm --name {box}",
        )
    raise SshConnectError(
        f"ssh to the box {box!r} failed (code {code}): {said or 'it said nothing'}",
        hint=f"try: ssh -v -F {layout.ssh_block(box)} {box}",
    )


def master_argv(layout: Layout, box: str, log: str) -> list[str]:
    """Return the ssh command line that opens a box's control connection."""
    dial = [sys.executable, "-IS", os.path.join(os.path.dirname(__file__), "dial.py")]
    command = proc.describe(dial).replace("%", "%%")
    return [
        "ssh",
        "-F", layout.ssh_block(box),
        *session.shared_control_path(layout, box),
        "-o", f"ProxyCommand={command} %h %p {READY_TIMEOUT:g}",
        "-o", "ProxyUseFdpass=yes",
        "-o", "ControlMaster=yes",
        "-o", f"ControlPersist={CONTROL_PERSIST}",
        "-o", f"ConnectTimeout={READY_TIMEOUT:g}",
        "-o", "BatchMode=yes",
        "-o", "ServerAliveInterval=0",
        # A session names what it sends; the connection lets through only what it has named, too.
        "-o", "SendEnv=*",
        "-E", log,
        "-fN", "--", box,
    ]  # fmt: skip
