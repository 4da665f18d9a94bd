"""Waiting for a container that was started by hand."""

import contextlib
import socket
import time

from bench.measure import run
from containai.layout import AGENT_USER

#: How long a container may take on a slow machine, in seconds: an emulated one takes minutes.
PATIENCE = 600.0


def free_port() -> int:
    """Return a port of this machine that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_ssh(port: int) -> None:
    """Wait for sshd's banner. Raises RuntimeError where it takes more than PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                if connection.recv(4) == b"SSH-":
                    return
        except OSError:
            pass  # docker-proxy accepts and hangs up before sshd listens
        time.sleep(0.01)
    raise RuntimeError(f"no ssh on port {port} within {PATIENCE:g} s")


def wait_for_login(port: int, key: str) -> None:
    """Try ssh until it has run `true`. Raises RuntimeError where that takes more than PATIENCE."""
    wait_for(login(key, "-p", str(port), "127.0.0.1"), f"login on port {port}")


def login(key: str, *words: str) -> list[str]:
    """Return what logs in and runs `true`; the last of `words` is the host."""
    return [
        "ssh", "-F", "/dev/null", "-i", key, "-l", AGENT_USER,
        "-o", "BatchMode=yes", "-o", "LogLevel=ERROR",
        "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
        *words, "true",
    ]  # fmt: skip


def wait_for(argv: list[str], what: str) -> None:
    """Run a program until it succeeds. Raises RuntimeError where it takes more than PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(RuntimeError):
            run(argv)
            return
        time.sleep(0.01)
    raise RuntimeError(f"no {what} within {PATIENCE:g} s")
