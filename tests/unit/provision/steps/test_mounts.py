"""What was added to boxes, and what of that this machine has no more."""

import os
import shlex

import pytest

from containai.boxes import entries, mounting
from containai.boxes.box import Box, Status
from containai.boxes.places import Mount
from containai.provision.steps.mounts import Mounts
from containai.work.actions import State

BOX = Box("one", "1" * 64, "/w", 2300, os.getuid(), Status.RUNNING, "image", "")
PLACE = "/srv/it's here"


@pytest.fixture
def added(host, monkeypatch):
    """Have one box, to which things of the host were added."""
    found: list[Mount] = []
    monkeypatch.setattr(entries, "boxes", lambda engine: [BOX])
    monkeypatch.setattr(mounting, "added", lambda layout, container: tuple(found))
    return found


def test_what_is_there_and_what_is_gone(host, added, tmp_path):
    assert Mounts().check(host).seen == "none was added"
    here = tmp_path / "here"
    here.mkdir()
    added.append(Mount(str(here), PLACE, False))
    assert Mounts().check(host).seen == "1 of 1 boxes"
    here.rmdir()
    found = Mounts().check(host)
    assert (found.state, found.seen) == (State.NONE, f"one: {str(here)!r} is gone")
    assert found.hint.endswith(f"cai mount rm one {shlex.quote(PLACE)}")


@pytest.mark.parametrize(
    ("path", "is_there"), [("/none/x", False), ("/dev/null/x", False), ("/\0", False), ("/", True)]
)
def test_a_path_that_cannot_be_one(host, added, path, is_there):
    added.append(Mount(path, PLACE, False))
    assert Mounts().check(host).ok is is_there
