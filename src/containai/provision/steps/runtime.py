"""The embedded runtime, installed where only root writes."""

import json
import os
from typing import Any, NamedTuple

import containai
from containai.engine import lxcfs, runtimes
from containai.host import files
from containai.host.machine import Machine
from containai.layout import Layout
from containai.machine_layout import PUBLISHED, RUNTIME, SYSBOX_WRAPPER
from containai.provision import versions, written
from containai.provision.step import Area, Described, Scope
from containai.provision.steps.programs import PYTHON
from containai.work.actions import Action, Finding, Later, Run, WriteFile


class Missing(NamedTuple):
    """Its files, whether runc is there yet, and what closes an old lock."""

    files: list[WriteFile]
    has_runc: bool
    closed: list[Action]


class Runtime(Described):
    """cai-runc, installed where only root writes."""

    area = Area.RUNTIME
    title = "runtime cai-runc"
    holds = "the files of the embedded runtime are of this version, where only root writes"
    otherwise = "they are written"
    looks = "each of its files is compared with what this version has"
    means = "boxes do not start, or start as another version made them"

    def __init__(self, *, sysbox_fs: bool = False) -> None:
        self.sysbox_fs = sysbox_fs

    def check(self, host: Machine) -> Finding[Missing]:
        """Compare what is installed with what this version ships."""
        layout = host.layout
        if newer := versions.newer(layout):
            return newer
        runc = versions.program(host, _runc(_settings(layout)), "runc")
        wanted = _files(layout, runc, sysbox_fs=self.sysbox_fs)
        wrong = written.wrong(host, wanted)
        if not wrong:
            return Finding(True, layout.runtime_program)
        seen = _seen(host, wanted, wrong)
        return Finding(False, seen, data=Missing(wanted, os.path.exists(runc), _closed(layout)))

    def plan(self, host: Machine, finding: Finding[Missing]) -> list[Action]:
        """Write its files, then compile them."""
        layout = host.layout
        if finding.data is None:
            return []
        (launcher, sysbox, *others), has_runc, closed = finding.data
        later = [] if has_runc else [Later("the path of runc, here as Debian has it")]
        compile_argv = [PYTHON, "-IS", "-m", "compileall", "-q", _library(layout)]
        state = ["install", "-d", "-m", "0711", layout.runtime_state]
        # The launchers last: what daemon.json names is never there without its library.
        return [*later, *others, Run(compile_argv), Run(state), *closed, sysbox, launcher]

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """Remove its files; the id ranges belong to the containers, and go with a purge."""
        layout = host.layout
        ours = [layout.runtime_dir] + ([layout.runtime_state] if scope.purge else [])
        there = [path for path in ours if os.path.exists(path)]
        return [Run(["rm", "-rf", *there])] if there else []


def _seen(host: Machine, wanted: list[WriteFile], wrong: list[WriteFile]) -> str:
    """Say what of its files is wrong."""
    missing = written.missing(wanted)
    if len(missing) == len(wanted):
        return "not installed"
    odd = written.odd(host, wrong)
    if len(missing) + len(odd) < len(wrong) or not versions.is_own(host.layout):
        return versions.difference(host.layout)
    return "; ".join([*(f"{path} is missing" for path in missing), *odd])


def _library(layout: Layout) -> str:
    return os.path.join(layout.runtime_dir, "containai_runtime")


def _settings(layout: Layout) -> str:
    return os.path.join(layout.runtime_dir, "runtime.json")


def _files(layout: Layout, runc: str, *, sysbox_fs: bool) -> list[WriteFile]:
    """Return its files as this version has them, the launchers first."""
    source = os.path.join(os.path.dirname(containai.__file__), "runtime")
    # Sysbox's own may come later, and then it is the pinned one.
    sysbox = runtimes.sysbox_program(layout) or layout.sysbox_program

    def program(shipped: str, name: str, real: str) -> str:
        return _filled(files.read(os.path.join(source, shipped)) or "", layout, name, real)

    base, count = layout.id_window
    config: dict[str, Any] = {
        "runc": runc,
        "state": layout.runtime_state,
        "id_base": base,
        "id_count": count,
        "engine_data": layout.engine_data,
        "id_stored": layout.stored_ids[0],
        "given": layout.engine_given,
        "lxcfs": lxcfs.PROGRAM,
        "sysbox": sysbox,
        "sysbox_fs": sysbox_fs,
    }
    modules = sorted(name for name in os.listdir(source) if name.endswith(".py"))
    return [
        WriteFile(layout.runtime_program, program(RUNTIME, RUNTIME, runc), 0o755),
        WriteFile(layout.sysbox_wrapper, program(RUNTIME, SYSBOX_WRAPPER, sysbox), 0o755),
        WriteFile(_settings(layout), json.dumps(config, indent=4) + "\n"),
        WriteFile(layout.published_program, program(PUBLISHED, PUBLISHED, runc), 0o755),
        WriteFile(layout.version_file, versions.text()),
        *(
            WriteFile(
                os.path.join(_library(layout), name), files.read(os.path.join(source, name)) or ""
            )
            for name in modules
        ),
    ]


def _filled(program: str, layout: Layout, name: str, real: str) -> str:
    """Return the text of a program with the paths of this machine."""
    for placeholder, value in (
        ("@NAME@", name),
        ("@RUNC@", real),
        ("@PYTHON@", PYTHON),
        ("@LIB@", layout.runtime_dir),
        ("@BRIDGE@", layout.bridge),
        ("@PINS@", layout.engine_pins),
    ):
        program = program.replace(placeholder, value)
    return program


def _runc(settings: str) -> str | None:
    """Return the runc that an installed runtime hands over to."""
    try:
        return str(files.from_json(files.read_if_whole(settings) or "")["runc"])
    except (ValueError, LookupError, TypeError):
        return None


def _closed(layout: Layout) -> list[Action]:
    """Return what closes the lock of lxcfs's keeper, which earlier versions let everybody read.

    One of theirs that runs goes on, and has not written its pid for those who may not any more.
    """
    if not os.path.exists(layout.lxcfs_lock):
        return []
    pid = 0 if os.path.exists(layout.lxcfs_pidfile) else lxcfs.keeper(layout)
    told: list[Action] = [WriteFile(layout.lxcfs_pidfile, f"{pid}\n")] if pid > 0 else []
    return [*told, Run(["chmod", "0600", layout.lxcfs_lock])]
