"""What cai-runc does with runc's command line: rewrite the bundle, then become runc."""

import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from . import become
from .become import Ready
from .errors import RuntimeRefusal
from .ranges import SIZE, Range, Ranges

if TYPE_CHECKING:
    from .staging import Stage

#: runc's options that take a value in the next word, before and after the command (runc(8)). The
#: launcher (cai-runc) knows the first too, and the flags; a test compares them.
GLOBAL_OPTIONS = frozenset({"--log", "--log-format", "--root", "--criu", "--rootless"})
#: Global options without a value.
GLOBAL_FLAGS = frozenset({"--debug", "--systemd-cgroup", "--help", "-h", "--version", "-v"})
COMMAND_OPTIONS = frozenset(
    {
        "-b", "--bundle", "--console-socket", "--pid-file", "--preserve-fds",
        "--pidfd-socket", "-p", "--process", "--cwd", "-e", "--env", "-u", "--user",
        "-g", "--additional-gids", "--process-label", "--apparmor", "-c", "--cap", "--cgroup",
    }
)  # fmt: skip
#: Options whose value is a path that runc takes from where it was called.
_PATHS = frozenset({"--root", "--log", "--pid-file"})
#: What runc takes for a container's id, and short enough for the name of a file.
_CONTAINER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+.-]{0,199}")


class Call(NamedTuple):
    """runc's command line, taken apart: global options, command, its options, container ids."""

    globals: dict[str, str]
    command: str
    options: dict[str, str]
    words: tuple[str, ...]


def parse(arguments: list[str]) -> Call:
    """Take runc's command line apart. What it does not know it takes for a flag."""
    general, command, rest = _options(arguments, GLOBAL_OPTIONS)
    options, first, words = _options(rest, COMMAND_OPTIONS)
    return Call(general, command, options, tuple([first, *words] if first else []))


def _refuse_unknown(call: Call) -> None:
    """Refuse what could make runc start a container that was not rewritten."""
    for name in call.globals:
        if name not in GLOBAL_OPTIONS | GLOBAL_FLAGS:
            raise RuntimeRefusal(f"unknown option {name}")
    if call.command == "restore":
        raise RuntimeRefusal("a checkpoint cannot be restored: it has no id range")


def _options(words: list[str], valued: frozenset[str]) -> tuple[dict[str, str], str, list[str]]:
    options = {}
    at = 0
    while at < len(words) and words[at].startswith("-"):
        name, equals, value = words[at].partition("=")
        if name in valued and not equals and at + 1 < len(words):
            at += 1
            value = words[at]
        options[name] = value
        at += 1
    return options, words[at] if at < len(words) else "", words[at + 1 :]


class Config(NamedTuple):
    """runtime.json, which the installer writes beside this program."""

    runc: str
    state: str
    id_base: int
    id_count: int
    engine_data: str
    #: The first of the ids that trees of the host have on disk for users of containers.
    id_stored: int
    #: Where files for containers that have not run yet are put.
    given: str
    lxcfs: str = "/usr/bin/lxcfs"
    program: str = ""

    @property
    def stage(self) -> str:
        """Where containers are staged, each in a mount namespace of its own."""
        return os.path.join(self.state, "stage")

    @property
    def ranges(self) -> Ranges:
        """The id ranges of this installation."""
        return Ranges(self.state, self.id_base, self.id_count, self.id_stored)


#: What ends a call with a message. A box can make nested things without end.
_FAILURES = (
    RuntimeRefusal, OSError, ValueError, TypeError, LookupError, AttributeError,
    RecursionError, MemoryError,
)  # fmt: skip


def main(arguments: list[str], library: str) -> int:
    """Handle one call. Returns an exit code, or becomes runc and does not return."""
    call = parse(arguments)
    try:
        with open(os.path.join(library, "runtime.json"), encoding="utf-8") as file:
            config = Config(**json.load(file), program=os.path.join(library, "cai-runc"))
        _refuse_unknown(call)
        if call.command == "ranges":
            return _ranges(config, call)
        if call.command == "reclaim":
            return _reclaim(config, call)
        if call.command == "lxcfs":
            return _lxcfs(config)
        if call.command == "limits":
            return _limits(call)
        preserved = int(call.options.get("--preserve-fds") or 0)
        ready = Ready(arguments)
        if call.command in ("create", "run"):
            from . import bundle

            here = bundle.caller()
            ready = _create(config, call, preserved)._replace(arguments=_without_bundle(call, here))
        elif call.command == "exec":
            ready = _exec(call, arguments, preserved)
        elif call.command == "delete":
            return _delete(config, call)
        elif call.command == "pause":
            _pause(config, call)
        become.runc(config.runc, ready, preserved)
    except _FAILURES as failed:
        _report(call, f"cai-runc: {call.command}: {failed}")
        return 1


def _report(call: Call, message: str) -> None:
    """Say what failed the way runc does: the engine reads the log, a person stderr."""
    sys.stderr.write(message + "\n")
    log = call.globals.get("--log")
    if log:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        if call.globals.get("--log-format") == "json":
            line = json.dumps({"level": "error", "msg": message, "time": stamp})
        else:
            line = f'time="{stamp}" level=error msg={json.dumps(message)}'
        with open(log, "a", encoding="utf-8") as file:
            file.write(line + "\n")


def _container(call: Call) -> str:
    """Return the id of the container of a call. Raises RuntimeRefusal for what is none."""
    container = call.words[-1] if call.words else ""
    if not _CONTAINER.fullmatch(container):
        shown = container if len(container) < 80 else container[:80] + "…"
        raise RuntimeRefusal(f"{shown!r} is no container id")
    return container


def _without_bundle(call: Call, here: str) -> list[str]:
    """Return the command line for a bundle that is the current directory, called from `here`."""
    options = {k: v for k, v in call.options.items() if k not in ("--bundle", "-b")}
    return [*_words(call.globals, here), call.command, *_words(options, here), *call.words]


def _words(options: dict[str, str], here: str) -> list[str]:
    words = []
    for name, value in options.items():
        path = os.path.join(here, value) if name in _PATHS else value
        valued = value or name in GLOBAL_OPTIONS | COMMAND_OPTIONS
        words.append(f"{name}={path}" if valued else name)
    return words


def _create(config: Config, call: Call, preserved: int) -> Ready:
    # Imported here: ctypes alone costs more than all other calls.
    from . import bundle, cgroup, guest, idmap, limits, placed, spec, staging, view

    container = _container(call)
    directory = bundle.enter(call.options.get("--bundle") or call.options.get("-b") or ".")
    given = bundle.load(staging.root_path(config.stage))
    spec.check(given)
    group = cgroup.checked(spec.field(given, "linux.cgroupsPath", str, "") or container)
    plain = os.path.join(directory, spec.field(given, "root.path", str, ""))
    mountinfo = _text("/proc/self/mountinfo")
    overlay = staging.find_overlay(mountinfo, plain)
    hybrid = cgroup.is_hybrid()
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
        new = spec.edited(
            given,
            base=base,
            size=SIZE,
            root=root,
            user=become.path(namespace),
            hybrid=hybrid,
            machine=os.uname().machine,
            may_score=limits.may_score,
        )
        place = _place(stage, directory, mine, config, mountinfo)
        new["mounts"] = _staged(spec.mounts(new), place)
        if mine.stored != config.id_stored:
            config.ranges.settle(mine)
        new["mounts"] += _devices(new["linux"].pop("devices"), stage, base)
        if figures is not None:
            new = _as_box(new, stage, figures)
        if hybrid and group:
            cgroup.delegate(group, base)
            undo.callback(cgroup.remove, group)
        process = spec.field(new, "process", dict, {})
        new["process"], taken = limits.divided(process, may_raise=limits.may_raise())
        if files := taken.get("RLIMIT_NOFILE"):
            new = limits.with_hook(new, config.program, base, *files)
        bundle.store(bundle.ORIGINAL, given)
        bundle.store(bundle.NAME, new)
        undo.pop_all()
    return Ready([], namespace, taken)


def _exec(call: Call, arguments: list[str], preserved: int) -> Ready:
    """`exec` of a process that asks for limits (the launcher passes on no other)."""
    from . import bundle, limits, spec

    option = "--process" if "--process" in call.options else "-p"
    process = bundle.read(call.options.get(option, ""))
    spec.check_process(process)
    may_raise = limits.may_raise()
    kept, taken = limits.divided(process, may_raise=may_raise)
    if may_raise:
        return Ready(arguments, None, taken)
    memory = become.memory(json.dumps(kept).encode(), preserved)
    # The last one counts, and what is after the container's id is the process's own.
    at = len(arguments) - len(call.words)
    words = [*arguments[:at], f"{option}=/proc/self/fd/{memory}", *arguments[at:]]
    return Ready(words, memory, taken)


def _devices(devices: list[dict[str, Any]], stage: "Stage", base: int) -> list[dict[str, Any]]:
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


def _as_box(new: dict[str, Any], stage: "Stage", figures: dict[str, int]) -> dict[str, Any]:
    """Return the spec as a box's. `figures` are detached mounts of lxcfs's files."""
    from . import guest

    files = {path: stage.file(tree) for path, tree in figures.items()}
    files |= {path: stage.device(*number) for path, number in guest.DEVICES.items()}
    return guest.edited(new, files)


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def _place(
    stage: "Stage", bundle: str, mine: Range, config: Config, mountinfo: str
) -> Callable[[dict[str, Any]], str]:
    """Return a function from a bind to where its source is staged."""
    from . import idmap, links, spec, staging

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

    def place(mount: dict[str, Any]) -> str:
        source = links.resolved(os.path.join(bundle, mount.get("source") or ""), guests)
        if source == spec.HOST_SYSFS:
            return stage.sysfs(source)
        # In a user namespace, a tree cannot be bound without what is mounted in it.
        return stage.bind(source, mapping_of, recursive="rbind" in (mount.get("options") or []))

    return place


def _staged(
    mounts: list[dict[str, Any]], place: Callable[[dict[str, Any]], str]
) -> list[dict[str, Any]]:
    """Return the mounts with the source of each bind replaced by where `place` staged it."""
    from . import spec

    staged = []
    for mount in mounts:
        if spec.is_bind(mount):
            source = place(mount)
            mount = spec.with_flags(mount | {"source": source}, os.statvfs(source).f_flag)
        staged.append(mount)
    return staged


def _delete(config: Config, call: Call) -> int:
    """Remove the cgroups that runc's own delete, which the launcher has run before, left."""
    from . import cgroup

    mine = config.ranges.get(_container(call))
    if mine is not None:
        cgroup.remove(mine.cgroup)
    return 0


def _pause(config: Config, call: Call) -> None:
    """Before `docker commit` reads a running container: Docker pauses it first."""
    from . import view

    mine = config.ranges.get(call.words[-1]) if call.words else None
    if mine:
        view.refresh(mine.witness)


def _ranges(config: Config, call: Call) -> int:
    """`cai-runc ranges [--json]`: free what is unused, list the rest."""
    used = config.ranges.prune()
    if "--json" in call.options:
        print(json.dumps([record._asdict() for record in used]))
    elif "--prune" not in call.options:
        for record in used:
            print(f"{record.base}-{record.base + SIZE - 1}  {record.container}")
    return 0


def _limits(call: Call) -> int:
    """`cai-runc limits OWNER SOFT HARD`: a hook of ours, with the container's state on stdin."""
    from . import limits

    limits.set_files(json.load(sys.stdin)["pid"], *map(int, call.words))
    return 0


def _reclaim(config: Config, call: Call) -> int:
    """`cai-runc reclaim [--dry-run] PATH UID GID`: prints what was done, as JSON."""
    from . import owners

    path, uid, gid = call.words
    act = "--dry-run" not in call.options
    print(json.dumps(owners.reclaim(config.ranges, path, int(uid), int(gid), act=act)._asdict()))
    return 0


def _lxcfs(config: Config) -> int:
    """`cai-runc lxcfs`: keep lxcfs alive, for the files of /proc in boxes, until SIGTERM."""
    from . import lxcfs

    # Ids are of one installation, so this name is, too: a host may have several, and its own lxcfs.
    return lxcfs.Keeper(config.state, config.lxcfs, f"cai-lxcfs-{config.id_base:x}").run()
