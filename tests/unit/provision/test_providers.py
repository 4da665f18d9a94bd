import hashlib
import os

import pytest

from containai.errors import ContainAIError, UnsupportedError
from containai.host import download
from containai.provision import providers
from containai.work.actions import Fetch, Run, WriteFile


@pytest.fixture
def machine(host, monkeypatch):
    """Return a machine without Docker's packages that has a way to Docker's archive."""
    monkeypatch.setattr(download, "answers", lambda url, timeout: True)
    monkeypatch.setattr(providers, "_sources", list)
    return host


def test_auto_takes_the_first_that_can_be_reached(machine, monkeypatch):
    assert providers.choose(machine, "auto") is providers.DOCKER_CE
    machine.release = {"ID": "arch"}
    assert providers.choose(machine, "auto") is providers.DISTRO
    machine.release = {"ID": "ubuntu", "VERSION_CODENAME": "noble"}
    assert providers.choose(machine, "auto") is providers.DOCKER_CE
    asked = []
    monkeypatch.setattr(download, "answers", lambda url, timeout: asked.append(url))
    assert providers.choose(machine, "auto") is providers.DISTRO
    assert asked == [f"{providers.ARCHIVE}/ubuntu/dists/noble/Release"]


@pytest.mark.parametrize("package", ["docker.io", "containerd", "runc", "docker-cli"])
def test_nothing_is_pushed_out(machine, package):
    machine.answer("dpkg-query", "--show", out=f"{package} ii \n")
    assert providers.choose(machine, "auto") is providers.DISTRO
    assert providers.choose(machine, "distro") is providers.DISTRO
    with pytest.raises(UnsupportedError, match=package):
        providers.choose(machine, "docker-ce")


def test_docker_ce_for_no_release(machine):
    machine.release = {"ID": "arch"}
    with pytest.raises(UnsupportedError, match="no packages"):
        providers.choose(machine, "docker-ce")


def test_archive_is_added_with_its_key_for_it_alone(machine, layout):
    key, place, sources = providers.add_archive(machine)
    assert isinstance(key, Fetch)
    assert providers.KEY_SHA256 in key.describe()
    keyring = f"{layout.root}/etc/apt/keyrings/containai-docker.asc"
    assert place == Run(["install", "-D", "-m", "644", key.path, keyring])
    assert sources == WriteFile(
        f"{layout.root}/etc/apt/sources.list.d/containai-docker.sources",
        "# Written by cai.\nTypes: deb\nURIs: https://download.docker.com/linux/debian\n"
        f"Suites: trixie\nComponents: stable\nSigned-By: {keyring}\n",
    )


def test_archive_that_is_there_is_left_alone(machine, monkeypatch, tmp_path):
    theirs = tmp_path / "docker.list"
    theirs.write_text("deb [signed-by=/k] https://download.docker.com/linux/debian trixie stable\n")
    monkeypatch.setattr(providers, "_sources", lambda: [str(theirs)])
    assert providers.add_archive(machine) == []


@pytest.fixture
def packages(tmp_path):
    """Return a directory with two packages, and the line for each in SHA256SUMS."""
    lines = []
    for name in ("a_1.0_amd64.deb", "b_2%3a1~x+y_all.deb"):
        (tmp_path / name).write_text(name)
        lines.append(f"{hashlib.sha256(name.encode()).hexdigest()}  {name}\n")
    return tmp_path, lines


def test_offline(host, packages):
    directory, lines = packages
    (directory / "SHA256SUMS").write_text("".join(lines))
    action = providers.offline(host, str(directory))
    assert isinstance(action, Run)
    assert action.root
    words = " ".join(action.argv)
    assert all(" ".join(line.split()) in words for line in lines)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda lines: None, "SHA256SUMS is missing"),
        (lambda lines: lines[:1], "not listed: b_2"),
        (lambda lines: [*lines, "0" * 64 + "  c.deb\n"], "listed, but not there: c.deb"),
        (lambda lines: ["nonsense\n"], "no line of a SHA256SUMS"),
        (lambda lines: [lines[0].replace("a_", "../a_"), lines[1]], "no line of a SHA256SUMS"),
    ],
)
def test_offline_directory_that_is_not_whole(host, packages, edit, said):
    directory, lines = packages
    if (text := edit(lines)) is not None:
        (directory / "SHA256SUMS").write_text("".join(text))
    with pytest.raises(ContainAIError, match=said):
        providers.offline(host, str(directory))


def test_offline_directory_without_packages(host, tmp_path):
    directory = tmp_path / "packages"
    directory.mkdir()
    (directory / "SHA256SUMS").write_text("")
    with pytest.raises(ContainAIError, match="it has no package"):
        providers.offline(host, str(directory))
    assert os.listdir(directory) == ["SHA256SUMS"]
