"""What cai-runc does with runc's command line: rewrite the bundle, then become runc."""

import json
import os
import sys
import time
from typing import Any, NamedTuple

from .errors import RuntimeRefusal
from .ranges import SIZE, Ranges

#: runc's options that take a value in the next word, before and after the command (runc(8)).
GLOBAL_OPTIONS = frozenset({"--log", "--log-format", "--root", "--criu", "--rootless"})
COMMAND_OPTIONS = frozenset(
    {
        "-b", "--bundle", "--console-socket", "--pid-file", "--preserve-fds",
        "--pidfd-socket", "-p", "--process", "--cwd", "-e", "--env", "-u", "--user",
        "-g", "--additional-gids", "--process-label", "--apparmor", "-c", "--cap", "--cgroup",
    }
)  # fmt: skip


#: Where the engine puts its own init for --init; in Debian the program is a link.
DOCKER_INIT = "/sbin/docker-init"


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
        if call.command == "ranges":
            return _ranges(config, call)
        if call.command in ("create", "run"):
            _create(config, call)
        elif call.command == "exec":
            _exec(call)
        elif call.command == "delete":
            return _delete(config, call, arguments)
        os.execv(config.runc, [config.runc, *arguments])
    except (RuntimeRefusal, OSError, ValueError, TypeError, KeyError) as failed:
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
    with open(path + ".cai", "w", encoding="utf-8") as file:
        json.dump(value, file)
    os.replace(path + ".cai", path)


def _create(config: Config, call: Call) -> None:
    # Imported here: ctypes alone costs more than all other calls.
    from . import cgroup, idmap, spec, staging

    bundle = os.path.realpath(call.options.get("--bundle") or call.options.get("-b") or ".")
    path = os.path.join(bundle, "config.json")
    original = path + ".original"
    # A second attempt on one bundle starts from what the engine wrote.
    given = _load(original if os.path.exists(original) else path)
    container = call.words[-1] if call.words else ""
    if not container or "/" in container or container.startswith("."):
        raise RuntimeRefusal(f"{container!r} is no container id")
    plain = os.path.join(bundle, spec.field(given, "root.path", str, ""))
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        overlay = staging.find_overlay(file.read(), plain)
    hybrid = cgroup.is_hybrid()
    group = ""
    if hybrid:
        group = cgroup.hybrid_path(spec.field(given, "linux.cgroupsPath", str, container))
    witness = overlay.upper if overlay else plain
    base = config.ranges.allocate(container, witness, group).base
    stage = staging.Stage(os.path.join(config.state, "stage"))
    root = stage.root(overlay, plain, idmap.shifted(base, SIZE), base)
    with open("/proc/self/oom_score_adj", encoding="ascii") as file:
        oom_floor = int(file.read())
    new = spec.edited(
        given,
        base=base,
        size=SIZE,
        root=root,
        hybrid=hybrid,
        machine=os.uname().machine,
        oom_floor=oom_floor,
    )
    for mount in spec.mounts(new):
        if spec.is_bind(mount):
            source = mount["source"]
            if mount["destination"] == DOCKER_INIT:
                source = os.path.realpath(source)
            mount["source"] = stage.bind(source, base, SIZE, config.engine_data)
    if hybrid:
        cgroup.delegate(group, base)
    _store(original, given)
    _store(path, new)


def _exec(call: Call) -> None:
    """Give a process of `exec` the capabilities that the container has."""
    from . import spec

    path = call.options.get("--process") or call.options.get("-p")
    if path:
        _store(path, spec.with_capabilities(_load(path)))


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


def _ranges(config: Config, call: Call) -> int:
    """`cai-runc ranges [--json]`: free what is unused, list the rest."""
    used = config.ranges.prune()
    if "--json" in call.options:
        print(json.dumps([each._asdict() for each in used]))
    elif "--prune" not in call.options:
        for each in used:
            print(f"{each.base}-{each.base + SIZE - 1}  {each.container}")
    return 0
