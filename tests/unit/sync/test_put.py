"""What is done in a volume: each file is whole or as it was, and what was there is kept."""

import io
import json
import os
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from containai.errors import CopyError
from containai.sync import send
from containai.sync.inside import put

KEPT = {".claude.json": "file", ".claude": "directory", ".vimrc": "file"}


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    made = tmp_path / "volume"
    made.mkdir()
    return made


def packed(**files: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(text), 0o600
            made.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def done(volume: Path, archive: bytes, *, live: bool = True, check: bool = True):
    home = str(volume.parent / "home") if live else ""
    words = [str(volume), home, json.dumps(KEPT), json.dumps([".claude.json"])]
    argv = [sys.executable, "-IS", put.__file__, *words]
    ended = subprocess.run(argv, input=archive, capture_output=True, check=False)
    if not check:
        return ended
    assert ended.returncode == 0, ended.stderr
    return send.parsed(ended.stdout.decode())


def tree(top: Path) -> dict[str, str]:
    return {
        str(path.relative_to(top)): path.read_text()
        for path in sorted(top.rglob("*"))
        if path.is_file()
    }


def test_files_are_put_for_their_user_alone_and_the_home_leads_there(volume):
    said = done(volume, packed(**{".claude/a/b": "x", ".vimrc": "v"}))
    assert said == ([".claude/a/b", ".vimrc"], [], [], [])
    home = volume.parent / "home"
    assert tree(home) == {".vimrc": "v"}
    assert (home / ".claude/a/b").read_text() == "x"
    for path in volume.rglob("*"):
        assert stat.S_IMODE(path.lstat().st_mode) == (0o700 if path.is_dir() else 0o600)
    assert done(volume, packed(**{".claude/a/b": "x", ".vimrc": "v"})).same == said.new


def test_what_is_replaced_is_kept_until_the_next_time(volume):
    done(volume, packed(**{".claude/a": "1", ".claude/b": "1"}), live=False)
    (volume / ".claude/own").write_text("mine")
    said = done(volume, packed(**{".claude/a": "2", ".claude/b": "1"}), live=False)
    assert said == ([], [".claude/a"], [".claude/b"], [])
    expected = {".claude/a": "2", ".claude/b": "1", ".claude/own": "mine"}
    assert tree(volume) == expected | {"before-import/.claude/a": "1"}
    done(volume, packed(**{".claude/b": "3"}), live=False)
    assert tree(volume) == expected | {".claude/b": "3", "before-import/.claude/b": "1"}


def test_a_dictionary_keeps_what_does_not_come(volume):
    home = volume.parent / "home"
    (volume / ".claude.json").write_text('{"stale": 1}')
    # As a program leaves it that writes another file and renames it.
    (home / ".claude.json").write_text('{"projects": {"a": 1}, "theme": "light"}')
    said = done(volume, packed(**{".claude.json": '{"theme": "dark"}'}))
    assert said.replaced == [".claude.json"]
    assert json.loads((volume / ".claude.json").read_text()) == {
        "projects": {"a": 1},
        "theme": "dark",
    }
    assert os.readlink(home / ".claude.json") == str(volume / ".claude.json")
    (volume / ".claude.json").write_text("damaged")
    done(volume, packed(**{".claude.json": '{"theme": "dark"}'}))
    assert (volume / ".claude.json").read_text() == '{"theme": "dark"}'


def test_what_is_in_the_way_stays(volume):
    home = volume.parent / "home"
    (volume / ".vimrc").mkdir()
    (home / ".claude").mkdir()
    (home / ".claude/a").write_text("mine")
    said = done(volume, packed(**{".vimrc": "v", ".claude/a": "x"}))
    assert [name for name, _ in said.failed] == [".vimrc", ".claude/a"]
    assert said.new == said.replaced == []
    assert (home / ".claude/a").read_text() == "mine"


def test_links_of_the_agents_are_replaced(volume, tmp_path):
    canary = tmp_path / "canary"
    canary.write_text("as it was")
    (volume / ".vimrc").symlink_to(canary)
    done(volume, packed(**{".vimrc": "v"}))
    assert canary.read_text() == "as it was"
    assert not (volume / ".vimrc").is_symlink()


def test_what_ends_early_leaves_what_was_there(volume):
    archive = packed(**{".claude/a": "new" * 1000, ".claude/b": "new" * 1000})
    done(volume, packed(**{".claude/a": "old", ".claude/b": "old"}), live=False)
    assert done(volume, archive[:6000], live=False, check=False).returncode != 0
    assert {(volume / ".claude/a").read_text(), (volume / ".claude/b").read_text()} == {
        "old",
        "new" * 1000,
    }


@pytest.mark.parametrize(
    "said",
    [
        "",
        "[]",
        "{",
        "null",
        "[" * 100_000,
        '{"new": [1], "replaced": [], "same": [], "failed": []}',
        '{"new": [], "replaced": [], "same": [], "failed": ["x"]}',
    ],
)
def test_what_a_box_answers_is_not_believed(said):
    with pytest.raises(CopyError, match="answered something else"):
        send.parsed(said)


def test_names_that_a_box_answers_are_cut():
    said = {"new": ["a" * 10_000], "replaced": [], "same": [], "failed": [["b", "c" * 10_000]]}
    parsed = send.parsed(json.dumps(said))
    assert len(parsed.new[0]) == len(parsed.failed[0][1]) == 300
