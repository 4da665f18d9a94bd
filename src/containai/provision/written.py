"""Whether root's files are as they have to be: what is in them, who may do what, whose they are."""

import os
import stat
from collections.abc import Iterable

from containai.engine import daemon
from containai.engine import network as networks
from containai.host import files
from containai.host.machine import Machine
from containai.layout import Layout
from containai.provision import versions
from containai.work.actions import Action, Run, WriteFile


def wrong(host: Machine, wanted: Iterable[WriteFile]) -> list[WriteFile]:
    """Return those that are not as they have to be."""
    return [
        file for file in wanted if files.read_if_whole(file.path) != file.text or odd(host, [file])
    ]


def missing(wanted: Iterable[WriteFile]) -> list[str]:
    """Return the paths where there is nothing."""
    return [file.path for file in wanted if not os.path.lexists(file.path)]


def odd(host: Machine, wanted: Iterable[WriteFile]) -> list[str]:
    """Say of which the text is not all: its mode is another, or it is not root's."""
    said = []
    for file in wanted:
        try:
            seen = os.stat(file.path)
        except OSError:
            continue
        mode = stat.S_IMODE(seen.st_mode)
        if mode != file.mode:
            said.append(f"{file.path} has mode {mode:o}, not {file.mode:o}")
        elif not host.is_roots(seen.st_uid):
            said.append(f"{file.path} is {host.user_name(seen.st_uid)}'s, not root's")
    return said


def bridge_is_there(layout: Layout) -> bool:
    """Whether the bridge of boxes is."""
    return os.path.exists(f"/sys/class/net/{layout.bridge}")


def to_stop(host: Machine) -> list[Action]:
    """Return what writes the programs anew that stop what runs, where those are damaged or gone."""
    layout = host.layout
    runs = daemon.running_pid(layout) is not None or bridge_is_there(layout)
    if not runs or versions.newer(layout):
        return []
    programs = [
        WriteFile(layout.network_program, networks.script(), 0o755),
        WriteFile(layout.engine_program, daemon.script(), 0o755),
    ]
    anew = wrong(host, programs)
    odd_ones = [file.path for file in anew if os.path.isdir(file.path)]
    cleared = [Run(["rm", "-rf", "--one-file-system", *odd_ones])] if odd_ones else []
    return [*cleared, *anew]
