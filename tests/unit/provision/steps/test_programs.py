import os

import pytest

from containai.errors import UnsupportedError
from containai.provision import providers
from containai.provision.steps import programs
from containai.provision.steps.programs import Programs
from containai.work.actions import Finding


@pytest.fixture
def complete(host, monkeypatch):
    """A machine that has what is wanted and not needed."""
    monkeypatch.setattr(programs.lxcfs, "missing", str)
    monkeypatch.setattr(programs.resolver, "is_there", lambda: True)
    return host


def test_another_distribution_is_told_what_it_needs(complete):
    complete.missing = {"dockerd", "nft", "apt-get"}
    found = Programs().check(complete)
    assert found[:2] == (False, "missing: dockerd, nft")
    with pytest.raises(UnsupportedError, match=r"dockerd, nft: missing, .* not Debian's") as caught:
        Programs().plan(complete, found)
    assert "package manager" in caught.value.hint


def test_docker_of_a_snap_is_named_and_left_alone(complete, monkeypatch):
    complete.missing = {"dockerd"}
    there = os.path.exists
    monkeypatch.setattr(os.path, "exists", lambda path: path == "/snap/bin/docker" or there(path))
    found = Programs().check(complete)
    assert "Docker from snap is there" in found.seen
    monkeypatch.setattr(providers, "choose", lambda host, name: providers.DISTRO)
    [install] = Programs().plan(complete, found)
    assert install.title == "install docker.io"


def test_what_comes_from_the_distribution_alone_needs_no_archive_of_dockers(complete, monkeypatch):
    monkeypatch.delattr(providers, "choose")
    missing = Finding(False, "", data=["nft", "ssh-keygen"])
    [install] = Programs("docker-ce").plan(complete, missing)
    assert install.title == "install nftables openssh-client"
