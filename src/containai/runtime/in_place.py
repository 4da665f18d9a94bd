"""Binds whose source stays where it is: somebody outside of our mount namespace asks for it there.

sysbox-mgr looks at the source of a bind on some places of a box, to shift its ids where a mount
cannot, and makes a directory of its own for each that has none. Those are gone with it, at the
latest with the machine. So each gets one of ours, beside the volume of the box's own Docker, which
lives as long as the box.
"""

import os
from collections.abc import Collection

from . import idmap, spec, syscalls
from .ranges import SIZE
from .spec import Json
from .staging import Stage

#: Where a box's own Docker has its data: a volume of the engine's.
DOCKER = "/var/lib/docker"
#: The directory beside that of a volume's data, root's.
BESIDE = "places"


def binds(
    staged: list[Json], given: Json, places: Collection[str], stage: Stage, root: str
) -> list[Json]:
    """Return the mounts of a container with a bind on each place, at its source.

    `staged` are those with their sources staged, `given` is the spec that the engine wrote, and
    `root` where the root file system is.
    """
    sources: dict[str, str] = {
        mount["destination"]: mount["source"] for mount in spec.mounts(given) if spec.is_bind(mount)
    }
    mounts = []
    for mount in staged:
        where = mount.get("destination", "")
        if spec.is_bind(mount) and where in places:
            mount = mount | {"source": stage.cover(mount["source"], sources[where])}
        mounts.append(mount)
    if DOCKER in sources:
        beside = os.path.join(os.path.dirname(sources[DOCKER]), BESIDE)
        free = sorted(set(places) - sources.keys())
        mounts += [_own(each, beside, stage) for each in free if not _is_filled(root, each)]
    return mounts


def _own(place: str, beside: str, stage: Stage) -> Json:
    source = os.path.join(beside, place.strip("/").replace("/", "-"))
    os.makedirs(source, mode=0o755, exist_ok=True)
    mapping = idmap.shifted(stage.base, SIZE)
    at = stage.cover(stage.bind(source, lambda *_: mapping, recursive=False), source)
    mount = {"destination": place, "type": "bind", "source": at, "options": ["rbind", "rprivate"]}
    return spec.with_flags(mount, os.statvfs(at).f_flag)


def _is_filled(path: str, place: str) -> bool:
    """Whether the image has something there, which a bind would hide."""
    root = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        fd = syscalls.open_beneath(root, place.strip("/"), links=False)
        try:
            return bool(os.listdir(f"/proc/self/fd/{fd}"))
        finally:
            os.close(fd)
    except OSError:
        return False
    finally:
        os.close(root)
