import os

import pytest

from containai.errors import UnsupportedError
from containai.provision import providers
from containai.provision.steps import programs
from containai.provision.steps.programs import Programs
from containai.work.actions import Finding


@pytest.fixture
def without(monkeypatch):
    """Return a function that takes programs away from this machine."""

    def take(*names):
        there = lambda name, **_: None if name in names else f"/usr/bin/{name}"  # noqa: E731
        monkeypatch.setattr(programs.proc, "which", there)
        monkeypatch.setattr(programs.packages, "has_apt", lambda: "apt-get" not in names)
        monkeypatch.setattr(programs.lxcfs, "missing", str)

    return take


def test_another_distribution_is_told_what_it_needs(without, layout):
    without("dockerd", "nft", "apt-get")
    found = Programs().check(layout)
    assert found[:2] == (False, "missing: dockerd, nft")
    with pytest.raises(UnsupportedError, match=r"dockerd, nft: missing, .* not Debian's") as caught:
        Programs().plan(layout, found)
    assert "package manager" in caught.value.hint


def test_docker_of_a_snap_is_named_and_left_alone(without, layout, monkeypatch):
    without("dockerd")
    there = os.path.exists
    monkeypatch.setattr(os.path, "exists", lambda path: path == "/snap/bin/docker" or there(path))
    found = Programs().check(layout)
    assert "Docker from snap is there" in found.seen
    monkeypatch.setattr(providers, "choose", lambda name: providers.DISTRO)
    [install] = Programs().plan(layout, found)
    assert install.title == "install docker.io"


def test_what_comes_from_the_distribution_alone_needs_no_archive_of_dockers(
    without, layout, monkeypatch
):
    without()
    monkeypatch.delattr(providers, "choose")
    missing = Finding(False, "", data=["nft", "ssh-keygen"])
    [install] = Programs("docker-ce").plan(layout, missing)
    assert install.title == "install nftables openssh-client"
