import os

import pytest

from containai.config import values
from containai.engine import cache, daemon
from containai.engine.network import Network
from containai.provision.step import AnyStep
from containai.provision.steps.cache import Cache, DockerRegistry
from containai.provision.steps.engine import EngineFiles

NETWORK = Network("10.203.0.0/20")
HERE = "http://127.0.0.1:5000"


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def written(host, cached):
    """Return what would be written of the cache's configuration, or None."""
    found = EngineFiles(cached=cached)._wanted(host, NETWORK)
    return next((one.text for one in found if one.path == cache.path(host.layout)), None)


@pytest.mark.parametrize("wanted", [None, ""])
def test_off_unless_it_is_asked_for(layout, host, wanted):
    steps: list[AnyStep] = [DockerRegistry(wanted), Cache()]
    for step in steps:
        found = step.check(host)
        assert found.ok
        assert step.plan(host, found) == []
    assert written(host, wanted) is None


def test_where_it_is_asked_for_its_package_is_installed_but_not_started(host):
    host.missing = {"docker-registry"}
    step = DockerRegistry(HERE)
    found = step.check(host)
    assert (found.ok, found.passes) == (False, True)
    [install] = step.plan(host, found)
    assert install.argv[-1] == install.title.removeprefix("install ") == "docker-registry"
    assert "policy-rc.d" in install.describe()
    host.missing.add("apt-get")
    assert step.plan(host, found) == []


def test_who_does_not_say_leaves_it_as_it_is(layout, host):
    text = cache.text(layout, NETWORK, HERE)
    assert written(host, HERE) == text
    write(cache.path(layout), text)
    assert written(host, None) == text
    assert written(host, "") == cache.text(layout, NETWORK, "")


def test_one_that_does_not_answer_is_started(layout, host, monkeypatch):
    write(cache.path(layout), cache.text(layout, NETWORK, HERE))
    write(layout.engine_config, '{"fixed-cidr": "10.203.0.0/21"}')
    monkeypatch.setattr(host, "which", lambda name, root=False: f"/usr/bin/{name}")
    monkeypatch.setattr(daemon, "answering", lambda host: True)
    step = Cache()
    found = step.check(host)
    assert not found.ok
    [start] = step.plan(host, found)
    assert "network cache" in start.describe()
    monkeypatch.setattr(cache, "answers", lambda layout, network: True)
    assert step.check(host).seen == f"10.203.0.1:10055, of {HERE}"
    monkeypatch.setattr(daemon, "answering", lambda host: False)
    assert step.check(host).ok


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("", None),
        ("none", ""),
        (False, ""),
        ("false", ""),
        (True, values.DOCKER_HUB),
        ("true", values.DOCKER_HUB),
        (HERE, HERE),
        ("https://mirror.example.com", "https://mirror.example.com"),
    ],
)
def test_setting(said, meant):
    assert values.cached(said) == meant


@pytest.mark.parametrize(
    "wrong", ["mirror", "ftp://a", "https://a/b", "https://a\nx: y", "https://me:p@a", 7, ["true"]]
)
def test_setting_that_is_none(wrong):
    with pytest.raises(ValueError, match="expected true, none"):
        values.cached(wrong)
