"""What our runtimes do with runc's command line: rewrite the bundle, then become the real one."""

import json
import os
import re
import sys
import time
from typing import Any, NamedTuple

from . import become
from .become import Ready
from .config import Config
from .errors import RuntimeRefusal
from .kinds import KINDS, RUNC
from .ranges import SIZE, Range

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
#: Where runc has its state, unless it is told otherwise (runc(8)); the launcher has it, too.
_STATE = "/run/runc"
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


#: What ends a call with a message. A box can make nested things without end.
_FAILURES = (
    RuntimeRefusal, OSError, ValueError, TypeError, LookupError, AttributeError,
    RecursionError, MemoryError,
)  # fmt: skip


def main(arguments: list[str], library: str, name: str = RUNC.name) -> int:
    """Handle one call. Returns an exit code, or becomes the real runtime and does not return.

    `name` is the runtime of ours that was called, `library` the directory that it is installed in.
    """
    call = parse(arguments)
    try:
        kind = KINDS[name]
        config = Config.read(library)
        _refuse_unknown(call)
        own = {
            "attach": _attach,
            "back": _back,
            "detach": _detach,
            "limits": _limits,
            "lxcfs": _lxcfs,
            "ranges": _ranges,
            "reclaim": _reclaim,
            "unshift": _unshift,
        }
        if call.command in own:
            return own[call.command](config, call)
        preserved = int(call.options.get("--preserve-fds") or 0)
        ready = Ready(arguments)
        if call.command in ("create", "run"):
            # Imported here: ctypes alone costs more than all other calls.
            from . import bundle
            from .create import create

            here = bundle.caller()
            directory = call.options.get("--bundle") or call.options.get("-b") or "."
            if kind.managed:
                from . import manager

                manager.forget(_container(call), os.path.join(here, call.globals.get("--root", "")))
            ready = create(config, kind, _container(call), directory, preserved)
            words = [*config.options(kind), *_without_bundle(call, here)]
            ready = ready._replace(arguments=words)
        elif call.command == "exec":
            ready = _exec(config, call, arguments, preserved)
        elif call.command == "delete":
            return _delete(config, call)
        elif call.command == "pause":
            _pause(config, call)
        become.runc(config.real(kind), ready, preserved)
    except _FAILURES as failed:
        _report(call, f"{name}: {call.command}: {failed}")
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


def _exec(config: Config, call: Call, arguments: list[str], preserved: int) -> Ready:
    """`exec` of a process that asks for limits or a mount (the launcher passes on no other)."""
    from . import bundle, limits, spec

    option = "--process" if "--process" in call.options else "-p"
    process = bundle.read(call.options.get(option, ""))
    spec.check_process(process)
    asked = _mounts(config, call, process)
    if asked:
        # What there is to say was said: the engine has something run in any case.
        process = process | {"args": ["/usr/bin/true"], "cwd": "/"}
    may_raise = limits.may_raise()
    kept, taken = limits.divided(process, may_raise=may_raise)
    if may_raise and not asked:
        return Ready(arguments, None, taken)
    memory = become.memory(json.dumps(kept).encode(), preserved)
    # The last one counts, and what is after the container's id is the process's own.
    at = len(arguments) - len(call.words)
    words = [*arguments[:at], f"{option}=/proc/self/fd/{memory}", *arguments[at:]]
    return Ready(words, memory, taken)


def _mounts(config: Config, call: Call, process: dict[str, Any]) -> bool:
    """Do what an exec asks for that is none, of mounts and claims; return whether it is one.

    Whoever may use the engine asks so, without being root: the same could have it mount anything in
    a container of its own.
    """
    from . import attached

    match process.get("args") or []:
        case [attached.ATTACH, source, destination, "ro" | "rw" as mode]:
            _attach(config, _asking(call, source, destination, readonly=mode == "ro"))
        case [attached.DETACH, destination]:
            _detach(config, _asking(call, destination))
        case [attached.AWAIT, owner] if owner.isdecimal():
            from . import claim

            claim.wait(config, *_running(config, call, _container(call)), int(owner))
        case [attached.ATTACH | attached.DETACH | attached.AWAIT, *_]:
            raise RuntimeRefusal(
                "expected: :attach SOURCE DESTINATION ro|rw, :detach DESTINATION, :await UID"
            )
        case _:
            return False
    return True


def _asking(call: Call, *words: str, readonly: bool = False) -> Call:
    options = {"--readonly": ""} if readonly else {}
    return call._replace(options=options, words=(_container(call), *words))


def _attach(config: Config, call: Call) -> int:
    """`cai-runc attach [--readonly] CONTAINER SOURCE DESTINATION`."""
    from . import attach
    from .attached import Attached

    container, source, destination = _expected(call, 3)
    wanted = Attached(source, destination, "--readonly" in call.options)
    attach.attach(config, *_running(config, call, container), wanted)
    return 0


def _detach(config: Config, call: Call) -> int:
    """`cai-runc detach CONTAINER DESTINATION`."""
    from . import attach

    container, destination = _expected(call, 2)
    attach.detach(config, *_running(config, call, container), destination)
    return 0


def _expected(call: Call, count: int) -> tuple[str, ...]:
    if len(call.words) != count:
        raise RuntimeRefusal(f"expected {count} words, the container's id first")
    return call.words


def _running(config: Config, call: Call, container: str) -> tuple[Range, int]:
    """Return the ids of a container, and the first of its processes, as runc noted it."""
    mine = config.ranges.get(container) if _CONTAINER.fullmatch(container) else None
    state = os.path.join(call.globals.get("--root") or _STATE, container, "state.json")
    try:
        with open(state, encoding="utf-8") as file:
            process = int(json.load(file)["init_process_pid"])
    except FileNotFoundError:
        mine = None
    if mine is None:
        raise RuntimeRefusal(f"no container {container} runs")
    return mine, process


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
    from . import attached

    used = config.ranges.prune()
    attached.prune(config.attached, {record.container for record in used})
    if "--json" in call.options:
        print(json.dumps([record._asdict() for record in used]))
    elif "--prune" not in call.options:
        for record in used:
            print(f"{record.base}-{record.base + SIZE - 1}  {record.container}")
    return 0


def _limits(config: Config, call: Call) -> int:
    """`cai-runc limits OWNER SOFT HARD`: a hook of ours, with the container's state on stdin."""
    from . import limits

    limits.set_files(json.load(sys.stdin)["pid"], *map(int, call.words))
    return 0


def _back(config: Config, call: Call) -> int:
    """`cai-runc back ROOT`: a hook of ours, once Sysbox has read what it does."""
    from . import aside

    aside.back(*_expected(call, 1))
    return 0


def _reclaim(config: Config, call: Call) -> int:
    """`cai-runc reclaim [--dry-run] PATH UID GID`: prints what was done, as JSON."""
    from . import owners

    path, uid, gid = call.words
    act = "--dry-run" not in call.options
    print(json.dumps(owners.reclaim(config.ranges, path, int(uid), int(gid), act=act)._asdict()))
    return 0


def _unshift(config: Config, call: Call) -> int:
    """`cai-runc unshift [--dry-run] UID GID CONTAINER PATH...`: prints what was done, as JSON."""
    from . import unshift

    done = unshift.called(config.ranges, *call.words, act="--dry-run" not in call.options)
    print(json.dumps(done._asdict()))
    return 0


def _lxcfs(config: Config, call: Call) -> int:
    """`cai-runc lxcfs`: keep lxcfs alive, for the files of /proc in boxes, until SIGTERM."""
    from . import lxcfs

    # Ids are of one installation, so this name is, too: a host may have several, and its own lxcfs.
    return lxcfs.Keeper(config.state, config.lxcfs, f"cai-lxcfs-{config.id_base:x}").run()
