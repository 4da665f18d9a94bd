"""What is packed of a home, and of an archive of one."""

import contextlib
import gzip
import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from containai.errors import CopyError
from containai.host.homes import Tree
from containai.sync import gather, manifest
from containai.sync.archive import Archive
from containai.sync.choice import Choice
from containai.sync.gather import Gathered
from harness.hostile_tree import HOSTILE, archive, device, directory, hostile, link, sparse

#: A home with something of everything.
FILES = {
    ".claude/settings.json": b'{"model": "opus"}',
    ".claude/skills/one/SKILL.md": b"how",
    ".claude/skills/one/run.sh": b"#!/bin/sh\n",
    ".claude/skills/one/.git/config": b"x",
    ".claude/skills/one/node_modules/x.js": b"x",
    ".claude/projects/a.jsonl": b"history",
    ".claude/.credentials.json": b'{"claudeAiOauth": {"refreshToken": "r"}}',
    ".claude.json": b'{"theme": "dark", "projects": {}}',
    ".codex/auth.json": b'{"OPENAI_API_KEY": "sk"}',
    ".codex/skills/.system/x": b"x",
    ".gemini/oauth_creds.json": b'{"refresh_token": "r"}',
    ".gemini/gemini-credentials.json": b"x",
    ".config/gh/hosts.yml": b"github.com:\n oauth_token: gho\n",
    ".config/git/credentials": b"https://u:p@h",
    ".gitconfig": b"[user]\nname = N\n",
    ".ssh/id_ed25519": b"key",
    ".bashrc": b"x",
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    top = tmp_path / "home"
    for path, content in FILES.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_bytes(content)
    (top / ".claude/skills/one/run.sh").chmod(0o755)
    return top


def packed(home: gather.Home, **choice) -> tuple[Gathered, dict[str, tarfile.TarInfo]]:
    out = io.BytesIO()
    done = gather.gather(home, Choice(**choice), out)
    out.seek(0)
    with tarfile.open(fileobj=out) as made:
        entries = {entry.name: entry for entry in made}
    assert [item.path for item in done.items] == list(entries)
    return done, entries


def of_home(home: Path, **choice):
    return packed(Tree(str(home), os.getuid()), **choice)


BROUGHT = {
    ".claude/settings.json",
    ".claude/skills/one/SKILL.md",
    ".claude/skills/one/run.sh",
    ".claude.json",
    ".codex/auth.json",
    ".gemini/oauth_creds.json",
    ".config/gh/hosts.yml",
    ".gitconfig",
}


def test_what_is_brought_of_a_home(home):
    done, entries = of_home(home)
    assert set(entries) == BROUGHT
    assert {entry.mode for entry in entries.values()} == {0o600, 0o700}
    assert entries[".claude/skills/one/run.sh"].mode == 0o700
    left = {each.path: each.why for each in done.left}
    assert "claude setup-token" in left[".claude/.credentials.json"]
    assert "encrypted" in left[".gemini/gemini-credentials.json"]
    # Not every cache is spoken of.
    assert not any(".git/" in path or "node_modules" in path for path in left)


def test_without_logins(home):
    done, entries = of_home(home, secrets=False)
    assert BROUGHT - set(entries) == {
        ".codex/auth.json",
        ".gemini/oauth_creds.json",
        ".config/gh/hosts.yml",
    }
    assert {each.why for each in done.left if each.path == ".codex/auth.json"} == {"a login"}


def test_logins_that_rotate_if_they_are_asked_for(home):
    _, entries = of_home(home, rotating=True)
    assert set(entries) - BROUGHT == {".claude/.credentials.json"}


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ({"include": (".gitconfig",)}, {".gitconfig"}),
        (
            {"include": (".claude",), "exclude": ("*.sh",)},
            {".claude/settings.json", ".claude/skills/one/SKILL.md"},
        ),
        ({"exclude": (".c*", ".gemini")}, {".gitconfig"}),
        # What is not in the manifest is not brought by a pattern.
        ({"include": (".ssh", ".bashrc", ".config/git/credentials")}, set()),
    ],
)
def test_patterns(home, choice, names):
    assert set(of_home(home, **choice)[1]) == names


def test_every_row_is_brought(tmp_path):
    """A file for each row, with what its treatment leaves."""
    top = tmp_path / "home"
    for row in manifest.rows():
        path = top / row.path
        path = path / "file" if row.kind is manifest.Kind.DIRECTORY else path
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"key": "value"}) if path.suffix == ".json" else 'key = "value"\n'
        if row.treatment is manifest.Treatment.GIT:
            text = "[a]\nb = c\n"
        if row.path == ".claude.json":
            text = '{"theme": "dark"}'
        path.write_text(text)
    done, entries = of_home(top)
    missing = [
        row.path
        for row in manifest.rows()
        if not row.stays
        and not any(name == row.path or name.startswith(f"{row.path}/") for name in entries)
    ]
    assert missing == []
    assert {item.whose for item in done.items} == {row.whose for row in manifest.rows()}


def test_what_is_too_large(home, monkeypatch):
    with open(home / ".claude/skills/one/model", "wb") as file:
        file.truncate(1 << 40)
    done, entries = of_home(home)
    assert set(entries) == BROUGHT
    assert {each.path: each.why for each in done.left}[".claude/skills/one/model"].startswith(
        "larger"
    )
    monkeypatch.setattr(gather, "ALL", 20)
    with pytest.raises(CopyError, match="more than"):
        of_home(home)


def test_a_file_in_a_directorys_place_and_the_other_way(tmp_path):
    (tmp_path / ".gitconfig").mkdir()
    (tmp_path / ".gitconfig/x").write_bytes(b"x")
    (tmp_path / ".vim").write_bytes(b"x")
    done, entries = of_home(tmp_path)
    assert entries == {}
    assert {each.path: each.why for each in done.left} == {
        ".gitconfig/x": "no file",
        ".vim": "no directory",
    }


def in_archive(tmp_path: Path, content: bytes) -> Archive:
    (tmp_path / "archive").write_bytes(content)
    with open(tmp_path / "archive", "rb") as file:
        return Archive(file, "archive", manifest.has)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_archive_gives_what_a_home_does(home, tmp_path, pack):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        made.add(home, ".")
    done, entries = packed(in_archive(tmp_path, pack(out.getvalue())))
    expected, _ = of_home(home)
    assert set(entries) == BROUGHT
    assert {each.path for each in done.left} == {each.path for each in expected.left}
    assert entries[".claude/skills/one/run.sh"].mode == 0o700


def test_links_and_devices_of_an_archive_are_left(tmp_path):
    made = archive(
        link(".gitconfig", "/etc/passwd"),
        device(".vimrc"),
        directory(".vim"),
        link(".vim/up", "../.."),
        (".vim/up/x", b"x"),
        (".tmux.conf", b"set -g x"),
        ("../.zshrc", b"x"),
        ("/.zshrc", b"x"),
        (".nanorc\n", b"x"),
    )
    done, entries = packed(in_archive(tmp_path, made))
    assert set(entries) == {".vim/up/x", ".tmux.conf"}
    assert {each.path for each in done.left} == {".gitconfig", ".vimrc", ".vim/up"}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_writes_nothing(name, tmp_path):
    canary = tmp_path / "canary"
    canary.write_bytes(b"as it was")
    out = io.BytesIO()
    with contextlib.suppress(CopyError):
        gather.gather(in_archive(tmp_path, hostile(name, canary)), Choice(), out)
    assert canary.read_bytes() == b"as it was"
    assert {each.name for each in tmp_path.iterdir()} == {"canary", "archive"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x" * 2000,
        gzip.compress(b"x" * 2000, mtime=0),
        gzip.compress(b"y" * 4000, mtime=0)[:20],
        b"BZhx",
        b"\xfd7zXZ\0x",
    ],
)
def test_what_is_no_archive(tmp_path, content):
    with pytest.raises(CopyError, match="cannot be read"):
        in_archive(tmp_path, content)


def test_a_bomb_is_not_held(tmp_path):
    made = sparse(".vimrc", 1 << 40) + sparse(".tmux.conf", 1 << 20) + bytes(1024)
    done, entries = packed(in_archive(tmp_path, made))
    assert {each.path for each in done.left} == {".vimrc"}
    assert entries[".tmux.conf"].size == 1 << 20
