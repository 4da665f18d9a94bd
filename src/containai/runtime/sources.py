"""Whose the source of a bind mount is, and so how its ids are mapped in a container."""

import contextlib
import os

from . import attached, idmap, staging, syscalls
from .attached import Record
from .config import Config
from .ranges import SIZE, Range
from .staging import MappingOf


def mounts_here() -> str:
    """Return what is mounted in the mount namespace that we are in (proc(5), mountinfo)."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def rule(config: Config, mine: Range, mountinfo: str) -> MappingOf:
    """Return the rule for the binds of a container; `mountinfo` is the host's (proc(5))."""
    guests = os.path.realpath(config.engine_data)
    stored = config.id_stored

    def mapping_of(opened: int, path: str) -> idmap.Mapping:
        """The engine's own (volumes, /etc/hosts) is shifted; all else is somebody's and stays."""
        if staging.is_engine_data(path, guests, mountinfo):
            return idmap.shifted(mine.base, SIZE)
        if mine.stored != stored:
            from . import owners

            owners.upgrade(config.ranges, mine, opened)
        seen = os.fstat(opened)
        return idmap.owned(seen.st_uid, seen.st_gid, mine.base, SIZE, stored)

    return mapping_of


def attached_to(config: Config, container: str) -> Record:
    """Return what a container got while it ran, and is to have again.

    What was added that the host has no more, or has a link for by now, keeps no container from
    starting; what it would have been made with does, as that does.
    """
    record = attached.read(config.attached, container)
    found = []
    for each in record.added:
        with contextlib.suppress(OSError):
            os.close(syscalls.open_without_links(each.source))
            found.append(each)
    return record._replace(added=tuple(found))
