import os
import stat
from types import SimpleNamespace
from typing import Any

import pytest

from containai.runtime import links


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A tree of root's, but for what `others` own and what is `open` for everybody."""
    others, open_for_all = set(), set()

    def lstat(path):
        values: list[Any] = list(os.lstat(path))
        values[stat.ST_UID] = 1000 if path in others else 0
        values[stat.ST_MODE] &= ~0o022
        values[stat.ST_MODE] |= 0o002 if path in open_for_all else 0
        return os.stat_result(values)

    monkeypatch.setattr(
        links, "os", SimpleNamespace(lstat=lstat, readlink=os.readlink, path=os.path)
    )
    base = str(tmp_path)
    for name in ("zone/utc", "srv/ws/deep", "engine/volume"):
        os.makedirs(f"{base}/{name}")
    for link, target in {
        "localtime": "zone/utc",
        "absolute": f"{base}/zone",
        "twice": "absolute/utc",
        "up": "../../../../../../../../../../etc",
        "project": "srv/ws",
        "loop": "loop",
        "srv/ws/planted": "/etc",
        "srv/ws/deep/planted": "/etc",
        "engine/volume/planted": "/etc",
    }.items():
        os.symlink(target, f"{base}/{link}")
    os.mkdir(f"{base}/shared")
    os.symlink("/etc", f"{base}/shared/planted")
    others.update({f"{base}/srv/ws"})
    open_for_all.update({f"{base}/shared"})
    return base


def resolved(base, path):
    return links.resolved(f"{base}/{path}", f"{base}/engine").removeprefix(base + "/")


@pytest.mark.parametrize(
    ("path", "real"),
    [
        ("zone/utc", "zone/utc"),
        ("localtime", "zone/utc"),
        ("absolute/utc", "zone/utc"),
        ("twice", "zone/utc"),
        ("up", "/etc"),
        ("project", "srv/ws"),
        ("project/deep", "srv/ws/deep"),
        (".//zone/./utc/", "zone/utc"),
        ("zone/utc/../../absolute", "zone"),
        ("absent/x", "absent/x"),
    ],
)
def test_links_that_root_made_are_followed(machine, path, real):
    assert resolved(machine, path) == real


@pytest.mark.parametrize(
    "path",
    [
        "srv/ws/planted",
        "srv/ws/deep/planted",
        "srv/ws/deep/../planted",
        "shared/planted",
        "engine/volume/planted",
    ],
)
def test_links_that_others_could_have_made_stay(machine, path):
    assert resolved(machine, path) == path


def test_a_link_does_not_hide_whose_directory_it_leads_into(machine):
    assert resolved(machine, "project/planted") == "srv/ws/planted"


def test_a_loop_ends(machine):
    assert resolved(machine, "loop") == "loop"


def test_a_link_of_somebody_else_in_roots_directory_stays(machine, monkeypatch):
    real = links.os.lstat

    def lstat(path):
        values = list(real(path))
        if path.endswith("/localtime"):
            values[stat.ST_UID] = 1000
        return os.stat_result(values)

    monkeypatch.setattr(links.os, "lstat", lstat)
    assert resolved(machine, "localtime") == "localtime"
