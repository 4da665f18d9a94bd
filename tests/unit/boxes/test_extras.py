"""What of the host a user gives boxes, looked at."""

import os

import pytest

from containai.boxes import extras
from containai.boxes.places import Mount
from containai.config.places import Extra
from containai.errors import WorkspaceError


@pytest.fixture(autouse=True)
def own(layout):
    layout.uid = os.getuid()


def checked(host, *entries):
    return extras.checked(host, entries, "/srv/api")


def refused(host, entry, match):
    with pytest.raises(WorkspaceError, match=match) as raised:
        checked(host, entry)
    assert raised.value.hint


def test_real_paths_by_depth(host, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "link").symlink_to("d")
    deep, high = Extra(f"{tmp_path}/link", "/data/x/y", True), Extra(f"{tmp_path}/d", "/data")
    assert checked(host, deep, high) == (
        Mount(f"{tmp_path}/d", "/data", writable=False),
        Mount(f"{tmp_path}/d", "/data/x/y"),
    )


def test_of_the_home(host):
    os.makedirs(f"{host.layout.home}/sets")
    assert checked(host, Extra("~/sets", "/home/agent/sets"))[0].source.endswith("/sets")


def test_what_it_may_not_be(host, tmp_path):
    layout = host.layout
    os.makedirs(layout.config_dir)
    refused(host, Extra("/nowhere", "/x"), "is not there")
    refused(host, Extra("/dev/null", "/x"), "no directory and no file")
    for source in ("/", layout.home, os.path.dirname(layout.home)):
        refused(host, Extra(source, "/x"), "home directory")
    refused(host, Extra(layout.config_dir, "/x"), "cai's own")
    (tmp_path / "a\nb").mkdir()
    (tmp_path / "link").symlink_to("a\nb")
    refused(host, Extra(f"{tmp_path}/link", "/x"), "control character")


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a directory away")
def test_another_owner(host, tmp_path):
    (tmp_path / "d").mkdir()
    os.chown(tmp_path / "d", 1234, 1234)
    refused(host, Extra(f"{tmp_path}/d", "/x"), "belongs to 1234")


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("/etc", "/etc is the box's own"), ("/usr/local/x", "/usr"), ("/home", "workspace"),
        ("/home/agent/workspace/x", "its workspace"), ("/srv/api/x", "its workspace"),
        ("/srv", "its workspace"), ("/home/agent/a/b", "at the top only"), ("/opt", "/opt"),
        ("/home/agent", "workspace"), ("/run/x", "/run"), ("/mnt/agent-data/x", "agent-data"),
    ],
)  # fmt: skip
def test_where_it_may_not_be(host, tmp_path, target, why):
    (tmp_path / "d").mkdir()
    refused(host, Extra(f"{tmp_path}/d", target), why)
