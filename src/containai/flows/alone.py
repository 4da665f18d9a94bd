"""One at a time: who sets a machine up, mends it, or takes ContainAI off it."""

import contextlib
from collections.abc import Iterator

from containai.host import locks
from containai.host.machine import Machine

#: How long another may be busy with it, in seconds.
LOCK_TIMEOUT = 1800.0


@contextlib.contextmanager
def one_at_a_time(host: Machine) -> Iterator[None]:
    """Keep everybody else from changing how this machine is set up."""
    what = "setting this machine up"
    with locks.hold(host, locks.SETUP, wait=LOCK_TIMEOUT, what=what):
        yield
