"""The tree of cgroups."""

import pytest

from containai.attack.inside import cgroups, look


@pytest.mark.parametrize(
    ("cgroup", "bad"),
    [
        ("0::/init.scope\n", False),
        ("2:cpu:/\n0::/\n", False),
        ("0::/system.slice/docker-0123.scope\n", True),
        ("4:memory:/docker/0123\n", True),
        ("0::/../other\n", True),
    ],
)
def test_cgroup_tree(monkeypatch, cgroup, bad):
    monkeypatch.setattr(look, "own_mounts", list)
    monkeypatch.setattr(look, "read", lambda path: cgroup)
    assert cgroups.cgroup_tree().found is bad
