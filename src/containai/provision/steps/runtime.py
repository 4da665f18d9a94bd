"""The embedded runtime, installed where only root writes."""

import json
import os
from typing import Any

import containai
from containai.engine import lxcfs
from containai.host import files
from containai.layout import RUNTIME, Layout
from containai.provision import versions
from containai.provision.step import Action, Finding, Run, Scope, WriteFile
from containai.provision.steps.programs import PYTHON


class Runtime:
    """cai-runc, installed where only root writes."""

    title = "runtime cai-runc"

    def check(self, layout: Layout) -> Finding:
        """Compare what is installed with what this version ships."""
        if found := versions.newer(layout):
            return found
        wanted = self._files(layout)
        wrong = [path for path, (text, _) in wanted.items() if files.read(path) != text]
        if not wrong:
            return Finding(True, layout.runtime_program)
        there = any(map(os.path.exists, wanted))
        return Finding(False, versions.difference(layout) if there else "not installed")

    def plan(self, layout: Layout) -> list[Action]:
        """Write its files, then compile them."""
        if self.check(layout).ok:
            return []
        library = os.path.join(layout.runtime_dir, "containai_runtime")
        writes: list[Action] = [
            WriteFile(path, text, mode) for path, (text, mode) in self._files(layout).items()
        ]
        # The launcher last: what daemon.json names is never there without its library.
        compile_argv = [PYTHON, "-IS", "-m", "compileall", "-q", library]
        state = ["install", "-d", "-m", "0711", layout.runtime_state]
        return [*writes[1:], Run(compile_argv), Run(state), *_closed(layout), writes[0]]

    def undo(self, layout: Layout, scope: Scope) -> list[Action]:
        """Remove its files; the id ranges belong to the containers, and go with a purge."""
        ours = [layout.runtime_dir] + ([layout.runtime_state] if scope.purge else [])
        found = [path for path in ours if os.path.exists(path)]
        return [Run(["rm", "-rf", *found])] if found else []

    @staticmethod
    def _files(layout: Layout) -> dict[str, tuple[str, int]]:
        source = os.path.join(os.path.dirname(containai.__file__), "runtime")
        library = os.path.join(layout.runtime_dir, "containai_runtime")
        settings = os.path.join(layout.runtime_dir, "runtime.json")
        runc = versions.program(_runc(settings), "runc")
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
            "lxcfs": lxcfs.PROGRAM,
        }
        found = {
            layout.runtime_program: (launcher, 0o755),
            settings: (json.dumps(config, indent=4) + "\n", 0o644),
            layout.version_file: (versions.text(), 0o644),
        }
        for name in sorted(os.listdir(source)):
            if name.endswith(".py"):
                text = files.read(os.path.join(source, name)) or ""
                found[os.path.join(library, name)] = (text, 0o644)
        return found


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
