"""From "the box was started" to "its control connection stands"."""

import socket
import tempfile
import time
from collections.abc import Callable

from containai.errors import HostKeyError, SshConnectError
from containai.host import files, proc
from containai.layout import Layout
from containai.ssh.setup import CONTROL_PERSIST

#: How long sshd may take from the start of the box, in seconds. It takes half a second, and some
#: minutes on a slow and busy machine; a box that dies ends the wait at once.
READY_TIMEOUT = 300.0


def wait_ready(port: int, still_alive: Callable[[], None]) -> None:
    """Wait until sshd shows its banner on 127.0.0.1:`port`.

    A connection alone proves nothing: docker-proxy accepts before sshd listens. `still_alive` is
    called about every second and raises when the box has died.
    Raises SshConnectError after READY_TIMEOUT seconds.
    """
    begun = time.monotonic()
    asked, pause = begun, 0.01
    while not _banner(port):
        now = time.monotonic()
        if now - asked > 1:
            still_alive()
            asked = now
        if now - begun > READY_TIMEOUT:
            raise SshConnectError(
                f"sshd in the box did not answer on 127.0.0.1:{port} within {READY_TIMEOUT:g} s",
                hint="start over: cai rm, then cai run; the engine's log: cai engine logs",
            )
        time.sleep(pause)
        pause = min(pause * 1.3, 0.03)


def _banner(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            return connection.recv(8) == b"SSH-2.0-"
    except OSError:
        return False


def open_master(layout: Layout, box: str) -> None:
    """Open a box's control connection; it stays behind in a process of its own.

    Raises HostKeyError where the box shows another key than the pinned one, and SshConnectError
    where it refuses ours.
    """
    files.private_directory(layout.control_dir)
    files.remove(layout.control_socket(box))
    with tempfile.NamedTemporaryFile("r", prefix="cai-ssh-") as log:
        argv = [
            "ssh",
            "-F", layout.ssh_block(box),
            "-o", "ControlMaster=yes",
            "-o", f"ControlPersist={CONTROL_PERSIST}",
            "-o", "ConnectTimeout=20",
            "-o", "BatchMode=yes",
            "-o", "ServerAliveInterval=0",
            "-E", log.name,
            "-fN", "--", box,
        ]  # fmt: skip
        code = proc.run_detached(argv)
        if code == 0:
            return
        said = log.read().strip()
    if "host key" in said.lower() and "verification failed" in said.lower():
        raise HostKeyError(
            f"the box {box!r} shows another host key than the one that was pinned",
            hint=f"if nobody else listens on its port, make it anew: cai rm --name {box}",
        )
    raise SshConnectError(
        f"ssh to the box {box!r} failed (code {code}): {said or 'it said nothing'}",
        hint=f"try: ssh -v -F {layout.ssh_block(box)} {box}",
    )
