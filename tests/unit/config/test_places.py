"""What the settings of a box's places may say."""

import pytest

from containai.config import places
from containai.config.places import EXECUTED, Extra


@pytest.mark.parametrize(
    ("said", "paths"),
    [
        (True, EXECUTED), ("true", EXECUTED), (False, ()), ("false", ()), ("none", ()), ([], ()),
        (".git/hooks", (".git/hooks",)), ([".envrc", "a b/c", ".envrc"], (".envrc", "a b/c")),
    ],
)  # fmt: skip
def test_protected(said, paths):
    assert places.protected(said) == paths


@pytest.mark.parametrize(
    "said", [1, ["/etc"], ["../x"], ["a//b"], ["."], [""], ["a/../b"], [1], {"a": 1}, ["a\nb"]]
)
def test_what_is_no_path_in_a_workspace(said):
    with pytest.raises(ValueError, match="expected"):
        places.protected(said)


def test_mounts():
    said = [{"source": "/srv/d"}, {"source": "~/x", "target": "/x/", "writable": True}]
    assert places.extras(said) == (Extra("/srv/d", "/srv/d"), Extra("~/x", "/x", True))
    assert places.extras("") == ()


@pytest.mark.parametrize(
    "entry",
    [
        1, {}, {"source": 1}, {"source": "d"}, {"source": "/d", "target": "x"},
        {"source": "/d", "writable": "yes"}, {"source": "/d", "mode": "rw"}, {"source": "~/d"},
        {"source": "/d", "target": "/"}, {"source": "/d\n"}, {"source": "/d", "target": "/a\x01"},
    ],
)  # fmt: skip
def test_what_is_no_mount(entry):
    with pytest.raises(ValueError, match=" "):
        places.extras([entry])
    with pytest.raises(ValueError, match="expected"):
        places.extras({"source": "/d"})


def test_of_two_for_one_place_the_nearer_one_counts():
    first, second = (Extra("/a", "/x"), Extra("/b", "/y")), (Extra("/c", "/x", True),)
    assert places.joined(first, second) == (Extra("/c", "/x", True), Extra("/b", "/y"))
