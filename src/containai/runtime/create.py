"""`create` and `run`: a container's bundle, rewritten for ids, a root and binds of its own."""

import contextlib
import os
from collections.abc import Callable

from . import (
    become,
    bundle,
    cgroup,
    guest,
    idmap,
    limits,
    links,
    naming,
    nested,
    placed,
    seccomp,
    sources,
    spec,
    staging,
    view,
)
from .become import Ready
from .config import Config
from .errors import RuntimeRefusal
from .kinds import RUNC, Kind
from .ranges import SIZE
from .spec import Json
from .staging import MappingOf, Stage


def create(config: Config, kind: Kind, container: str, directory: str, preserved: int) -> Ready:
    """Rewrite the bundle in `directory`, which becomes the current one.

    Raises RuntimeRefusal for what a container cannot be, and OSError.
    """
    directory = bundle.enter(directory)
    given = bundle.load()
    spec.check(given)
    group = cgroup.checked(spec.field(given, "linux.cgroupsPath", str, "") or container)
    plain = os.path.join(directory, spec.field(given, "root.path", str, ""))
    mountinfo = sources.mounts_here()
    overlay = staging.find_overlay(mountinfo, plain)
    hybrid = cgroup.is_hybrid()
    if kind.managed:
        # Imported here, as all that only this needs: cai-runc starts without it.
        from . import earlier

        if config.sysbox_fs:
            _require_shared(mountinfo)
        earlier.prepare(config, container, overlay.upper if overlay else "")
    with contextlib.ExitStack() as undo:
        if config.ranges.get(container) is None:
            undo.callback(config.ranges.release, container)
        mine = config.ranges.allocate(container, overlay.upper if overlay else plain, group)
        base = mine.base
        if overlay:
            view.protect(plain)
        figures = _figures(config.state) if guest.is_box(given) else None
        stage = staging.Stage(config.stage, base)
        mapping = idmap.shifted(base, SIZE)
        namespace = become.above(stage.namespace(mapping), preserved)
        root = stage.root(overlay, plain, mapping)
        placed.apply(config.given, container, root, base)
        if kind.managed:
            earlier.give_back(root, base)
        is_aside = False
        if kind.in_place:
            from . import aside, in_place

            is_aside = aside.put(root)
            root = stage.cover(root, in_place.root_of(overlay.upper) if overlay else plain)
        got = sources.attached_to(config, container)
        old = [each for each in spec.mounts(given) if each.get("destination") not in got.replaced]
        asked = given | {"mounts": [*old, *(each.mount for each in got.mounts)]}
        if got.hostname:
            asked |= {"hostname": got.hostname}
            naming.tell(naming.directory(config.engine_data, container), got.hostname)
        new = spec.edited(
            asked,
            base=base,
            size=SIZE,
            root=root,
            user=become.path(namespace),
            hybrid=hybrid and kind.unified,
            machine=os.uname().machine,
            may_score=limits.may_score,
        )
        _keep_to_processors(new)
        if kind.unnamed:
            new["linux"]["seccomp"] = seccomp.unnamed(new["linux"]["seccomp"], kind.unnamed)
        place = _place(stage, directory, sources.rule(config, mine, mountinfo), config)
        new["mounts"] = _staged(spec.mounts(new), place, nests=guest.is_box(given))
        if kind.places:
            from . import in_place

            new["mounts"] = in_place.binds(new["mounts"], asked, kind.places, stage, root)
        if mine.stored != config.id_stored:
            config.ranges.settle(mine)
        new["mounts"] += _devices(new["linux"].pop("devices"), stage, base)
        if figures is not None:
            new = _as_box(new, stage, base, figures)
        if hybrid and kind.unified and group:
            cgroup.delegate(group, base)
            undo.callback(cgroup.remove, group)
        process = spec.field(new, "process", dict, {})
        new["process"], taken = limits.divided(process, may_raise=limits.may_raise())
        if files := taken.get("RLIMIT_NOFILE"):
            new = limits.with_hook(new, config.ours(RUNC), "limits", base, *files)
        if is_aside:
            new = limits.with_hook(new, config.ours(RUNC), "back", root)
        bundle.store(bundle.ORIGINAL, given)
        bundle.store(bundle.NAME, new)
        undo.pop_all()
    return Ready([], namespace, taken)


def _require_shared(mountinfo: str) -> None:
    """Raise RuntimeRefusal where no mount of sysbox-fs would arrive in a stage.

    systemd makes all mounts shared (mount_namespaces(7)); the kernel does not.
    """
    root = next(line for line in mountinfo.split("\n") if " / / " in line)
    if " shared:" not in root.partition(" - ")[0]:
        raise RuntimeRefusal(
            "what sysbox-fs mounts does not reach boxes, as the mount of / is not shared: "
            "mount --make-rshared /, or engine.sysbox_fs = false"
        )


def _keep_to_processors(new: Json) -> None:
    resources = spec.field(new, "linux.resources", dict, {})
    cpu = spec.field(new, "linux.resources.cpu", dict, {})
    asked = spec.field(new, "linux.resources.cpu.cpus", str, "")
    if asked:
        with open("/sys/devices/system/cpu/online", encoding="ascii") as file:
            cpu = cpu | {"cpus": limits.online(asked, file.read())}
        new["linux"]["resources"] = resources | {"cpu": cpu}


def _devices(devices: list[Json], stage: Stage, base: int) -> list[Json]:
    """Return a mount for each device that was asked for, with the owner and mode it is to have.

    In a user namespace runc would bind the host's node, by the path that it has in the container.
    """
    mounts = []
    for device in devices:
        owner = [min(device.get(name) or 0, SIZE - 1) + base for name in ("uid", "gid")]
        mode = device.get("fileMode")
        mode = 0o666 if mode is None else mode & 0o777
        source = stage.device(device["major"], device["minor"], mode=mode, owner=owner)
        mounts.append(
            {"destination": device["path"], "type": "bind", "source": source, "options": ["bind"]}
        )
    return mounts


def _figures(state: str) -> dict[str, int]:
    from . import lxcfs

    return lxcfs.trees(state)


def _as_box(new: Json, stage: Stage, base: int, figures: dict[str, int]) -> Json:
    """Return the spec as a box's. `figures` are detached mounts of lxcfs's files."""
    files = {path: stage.placed(tree) for path, tree in figures.items()}
    files |= {
        path: stage.device(*number, owner=(base, base)) for path, number in guest.DEVICES.items()
    }
    return guest.edited(new, files)


def _place(
    stage: Stage, bundle: str, mapping_of: MappingOf, config: Config
) -> Callable[[Json], str]:
    """Return a function from a bind to where its source is staged."""
    guests = os.path.realpath(config.engine_data)

    def place(mount: Json) -> str:
        source = links.resolved(os.path.join(bundle, mount.get("source") or ""), guests)
        if source == spec.HOST_SYSFS:
            return stage.sysfs(source)
        options = mount.get("options") or []
        readonly = "ro" in options or "rro" in options
        # In a user namespace, a tree cannot be bound without what is mounted in it.
        return stage.bind(source, mapping_of, recursive="rbind" in options, readonly=readonly)

    return place


def _staged(mounts: list[Json], place: Callable[[Json], str], *, nests: bool) -> list[Json]:
    """Return the mounts with the source of each bind replaced by where `place` staged it."""
    if nests:
        staged = nested.staged(mounts, place)
    else:
        staged = [m | {"source": place(m)} if spec.is_bind(m) else m for m in mounts]
    return [
        spec.with_flags(m, os.statvfs(m["source"]).f_flag) if spec.is_bind(m) else m for m in staged
    ]
