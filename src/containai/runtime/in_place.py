"""What somebody outside of our mount namespace asks for: it is where nothing of the container's is.

sysbox-mgr looks at the source of a bind on some places of a box, to shift its ids where a mount
cannot, and makes a directory of its own for each that has none. Those are gone with it, at the
latest with the machine. So each gets one of ours, beside the volume of the box's own Docker, which
lives as long as the box.

It reads in a container's root file system, too, as the host's root and with the host's mounts,
whatever the links in there lead to (CreateVol, GetDistroPath): so that has for it a directory of
ours with nothing in it.
"""

import contextlib
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
#: The one beside a container's writable layer, which is its root file system for sysbox-runc.
_ROOT = "root"


def root_of(upper: str) -> str:
    """Return where the root file system with that writable layer is put: it goes with the layer."""
    place = os.path.join(os.path.dirname(upper), _ROOT)
    os.makedirs(place, mode=0o700, exist_ok=True)
    return place


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
    beside = os.path.join(os.path.dirname(sources.get(DOCKER, root)), BESIDE)
    return mounts + [
        _own(each, beside, stage, root) for each in sorted(set(places) - sources.keys())
    ]


def _own(place: str, beside: str, stage: Stage, root: str) -> Json:
    source = os.path.join(beside, place.strip("/").replace("/", "-"))
    os.makedirs(source, mode=0o755, exist_ok=True)
    staged = _filled(root, place, stage)
    if not staged:
        mapping = idmap.shifted(stage.base, SIZE)
        staged = stage.bind(source, lambda *_: mapping, recursive=False)
    at = stage.cover(staged, source)
    mount = {"destination": place, "type": "bind", "source": at, "options": ["rbind", "rprivate"]}
    return spec.with_flags(mount, os.statvfs(at).f_flag)


def _filled(path: str, place: str, stage: Stage) -> str:
    """Stage what is at a place, which another bind would hide; nothing where there is none."""
    with contextlib.ExitStack() as held:
        root = os.open(path, os.O_PATH | os.O_CLOEXEC)
        held.callback(os.close, root)
        try:
            fd = syscalls.open_beneath(root, place.strip("/"), links=False)
            held.callback(os.close, fd)
            is_filled = bool(os.listdir(f"/proc/self/fd/{fd}"))
        except OSError:  # It is not there, a file, or the box's root has made a link of it.
            return ""
        return stage.placed(syscalls.open_tree(fd, 0), directory=True) if is_filled else ""
