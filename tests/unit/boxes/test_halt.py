import os
import signal
import subprocess
import sys
from typing import Any

from containai.boxes import halt

NUMBER = signal.SIGRTMIN + 3
#: Says that it is there, and waits.
WAIT = "print(flush=True); input()"


def listens(script):
    argv = [sys.executable, "-c", f"import signal; {script}; {WAIT}"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(argv, **pipes) as child:
        child.stdout.readline()
        seen = halt._listens(child.pid)
        child.communicate(b"\n")
    return seen


def test_who_blocks_or_catches_the_signal_listens():
    assert listens(f"signal.pthread_sigmask(signal.SIG_BLOCK, [{NUMBER}])")
    assert listens(f"signal.signal({NUMBER}, print)")
    assert not listens("pass")


def test_who_is_gone_is_not_waited_for():
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert not os.path.exists(f"/proc/{child.pid}")
    assert halt._listens(child.pid)
