"""A workspace here, and a box that is a directory: `sh` stands in for ssh."""

import os
import subprocess

import pytest

from containai.host.proc import Programs
from containai.transfer import plain
from containai.transfer.pull import pull
from containai.transfer.push import push
from containai.transfer.reach import Reach
from containai.transfer.source import source
from containai.transfer.state import held

NAMED = ("-c", "user.name=Jo", "-c", "user.email=jo@example.com", "-c", "commit.gpgsign=false")
SSH = """#!/bin/sh
# What ssh does of a box: a line for the shell, in the agent's home, without our environment.
[ ! -e {home}/down ] || exit 255
cd {home} && exec env -i HOME={home} PATH="$PATH" sh -c "$1"
"""


class Side:
    """A work tree, here or in the box."""

    def __init__(self, path):
        self.path = str(path)

    def git(self, *words, check=True):
        env = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        argv = ["git", "-C", self.path, *NAMED, *words]
        done = subprocess.run(argv, env=env, capture_output=True, check=check)
        return done.stdout.decode("utf-8", "surrogateescape")

    def init(self, *words):
        os.makedirs(self.path, exist_ok=True)
        self.git("init", "-q", "-b", "main", *words)
        return self

    def put(self, name, text="", mode=0o644):
        path = os.path.join(os.fsencode(self.path), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.islink(path):
            os.unlink(path)
        with open(path, "wb") as file:
            file.write(text.encode() if isinstance(text, str) else text)
        os.chmod(path, mode)
        return self

    def get(self, name):
        with open(os.path.join(os.fsencode(self.path), os.fsencode(name)), "rb") as file:
            return file.read().decode()

    def has(self, name):
        return os.path.lexists(os.path.join(os.fsencode(self.path), os.fsencode(name)))

    def remove(self, name):
        os.unlink(os.path.join(self.path, name))

    def commit(self, message="more"):
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.head()

    def head(self):
        return self.git("rev-parse", "HEAD").strip()

    def status(self):
        return self.git("status", "--porcelain=v1", "-z", "--untracked-files=all", "--branch")


class Bench:
    """Both sides, and what goes between them."""

    def __init__(self, layout, tmp_path):
        self.layout = layout
        self.programs = Programs()
        self.here = Side(tmp_path / "project")
        self.box_home = tmp_path / "box"
        self.box_home.mkdir()
        self.box = Side(self.box_home / "workspace")
        self.ssh = tmp_path / "ssh"
        self.ssh.write_text(SSH.format(home=self.box_home))
        self.ssh.chmod(0o755)
        self.reach = Reach("api", [str(self.ssh)])
        self.told = []

    def source(self):
        return source(self.here.path, self.layout.home)

    def push(self, *ignored):
        with held(self.layout, "api") as place:
            return push(
                self.programs, self.layout, place, self.reach, self.source(),
                ignored=ignored, tell=self.told.append,
            )  # fmt: skip

    def pull(self, *, merge=False, **more):
        with held(self.layout, "api") as place:
            return pull(
                self.programs, self.layout, place, self.reach, self.source(),
                merging=merge, tell=self.told.append, **more,
            )  # fmt: skip

    def state(self):
        with held(self.layout, "api") as place:
            return place.load("", "git")


@pytest.fixture
def bench(layout, tmp_path):
    return Bench(layout, tmp_path)


@pytest.fixture
def started(bench):
    """A repository with a commit, and in the box what it has."""
    bench.here.init().put("a", "a\n").put("d/b", "b\n").commit("first")
    bench.push()
    return bench


class Plain(Bench):
    """The same, for work that is in no repository."""

    def __init__(self, layout, tmp_path):
        super().__init__(layout, tmp_path)
        os.mkdir(self.here.path)

    def push(self, *ignored):
        with held(self.layout, "api") as place:
            return plain.push(self.programs, place, self.reach, self.here.path, self.told.append)

    def pull(self, **more):
        with held(self.layout, "api") as place:
            return plain.pull(self.programs, place, self.reach, self.here.path, self.told.append)


@pytest.fixture
def files(layout, tmp_path):
    """Files in no repository, which the box has too."""
    bench = Plain(layout, tmp_path)
    bench.here.put("a", "a\n").put("d/b", "b\n").put("run", "x", 0o755)
    os.symlink("a", f"{bench.here.path}/link")
    os.mkdir(f"{bench.here.path}/empty")
    bench.push()
    return bench


def tree_of(side):
    """Return all that lies on a side: mode, and what is in it."""
    found: dict[bytes, object] = {}
    for parent, below, names in os.walk(os.fsencode(side.path)):
        for name in (*below, *names):
            path = os.path.join(parent, name)
            shown = os.path.relpath(path, os.fsencode(side.path))
            if os.path.islink(path):
                found[shown] = os.readlink(path)
            elif os.path.isdir(path):
                found[shown] = os.stat(path).st_mode & 0o777
            else:
                with open(path, "rb") as file:
                    found[shown] = (os.stat(path).st_mode & 0o777, file.read())
    return found
