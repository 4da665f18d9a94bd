"""What setup brought to this machine that is not ContainAI's own, so that uninstall can name it."""

import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any

from containai.errors import DamagedError
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
        text = files.read_roots(layout.install_record, owners=layout.owners) or "{}"
        return parse(text)
    except (DamagedError, ValueError):
        return {}


def parse(text: str) -> dict[str, Any]:
    """Return what a record says. Raises ValueError for one that is damaged."""
    record = files.from_json(text)
    if not isinstance(record, dict):
        raise ValueError("it is no table")
    for key in (PACKAGES, _BEFORE):
        names = record.get(key, [])
        if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise ValueError(f"{key} is no list of names")
    return record


def write(host: Machine, values: dict[str, Any]) -> None:
    """Write the record, as root, if it is another one."""
    layout = host.layout
    path = layout.install_record
    if values != read(layout) or (os.path.lexists(path) and not os.path.isfile(path)):
        _make_room(host, path)
        text = json.dumps(values, indent=4, sort_keys=True) + "\n"
        files.write_as_root(host, path, text)


def _make_room(host: Machine, path: str) -> None:
    """Put away what no file can be written over: this is written before any step is looked at."""
    above = os.path.dirname(path)
    if os.path.lexists(above) and not os.path.isdir(above):
        host.run(["rm", "-f", above], root=True)
    if os.path.isdir(path) and not os.path.islink(path):
        host.run(["rm", "-rf", "--one-file-system", path], root=True)


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
