"""What setup brought to this machine that is not ContainAI's own, so that uninstall can name it."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from containai.host import files, packages
from containai.host.machine import Machine
from containai.layout import Layout

#: Packages that setup brought, dependencies included.
PACKAGES = "packages"
#: Those that were installed before, for the time of a setup.
_BEFORE = "packages-before"
#: Whether setup made the group of the socket.
GROUP = "group"
#: Whether the engine made this directory and those in it.
CONTAINERD = "/opt/containerd"


def read(layout: Layout) -> dict[str, Any]:
    """Return the record; an empty one where there is none, or it is damaged."""
    try:
        record = json.loads(files.read(layout.install_record) or "{}")
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def write(host: Machine, values: dict[str, Any]) -> None:
    """Write the record, as root, if it is another one."""
    layout = host.layout
    if values != read(layout):
        text = json.dumps(values, indent=4, sort_keys=True) + "\n"
        files.write_as_root(host, layout.install_record, text)


@contextlib.contextmanager
def of_packages(host: Machine) -> Iterator[None]:
    """Record which packages come within the context.

    What was there before is written first: a run that is killed leaves it to the next.
    """
    layout = host.layout
    if not packages.has_apt(host):
        yield
        return
    written = read(layout)
    before = written.get(_BEFORE) or packages.installed(host)
    write(host, written | {_BEFORE: before})
    try:
        yield
    finally:
        written = read(layout)
        came = set(packages.installed(host)) - set(before)
        ours = sorted(came | set(written.get(PACKAGES, ())))
        write(host, {k: v for k, v in written.items() if k != _BEFORE} | {PACKAGES: ours})
