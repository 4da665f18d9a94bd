"""What cai-runc does with runc's command line: rewrite the bundle, then become runc."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import RuntimeRefusal
from .ranges import SIZE, Ranges

if TYPE_CHECKING:
    from .staging import Stage

#: runc's options that take a value in the next word, before and after the command (runc(8)).
GLOBAL_OPTIONS = frozenset({"--log", "--log-format", "--root", "--criu", "--rootless"})
COMMAND_OPTIONS = frozenset(
    {
        "-b", "--bundle", "--console-socket", "--pid-file", "--preserve-fds",
        "--pidfd-socket", "-p", "--process", "--cwd", "-e", "--env", "-u", "--user",
        "-g", "--additional-gids", "--process-label", "--apparmor", "-c", "--cap", "--cgroup",
    }
)  # fmt: skip


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


#: Global options without a value.
GLOBAL_FLAGS = frozenset({"--debug", "--systemd-cgroup", "--help", "-h", "--version", "-v"})


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

    @property
    def ranges(self) -> Ranges:
        """The id ranges of this installation."""
        return Ranges(self.state, self.id_base, self.id_count)


def main(arguments: list[str], library: str) -> int:
    """Handle one call. Returns an exit code, or becomes runc and does not return."""
    call = parse(arguments)
    try:
        with open(os.path.join(library, "runtime.json"), encoding="utf-8") as file:
            config = Config(**json.load(file))
        _refuse_unknown(call)
        if call.command == "ranges":
            return _ranges(config, call)
        if call.command in ("create", "run"):
            _create(config, call)
        elif call.command == "delete":
            return _delete(config, call, arguments)
        elif call.command == "pause":
            _pause(config, call)
        os.execv(config.runc, [config.runc, *arguments])
    except (RuntimeRefusal, OSError, ValueError, TypeError, LookupError, AttributeError) as failed:
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


def _load(path: str) -> dict[str, Any]:
    with open(path, encoding="utf-8") as file:
        found = json.load(file)
    if not isinstance(found, dict):
        raise RuntimeRefusal(f"{os.path.basename(path)}: expected an object")
    return found


def _store(path: str, value: dict[str, Any]) -> None:
    # containerd puts exec's process, with its environment, into /tmp: nobody else may read it, nor
    # have put a link where we write.
    temporary = f"{path}.{os.urandom(8).hex()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(temporary, flags, 0o600), "w", encoding="utf-8") as file:
            json.dump(value, file)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _create(config: Config, call: Call) -> None:
    # Imported here: ctypes alone costs more than all other calls.
    from . import cgroup, idmap, spec, staging, view

    bundle = os.path.realpath(call.options.get("--bundle") or call.options.get("-b") or ".")
    path = os.path.join(bundle, "config.json")
    original = path + ".original"
    # A second attempt on one bundle starts from what the engine wrote.
    given = _load(original if os.path.exists(original) else path)
    container = call.words[-1] if call.words else ""
    if not container or "/" in container or container.startswith("."):
        raise RuntimeRefusal(f"{container!r} is no container id")
    spec.check(given)
    plain = os.path.join(bundle, spec.field(given, "root.path", str, ""))
    mountinfo = _text("/proc/self/mountinfo")
    overlay = staging.find_overlay(mountinfo, plain)
    hybrid = cgroup.is_hybrid()
    group = ""
    if hybrid:
        group = cgroup.hybrid_path(spec.field(given, "linux.cgroupsPath", str, container))
    base = config.ranges.allocate(container, overlay.upper if overlay else plain, group).base
    if overlay:
        view.protect(plain)
    stage = staging.Stage(os.path.join(config.state, "stage"))
    new = spec.edited(
        given,
        base=base,
        size=SIZE,
        root=stage.root(overlay, plain, idmap.shifted(base, SIZE), base),
        hybrid=hybrid,
        machine=os.uname().machine,
        may_score=_may_score,
    )
    new["mounts"] = _staged(
        spec.mounts(new), _place(stage, bundle, base, config.engine_data, mountinfo)
    )
    if hybrid:
        cgroup.delegate(group, base)
    _store(original, given)
    _store(path, new)


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def _may_score(score: int) -> bool:
    """Whether the kernel lets us have this oom_score_adj (proc(5)). Its floor cannot be read."""
    path = "/proc/self/oom_score_adj"
    before = _text(path)
    try:
        for value in (str(score), before):
            with open(path, "w", encoding="ascii") as file:
                file.write(value)
    except PermissionError:
        return False
    return True


def _place(
    stage: "Stage", bundle: str, base: int, engine_data: str, mountinfo: str
) -> Callable[[str], str]:
    """Return a function from a bind's source to where it is staged."""
    from . import links, spec, staging

    guests = os.path.realpath(engine_data)

    def place(source: str) -> str:
        source = links.resolved(os.path.join(bundle, source), guests)
        if source == spec.HOST_SYSFS:
            return stage.sysfs(source)
        own = staging.is_engine_data(source, engine_data, mountinfo)
        return stage.bind(source, base, SIZE, own=own)

    return place


def _staged(mounts: list[dict[str, Any]], place: Callable[[str], str]) -> list[dict[str, Any]]:
    """Return the mounts with the source of each bind replaced by where `place` staged it."""
    from . import spec

    found = []
    for mount in mounts:
        if spec.is_bind(mount):
            source = place(mount.get("source") or "")
            mount = spec.with_flags(mount | {"source": source}, os.statvfs(source).f_flag)
        found.append(mount)
    return found


def _delete(config: Config, call: Call, arguments: list[str]) -> int:
    from . import cgroup

    child = os.fork()
    if child == 0:
        os.execv(config.runc, [config.runc, *arguments])
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    found = config.ranges.get(call.words[-1]) if call.words else None
    if found and found.cgroup:
        cgroup.remove(found.cgroup)
    return code if code >= 0 else 128 - code


def _pause(config: Config, call: Call) -> None:
    """Before `docker commit` reads a running container: Docker pauses it first."""
    from . import view

    found = config.ranges.get(call.words[-1]) if call.words else None
    if found:
        view.refresh(found.witness)


def _ranges(config: Config, call: Call) -> int:
    """`cai-runc ranges [--json]`: free what is unused, list the rest."""
    used = config.ranges.prune()
    if "--json" in call.options:
        print(json.dumps([each._asdict() for each in used]))
    elif "--prune" not in call.options:
        for each in used:
            print(f"{each.base}-{each.base + SIZE - 1}  {each.container}")
    return 0
