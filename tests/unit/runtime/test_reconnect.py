"""Children that give boxes the files of another lxcfs, and that are left behind."""

import os
import time

import pytest

from containai.runtime import reconnect
from containai.runtime.reconnect import Reconnector
from harness.waiting import until

BOX = 7


@pytest.fixture
def slow(monkeypatch, tmp_path):
    """A reconnector whose children take a moment longer than it waits, and leave a file then."""

    def child(self, namespaces, live):
        time.sleep(0.2)
        (tmp_path / str(live)).touch()
        os._exit(0)

    monkeypatch.setattr(reconnect, "TIMEOUT", 0.01)
    monkeypatch.setattr(reconnect, "boxes", lambda own: {BOX: []})
    monkeypatch.setattr(Reconnector, "_child", child)
    return Reconnector("lxcfs", dict)


def test_a_child_that_is_only_slow_does_all_that_it_is_for(slow, tmp_path):
    slow.run(live=1)
    assert list(slow.held.values()) == [BOX]
    until((tmp_path / "1").exists, 10)
    slow.end()
    assert not slow.held


def test_a_child_of_before_is_ended_before_there_is_another(slow, tmp_path):
    slow.run(live=1)
    (first,) = slow.held
    slow.run(live=2)
    (second,) = slow.held
    assert second != first
    until((tmp_path / "2").exists, 10)
    slow.end()
    assert os.listdir(tmp_path) == ["2"]
