"""Whose data volumes are on disk, with Sysbox and without."""

import os

import pytest

from containai.boxes.box import Box, Status
from containai.engine import runtimes, sysbox
from containai.engine.client import Engine
from containai.provision.steps import volumes

#: The agent's id on disk where an earlier version started the box on Sysbox.
OLD = sysbox.first_ids()[0] + 1000


@pytest.mark.parametrize(
    ("owner", "has_sysbox", "is_right"),
    [
        (1000, False, True),
        (1000, True, True),
        (OLD, False, False),
        (OLD, True, True),
        (4000000, False, False),
        (4000000, True, False),
    ],
)
def test_whose_they_are(host, monkeypatch, owner, has_sysbox, is_right):
    path = f"{host.layout.engine_data}/volumes/one/_data"
    box = Box("one", "1" * 64, "/w", 2300, os.getuid(), Status.RUNNING, "i", "", data="one")
    monkeypatch.setattr(Engine, "inspect", lambda *_: {"Mountpoint": path})
    monkeypatch.setattr(volumes, "_owners", lambda *_: {path: str(owner)})
    monkeypatch.setattr(runtimes, "sysbox_program", lambda _: "/it" if has_sysbox else None)
    assert volumes.Ownership().judged(host, [box]).ok is is_right
