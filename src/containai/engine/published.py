"""The processes that listen on ports which containers publish (runtime/published.py).

dockerd starts one for each. Those of a dockerd that has ended go on with the connections they have.
"""

import signal

from containai.host import processes
from containai.host.machine import Machine
from containai.host.processes import PYTHON, Process
from containai.layout import Layout
from containai.machine_layout import PUBLISHED


def every(layout: Layout) -> list[Process]:
    """Return them all: Docker's own, too, which serves what is not TCP, and other engines."""
    return [*processes.find(PUBLISHED), *own(layout)]


def own(layout: Layout) -> list[Process]:
    """Return those that are this engine's for sure."""
    return processes.started_as(PYTHON, "-IS", layout.published_program)


def end(host: Machine) -> None:
    """End those that are left, with the connections they have."""
    processes.send(host, signal.SIGINT, own(host.layout))
