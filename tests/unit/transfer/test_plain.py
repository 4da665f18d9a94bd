"""Files that are in no repository: out and back, each side compared with the last exchange."""

import json
import os

import pytest

from containai.errors import ContainAIError, CopyError
from containai.host.below import DIRECTORY
from containai.transfer import facts, plain, scan
from containai.transfer.count import Unfetched
from containai.transfer.facts import Comparison, Facts, compare, from_box
from containai.transfer.state import State, held
from unit.transfer.conftest import Plain, tree_of


def count(bench):
    with held(bench.layout, "api") as place:
        return plain.unfetched(bench.programs, place, bench.reach)


def test_all_goes_and_news_too(files):
    assert tree_of(files.box) == tree_of(files.here)
    assert sum(files.told) > 0
    here = files.here
    here.put("a", "2\n").put(b"caf\xe9\n", "n").put("n/e/w", "w", 0o600)
    here.remove("run")
    here.remove("link")
    os.rmdir(f"{here.path}/empty")
    os.chmod(f"{here.path}/d", 0o700)
    done = files.push()
    assert tree_of(files.box) == tree_of(here)
    assert (done.put, done.gone, done.left_out) == (6, 3, ())
    assert files.push().put == 0


def test_news_of_the_box_come_back(files):
    box = files.box
    box.put("a", "2\n").put(b"caf\xe9", "n").put("n/e/w", "w", 0o755).remove("run")
    os.mkdir(f"{box.path}/made")
    os.symlink("../a", f"{box.path}/d/link")
    files.here.put("mine", "m")
    assert count(files) == Unfetched(changed=8)
    done = files.pull()
    assert (done.put, done.gone, done.left_out) == (7, 1, ())
    expected = tree_of(box)
    expected[b"mine"] = (0o644, b"m")
    assert tree_of(files.here) == expected
    assert not count(files).is_any
    files.push()
    assert tree_of(box) == tree_of(files.here)


def test_kinds_that_became_others(files):
    box = files.box
    box.remove("a")
    box.put("a/file", "x")
    box.remove("d/b")
    os.rmdir(f"{box.path}/d")
    box.put("d", "file")
    files.pull()
    assert tree_of(files.here) == tree_of(box)
    here = files.here
    here.remove("d")
    here.put("d/again", "x").remove("a/file")
    os.rmdir(f"{here.path}/a")
    here.put("a", "file")
    files.push()
    assert tree_of(files.here) == tree_of(box)


@pytest.mark.parametrize("way", ["push", "pull"])
def test_both_changed_the_same(files, way):
    files.here.put("a", "mine\n").put("only here", "x").put("both", "same")
    files.box.put("a", "box\n").put("only there", "x").put("both", "same")
    files.here.remove("run")
    files.box.put("run", "changed", 0o755)
    before = tree_of(files.here), tree_of(files.box)
    with pytest.raises(CopyError, match="different ways") as raised:
        getattr(files, way)()
    assert (tree_of(files.here), tree_of(files.box)) == before
    assert "\n  a\n  run" in str(raised.value)
    assert "both" not in str(raised.value).partition("\n")[2]


@pytest.mark.parametrize(
    ("here", "there", "both"),
    [
        ({"x": "f"}, {"x": "d", "x/y": "f"}, ("x",)),
        ({"x": "d", "x/y": "f"}, {"x": "l"}, ("x",)),
        ({"x": "d", "x/a": "f"}, {"x": "d", "x/b": "f"}, ()),
    ],
)
def test_files_in_the_way_of_directories(here, there, both):
    sides = [{name: Facts(kind) for name, kind in side.items()} for side in (here, there)]
    assert compare({}, *sides).both == both


def test_deleted_directory_with_something_new_of_the_other():
    base = {"d": Facts("d"), "d/x": Facts("f")}
    there = base | {"d/y": Facts("f")}
    assert compare(base, {}, there) == Comparison(("d", "d/x"), ("d/y",), ())


def test_git_never_comes_back(files):
    box = files.box
    for name in (".git/config", "d/.GIT/hooks/x", "e/git~1", ".git /x"):
        box.put(name, "[core]\nfsmonitor = touch /tmp/x\n")
    for name in ("HEAD", "objects/x", "refs/x", "config"):
        box.put(f"bare/{name}", "x")
    with pytest.raises(CopyError, match="is a git repository, and the one here is none"):
        files.pull()
    box.git("init", "-q", "x")
    os.rename(f"{box.path}/.git", f"{box.path}/x/.git/moved")
    done = files.pull()
    names = {each.name for each in done.left_out}
    assert {"e/git~1", ".git /x", "bare/HEAD", "bare/objects/x"} <= names
    for name in (".git", "x/.git", "d/.GIT", "e/git~1", ".git ", "bare/HEAD"):
        assert not files.here.has(name)


def test_links_and_names_that_are_refused(files):
    box = files.box
    os.symlink("/etc/passwd", f"{box.path}/out")
    os.symlink("../..", f"{box.path}/d/up")
    box.put("x\x1b[2J", "x").put("fine", "x")
    done = files.pull()
    assert {each.name for each in done.left_out} == {"out", "d/up", "x\\x1b[2J"}
    assert files.here.has("fine")
    assert not files.here.has("out")
    assert not files.here.has("x\x1b[2J")


def lying(files, listed, archive):
    """Have the box answer what we say."""
    (files.box_home / "listed").write_text(listed)
    (files.box_home / "archive").write_bytes(archive)
    files.ssh.write_text(
        f"#!/bin/sh\ncd {files.box_home}\n"
        'case $1 in *"files.py list"*) cat listed;; *"files.py give"*) cat archive;; esac\n'
    )


@pytest.mark.parametrize(
    "listed",
    [
        "",
        "[]\nmore",
        '["../x", "f", 420, 1, "", ""]\n[]',
        '["/etc/x", "f", 420, 1, "", ""]\n[]',
        '["a//b", "f", 420, 1, "", ""]\n[]',
        '["a", "f", 4095, 1, "", ""]\n[]',
        '["a", "f", 420, -1, "", ""]\n[]',
        '["a", "x", 420, 1, "", ""]\n[]',
        '["a", "f"]\n[]',
        '{"a": 1}\n[]',
        "[[]]\n[]",
        '["a\\ud800", "f", 420, 1, "", ""]\n[]',
        "[" * 100_000 + "\n[]",
    ],
)
def test_box_that_answers_something_else(listed):
    with pytest.raises(CopyError, match="something else"):
        from_box(listed)


def test_box_that_sends_what_nobody_asked_for(files, tmp_path):
    other = tmp_path / "sent"
    for name in ("asked", "evil", ".bashrc"):
        (tmp_path / name).write_text("12345")
    names = [["asked", "f", 420, 5, "", ""]]
    listed = [json.dumps([n, *f]) for n, f in plain_facts(files).items()]
    for sent in ("evil", "../.bashrc", "asked"):
        other.write_bytes(archive_of((sent, b"12345" if sent != "asked" else b"123456")))
        lying(files, "\n".join([*listed, *map(json.dumps, names), "[]"]), other.read_bytes())
        with pytest.raises(CopyError, match="something else than"):
            files.pull()
    assert set(os.listdir(files.here.path)) == {"a", "d", "run", "link", "empty"}


def plain_facts(files):
    with held(files.layout, "api") as place:
        return scan.load(place.manifest).base


def archive_of(*members):
    import io
    import tarfile

    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def test_file_that_changes_meanwhile_here(files, monkeypatch):
    files.box.put("a", "box\n")
    real = plain._refused

    def changing(sides):
        files.here.put("a", "just now\n")
        return real(sides)

    monkeypatch.setattr(plain, "_refused", changing)
    with pytest.raises(CopyError, match="is being changed"):
        files.pull()
    assert files.here.get("a") == "just now\n"


def test_file_that_changes_meanwhile_there(files, monkeypatch):
    files.here.put("a", "mine\n")
    real = plain._give

    def changing(*args):
        files.box.put("a", "box, just now\n")
        return real(*args)

    monkeypatch.setattr(plain, "_give", changing)
    with pytest.raises(CopyError, match="are being changed"):
        files.push()
    assert files.box.get("a") == "box, just now\n"


@pytest.mark.parametrize("kept", [0, 300, 4000])
@pytest.mark.parametrize("way", ["push", "pull"])
def test_connection_that_is_cut(files, way, kept):
    side = files.here if way == "push" else files.box
    side.put("a", "2\n").put("big", os.urandom(100_000)).put("d/c", "c")
    side.remove("run")
    whole = files.ssh.read_text()
    cut = f'head -c {kept} | sh -c "$1"' if way == "push" else f'sh -c "$1" | head -c {kept}'
    files.ssh.write_text(
        f"#!/bin/sh\ncd {files.box_home}\nexport HOME={files.box_home}\n"
        f'case $1 in *take|*give) {cut}; exit 255;; esac\nexec sh -c "$1"\n'
    )
    with pytest.raises(ContainAIError):
        getattr(files, way)()
    other = files.box if way == "push" else files.here
    assert other.get("a") in ("a\n", "2\n")
    files.ssh.write_text(whole)
    getattr(files, way)()
    assert tree_of(files.here) == tree_of(files.box)
    assert not any(name.startswith(b".cai") for name in tree_of(files.box))


def test_a_first_push_that_was_cut_is_no_exchange(layout, tmp_path):
    bench = Plain(layout, tmp_path)
    bench.here.put("a", "a\n").put("d/b", "b\n")
    whole = bench.ssh.read_text()
    bench.ssh.write_text("#!/bin/sh\nexit 255\n")
    with pytest.raises(ContainAIError):
        bench.push()
    # Else who enters the box takes it for filled (flows/away_work.py).
    assert bench.state() == State("", "git")
    bench.ssh.write_text(whole)
    bench.push()
    assert bench.state() == State(bench.here.path, "files")
    assert tree_of(bench.box) == tree_of(bench.here)


def test_only_changed_files_are_read_again(files, monkeypatch):
    read = []
    real = scan._sum

    def noting(tree, path):
        read.append(path)
        return real(tree, path)

    monkeypatch.setattr(scan, "_sum", noting)
    files.here.put("d/b", "other\n")
    files.push()
    assert read == [b"d/b"]


def test_pipes_and_repositories_are_said(files):
    os.mkfifo(f"{files.here.path}/pipe")
    files.here.put("sub/.git/config", "x").put("sub/code", "x")
    assert {each.name for each in files.push().left_out} == {"pipe", "sub/.git"}
    assert not files.box.has("sub/.git")
    assert files.box.has("sub/code")


def test_another_workspace(files, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    with held(files.layout, "api") as place, pytest.raises(CopyError, match="has the work of"):
        plain.push(files.programs, place, files.reach, str(other), lambda _: None)
    assert os.open(other, DIRECTORY) > 0
    assert facts.agreed({}, {}, {}) == {}
