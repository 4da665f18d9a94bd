"""Binds of a box that lie in one another: staged as one tree."""

import os

import pytest

from containai.runtime import nested
from containai.runtime.errors import RuntimeRefusal


def bind(source, target, *options):
    return {
        "type": "bind",
        "source": source,
        "destination": target,
        "options": [*options, "rprivate"],
    }


@pytest.fixture
def moved(monkeypatch):
    made = []
    monkeypatch.setattr(nested, "_move", lambda *words: made.append(words))
    return made


def place(mount):
    return f"/stage{mount['source']}"


def test_binds_beside_one_another_stay_as_they_are(moved):
    mounts = [bind("/a", "/x", "rbind"), {"type": "tmpfs", "destination": "/run"}]
    mounts.append(bind("/b", "/xy", "rbind", "ro"))
    seen = nested.staged(mounts, place)
    assert seen == [
        mounts[0] | {"source": "/stage/a"},
        mounts[1],
        mounts[2] | {"source": "/stage/b"},
    ]
    assert moved == []


def test_one_in_another_is_moved_there_and_comes_along(moved):
    mounts = [
        bind("/r", "/r", "bind", "ro", "rro"),
        bind("/r/refs", "/r/refs", "rbind"),
        bind("/o", "/r/refs/x", "rbind", "ro"),
    ]
    os_options = ["rbind", "ro", "rprivate"]
    assert nested.is_gone(mounts[1], mounts[0])
    mounts[1]["source"] = "/elsewhere"
    assert nested.staged(mounts, place) == [
        mounts[0] | {"source": "/stage/r", "options": os_options}
    ]
    assert moved == [
        ("/stage/elsewhere", "/stage/r", "refs", "/r/refs"),
        ("/stage/o", "/stage/r/refs", "x", "/r/refs/x"),
    ]


def test_what_holds_a_part_as_it_is_goes_with_it(moved, tmp_path):
    part = tmp_path / "hooks"
    mounts = [bind(str(tmp_path), "/r"), bind(str(part), "/r/hooks", "ro")]
    assert len(nested.staged(mounts, place)) == 1
    assert moved == []
    part.mkdir()
    nested.staged(mounts, place)
    assert len(moved) == 1


def test_nothing_is_mounted_through_a_link(tmp_path):
    (tmp_path / "link").symlink_to("/etc")
    for part in ("link", "link/x", "missing", "../x"):
        with pytest.raises(RuntimeRefusal, match="bind target /r/x: cannot be mounted on"):
            nested._move(os.devnull, str(tmp_path), part, "/r/x")
