"""The embedded runtime, installed where only root writes."""

import json
import os
from typing import Any, NamedTuple

import containai
from containai.engine import lxcfs
from containai.host import files
from containai.host.machine import Machine
from containai.layout import RUNTIME, Layout
from containai.provision import versions
from containai.provision.step import Scope
from containai.provision.steps.programs import PYTHON
from containai.work.actions import Action, Finding, Later, Run, WriteFile


class Missing(NamedTuple):
    """Its files, whether runc is there yet, and what closes an old lock."""

    files: list[WriteFile]
    has_runc: bool
    closed: list[Action]


class Runtime:
    """cai-runc, installed where only root writes."""

    title = "runtime cai-runc"
    holds = "the files of the embedded runtime are of this version, where only root writes"
    otherwise = "they are written"

    def check(self, host: Machine) -> Finding[Missing]:
        """Compare what is installed with what this version ships."""
        layout = host.layout
        if newer := versions.newer(layout):
            return newer
        runc = versions.program(host, _runc(_settings(layout)), "runc")
        wanted = _files(layout, runc)
        if all(files.read(file.path) == file.text for file in wanted):
            return Finding(True, layout.runtime_program)
        there = any(os.path.exists(file.path) for file in wanted)
        seen = versions.difference(layout) if there else "not installed"
        return Finding(False, seen, data=Missing(wanted, os.path.exists(runc), _closed(layout)))

    def plan(self, host: Machine, finding: Finding[Missing]) -> list[Action]:
        """Write its files, then compile them."""
        layout = host.layout
        if finding.data is None:
            return []
        (launcher, *others), has_runc, closed = finding.data
        later = [] if has_runc else [Later("the path of runc, here as Debian has it")]
        compile_argv = [PYTHON, "-IS", "-m", "compileall", "-q", _library(layout)]
        state = ["install", "-d", "-m", "0711", layout.runtime_state]
        # The launcher last: what daemon.json names is never there without its library.
        return [*later, *others, Run(compile_argv), Run(state), *closed, launcher]

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """Remove its files; the id ranges belong to the containers, and go with a purge."""
        layout = host.layout
        ours = [layout.runtime_dir] + ([layout.runtime_state] if scope.purge else [])
        there = [path for path in ours if os.path.exists(path)]
        return [Run(["rm", "-rf", *there])] if there else []


def _library(layout: Layout) -> str:
    return os.path.join(layout.runtime_dir, "containai_runtime")


def _settings(layout: Layout) -> str:
    return os.path.join(layout.runtime_dir, "runtime.json")


def _files(layout: Layout, runc: str) -> list[WriteFile]:
    """Return its files as this version has them, the launcher first."""
    source = os.path.join(os.path.dirname(containai.__file__), "runtime")
    launcher = files.read(os.path.join(source, RUNTIME)) or ""
    for placeholder, value in (
        ("@RUNC@", runc),
        ("@PYTHON@", PYTHON),
        ("@LIB@", layout.runtime_dir),
        ("@BRIDGE@", layout.bridge),
        ("@PINS@", layout.engine_pins),
    ):
        launcher = launcher.replace(placeholder, value)
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
    }
    modules = sorted(name for name in os.listdir(source) if name.endswith(".py"))
    return [
        WriteFile(layout.runtime_program, launcher, 0o755),
        WriteFile(_settings(layout), json.dumps(config, indent=4) + "\n"),
        WriteFile(layout.version_file, versions.text()),
        *(
            WriteFile(
                os.path.join(_library(layout), name), files.read(os.path.join(source, name)) or ""
            )
            for name in modules
        ),
    ]


def _runc(settings: str) -> str | None:
    """Return the runc that an installed runtime hands over to."""
    try:
        return str(json.loads(files.read(settings) or "")["runc"])
    except (ValueError, KeyError, TypeError):
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
