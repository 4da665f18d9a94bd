"""What is brought from a home into boxes: those that run, those that are stopped, those to be."""

import contextlib
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from containai.errors import BoxNotFoundError, CopyError, UsageError
from containai.sync import manifest
from harness.site import Site, refused
from harness.space import MakeSpace, Space
from harness.waiting import until

SETTINGS = {"model": "opus", "env": {"A": "b"}}


def fill(home: Path) -> None:
    """Write a file for each row of the manifest."""
    for row in manifest.rows():
        path = home / row.path
        path = path / "own" if row.kind is manifest.Kind.DIRECTORY else path
        path.parent.mkdir(parents=True, exist_ok=True)
        text = '{"key": "value", "theme": "dark"}' if path.suffix == ".json" else 'key = "v"\n'
        path.write_text("[user]\nname = Jo\nemail = jo@x\n" if row.whose == "git" else text)
    (home / ".claude/settings.json").write_text(json.dumps(SETTINGS))
    (home / ".claude/.credentials.json").write_text('{"claudeAiOauth": {"refreshToken": "r"}}')
    with open(home / ".gitconfig", "a", encoding="utf-8") as file:
        file.write("[credential]\nhelper = store\n[alias]\nst = status\n")


@pytest.fixture(scope="module")
def filled(site: Site) -> Iterator[Path]:
    """A home with all of it, beside that of the site."""
    home = Path(site.root) / "filled"
    home.mkdir()
    fill(home)
    yield home
    shutil.rmtree(home)


@pytest.fixture
def at_home(site: Site, filled: Path) -> Iterator[None]:
    """Have some of it in the user's own home."""
    names = (".claude", ".gitconfig")
    shutil.copytree(filled / ".claude", Path(site.home) / ".claude")
    shutil.copy(filled / ".gitconfig", Path(site.home) / ".gitconfig")
    yield
    for name in names:
        path = Path(site.home) / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture(scope="module")
def box(make_lasting: MakeSpace) -> Space:
    """A box of these tests' own, which runs."""
    space = make_lasting()
    space.run("true")
    return space


@contextlib.contextmanager
def with_setting(site: Site, how: str) -> Iterator[None]:
    site.cai("config", "set", "import.auto", how)
    try:
        yield
    finally:
        site.cai("config", "unset", "import.auto")


@contextlib.contextmanager
def at_terminal(site: Site, *words: str) -> Iterator[tuple[IO[bytes], Callable[[], bytes]]]:
    """Run cai at a terminal of its own; give what is typed there, and what is seen so far."""
    command = shlex.join([sys.executable, "-m", "containai", *words])
    pipe = subprocess.PIPE
    argv = ["script", "-qec", command, "/dev/null"]
    child = subprocess.Popen(argv, env=site.environment, stdin=pipe, stdout=pipe)
    assert child.stdin is not None
    assert child.stdout is not None
    os.set_blocking(child.stdout.fileno(), False)
    seen = b""

    def said() -> bytes:
        nonlocal seen
        seen += child.stdout.read() or b""
        return seen

    try:
        yield child.stdin, said
        assert child.wait(60) == 0, said()
    finally:
        child.kill()
        child.communicate()


def test_every_row_comes_into_a_running_box_at_once(site, box, filled):
    done = site.cai("import", "--json", "--from", str(filled), box.path)
    value = json.loads(done.stdout)
    assert (value["changed"], value["live"], value["failed"]) == (True, True, [])
    brought = {each["path"] for each in value["files"]}
    rows = [row for row in manifest.rows() if not row.stays]
    missing = [row.path for row in rows if not any(f"{p}/".startswith(row.path) for p in brought)]
    assert missing == [".claude/.credentials.json"]
    # In the home, whatever leads there, and for the agent's user alone.
    paths = [f"/home/agent/{path}" for path in sorted(brought)]
    seen = box.run("stat", "-Lc", "%a %U", *paths).stdout.decode().splitlines()
    assert seen == ["600 agent"] * len(brought)
    assert box.sh("stat -Lc %a ~/.claude ~/.codex ~/.config/gh").split() == ["700"] * 3
    assert json.loads(box.sh("cat ~/.claude/settings.json")) == SETTINGS
    said = box.sh("cd /tmp; git config user.name; git st --help; git config --list").splitlines()
    assert said[0] == "Jo"
    assert not any("credential" in line for line in said)


def test_what_is_there_is_kept_and_the_box_keeps_its_own(site, box, filled):
    box.sh(
        'echo \'{"projects": {"x": 1}}\' >~/.claude.json.new; mv ~/.claude.json.new ~/.claude.json;'
        "echo own >~/.vimrc; mkdir -p ~/.claude/skills/mine; echo mine >~/.claude/skills/mine/x"
    )
    only = ("--include", ".claude.json", "--include", ".vimrc", "--include", ".claude")
    site.cai("import", "--from", str(filled), *only, box.path)
    assert json.loads(box.sh("cat ~/.claude.json")) == {"projects": {"x": 1}, "theme": "dark"}
    assert box.sh("readlink ~/.claude.json") == "/mnt/agent-data/.claude.json"
    assert box.sh("cat /mnt/agent-data/before-import/.vimrc ~/.claude/skills/mine/x") == "own\nmine"
    again = json.loads(site.cai("import", "--json", "--from", str(filled), *only, box.path).stdout)
    assert not again["changed"]


def test_a_stopped_box_and_one_that_is_yet_to_be_made(site, box, make_space, filled):
    site.cai("stop", box.path)
    box_to_be = make_space("to-be")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as made:
        made.add(filled / ".claude", ".claude")
    archive = filled / "archive.tar.gz"
    archive.write_bytes(out.getvalue())
    for space in (box, box_to_be):
        words = ("--from", str(archive), "--with-rotating", space.path)
        dry = json.loads(site.cai("import", "--dry-run", "--json", *words).stdout)
        value = json.loads(site.cai("import", "--json", *words).stdout)
        assert [each["path"] for each in dry["files"]] == [each["path"] for each in value["files"]]
        assert not dry["changed"]
        assert not value["live"]
        assert "refreshToken" in space.sh("cat ~/.claude/.credentials.json")
        assert space.sh("stat -c %a ~/.claude/.credentials.json") == "600"


def test_the_users_own_home(site, make_space, at_home):
    space = make_space()
    env = {"CONTAINAI_IMPORT_AUTO": "always"}
    # Nobody is at a terminal to be asked, and a variable does not say it.
    assert space.run("sh", "-c", "ls -A ~/.claude; git config user.email", env=env).stdout == (
        b"jo@x\n"
    )
    # What an agent makes links to is not read.
    secret = Path(site.home) / "secret"
    secret.write_text("secret")
    os.symlink(secret, f"{space.path}/rc")
    os.symlink(f"{space.path}/rc", f"{site.home}/.vimrc")
    try:
        value = json.loads(site.cai("import", "--json", "--no-secrets", space.path).stdout)
    finally:
        os.unlink(f"{site.home}/.vimrc")
        secret.unlink()
    left = {each["path"]: each["why"] for each in value["left"]}
    assert "workspace" in left[".vimrc"]
    assert left[".claude/.credentials.json"] == "a login"
    assert json.loads(space.sh("cat ~/.claude/settings.json")) == {"model": "opus"}


def test_it_is_offered_with_the_first_box(site, make_space, at_home):
    space = make_space()
    words = ("run", *space.force, space.path, "--", "cat", "/home/agent/.claude/settings.json")
    with at_terminal(site, *words) as (typed, said):
        until(lambda: b"into this box (claude, git: " in said())
        typed.write(b"y\n")
        typed.flush()
        until(lambda: b"cai: brought" in said() and b"opus" in said())
    other = make_space("other")
    with with_setting(site, "always"):
        assert b"brought claude, git" in other.run("true").stderr
        assert b"brought" not in other.run("true").stderr
        shown = site.cai("run", "--dry-run", *other.force, other.path, "--", "true").stdout
        assert b"import.auto" not in shown


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--from", "/nowhere"], UsageError),
        (["--from", "/dev/null"], CopyError),
        (["--from", "/etc/passwd"], CopyError),
        (["--name", "nobodys"], BoxNotFoundError),
    ],
)
def test_bad_input(site, shared, words, error):
    path = [] if "--name" in words else [shared.path]
    refused(site.cai("import", *words, *path, check=False), error)


@pytest.mark.parametrize("words", [["--include", "/etc"], ["--exclude", "../x"], ["--exclude", ""]])
def test_patterns_that_are_none(site, shared, words):
    done = site.cai("import", *words, shared.path, check=False)
    assert done.returncode == UsageError.exit_code
    assert b"a path below the home" in done.stderr.splitlines()[0]


def test_a_source_that_an_agent_can_swap(site, shared):
    link = Path(shared.path) / "backup"
    link.symlink_to(site.home)
    try:
        refused(site.cai("import", "--from", str(link), shared.path, check=False), CopyError)
        refused(site.cai("import", "--from", f"{link}/.ssh", shared.path, check=False), CopyError)
    finally:
        link.unlink()
