"""A set-up with every file that cai reads in it, and what can become of one."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from containai import trust
from containai.boxes import keeping, lookup
from containai.engine import cache, configuration, forward
from containai.engine.container import Container
from containai.incus import known
from containai.layout import SPARE
from containai.provision import versions
from containai.provision.known_files import KNOWN, Known
from containai.provision.steps.user import context_file
from harness.app import FakeApp

#: Some of what is in files of ours, each of a type that it is not.
_ODD = {
    "files": 5,
    "fixed-cidr": 5,
    "packages": 5,
    "packages-before": "x",
    "runc": [],
    "runtime": {},
    "versions": 5,
    "why": None,
    "workspace": 5,
}


def furnish(app: FakeApp, workspace: Path) -> Container:
    """Have a box of a workspace, and every file of the table; return the box's container."""
    layout = app.layout
    box = app.add_box(workspace)
    trust.keep(layout, trust.Trusted(str(workspace), "[box]\n", "config.toml"))
    keeping.keep(layout, lookup.own(app.engine)[0])
    context = {"Endpoints": {"docker": {"Host": f"unix://{layout.engine_socket}"}}}
    said = {
        layout.config_file: '[image]\nname = "base"\n',
        layout.kills_seen: "{}",
        layout.remotes: known.written(known.Places({})),
        layout.install_record: json.dumps({"packages": ["x"], "group": True}),
        layout.version_file: versions.text(),
        layout.engine_running_config: Path(layout.engine_config).read_text(encoding="utf-8"),
        layout.opened_ports: "tcp 80\n",
        forward.path(layout): "none\n",
        cache.path(layout): "# There is no cache of images.\n",
        configuration.proxies_file(layout): "",
        os.path.join(layout.runtime_dir, "runtime.json"): '{"runc": "/usr/bin/runc"}',
        os.path.join(layout.runtime_dir, "containai_runtime/main.py"): "pass\n",
        os.path.join(layout.sysbox_dir, "release"): "0\n",
        os.path.join(layout.lock_dir, "setup"): "",
        os.path.join(layout.kills, box.id): "[]",
        os.path.join(layout.attached, box.id): "[]",
        os.path.join(layout.runtime_state, f"{box.id}.json"): "{}",
        os.path.join(layout.downloads, "archive"): "x",
        layout.away: json.dumps({"version": 1, "boxes": {}}),
        layout.away_images: "{}",
        os.path.join(layout.state_dir, "away", "box-00"): "",
        os.path.join(layout.state_dir, "renaming"): "a\nb\n",
        os.path.join(layout.state_dir, "ssh-client"): "x y\n",
        os.path.join(layout.git_links, "x"): "gitdir: x\n",
        os.path.join(layout.spares, "data-x"): str(workspace),
        layout.ssh_block(f"{SPARE}x"): "1\n",
        layout.forwarded(box.name): "-L 3000\n",
        context_file(layout.home): json.dumps(context),
        os.path.join(layout.home, ".docker/config.json"): "{}",
        os.path.join(layout.home, ".gitconfig"): "",
    }
    for row in KNOWN:
        for path in () if row.directory else row.paths(layout):
            if "*" not in path and "[" not in path:
                said.setdefault(path, "1\n")
    for path, text in said.items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if not os.path.exists(path):
            Path(path).write_text(text, encoding="utf-8")
    return box


def subjects(app: FakeApp) -> list[tuple[Known, str]]:
    """Return each kind of the table with one of its files."""
    from containai.provision.known_files import present

    return [(known, present(app.layout, known)[0]) for known in KNOWN]


def _written(path: str, content: bytes) -> None:
    Path(path).write_bytes(content)


def _cut(path: str, before: bytes) -> None:
    _written(path, before[: len(before) // 2])


def _link(path: str, before: bytes) -> None:
    Path(f"{path}-elsewhere").write_bytes(before)
    os.symlink(f"{path}-elsewhere", path)


#: What becomes of a file, by what it is called: of its path, which is free, and what was in it.
STATES: dict[str, Callable[[str, bytes], object]] = {
    "empty": lambda path, _: _written(path, b""),
    "cut off": _cut,
    "a list": lambda path, _: _written(path, b'[1, [2], {"a": 3}]\n'),
    "a number": lambda path, _: _written(path, b"7\n"),
    "odd values": lambda path, _: _written(path, json.dumps(_ODD).encode()),
    "nested": lambda path, _: _written(path, b"[" * 100_000),
    "digits": lambda path, _: _written(path, b"9" * 6000),
    "garbage": lambda path, _: _written(path, bytes(range(256)) * 4),
    "a directory": lambda path, _: os.makedirs(f"{path}/x"),
    "a dangling link": lambda path, _: os.symlink("/nonexistent/x", path),
    "a loop": lambda path, _: os.symlink(path, path),
    "a link elsewhere": _link,
    "a pipe": lambda path, _: os.mkfifo(path),
    "gone": lambda path, _: None,
}
#: Those in which nothing is a file, or a directory, whatever was to be in it.
NO_FILES = ("a dangling link", "a loop", "a pipe")


def damage(path: str, state: str) -> None:
    """Do that to a file, or to a directory."""
    before = b""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        before = Path(path).read_bytes()
        os.unlink(path)
    STATES[state](path, before)
