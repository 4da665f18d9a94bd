"""What tells that the network around the machine may have changed."""

import os

import pytest

from containai.host import around

FILES = (*around.BUNDLES, around.CHOSEN, around.DOCKER_DAEMON, around.APT[0])
DIRECTORIES = (*(path for path, _ in around.ANCHORS), *around.DOCKER_UNITS, around.APT[1])


@pytest.fixture
def root(tmp_path):
    for path in DIRECTORIES:
        (tmp_path / path).mkdir(parents=True)
    for path in FILES:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("before", encoding="ascii")
    return tmp_path


def seen(root, **environ):
    return around.fingerprint(str(root), str(root / "home"), str(root / "config.toml"), environ)


def test_it_stays_and_is_short(root):
    assert seen(root) == seen(root)
    assert len(seen(root)) == 8
    assert seen(root, EDITOR="vi") == seen(root)


@pytest.mark.parametrize("path", [*FILES, "config.toml", f"home/{around.DOCKER_CLIENT}"])
def test_every_file_counts(root, path):
    before = seen(root)
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text("another", encoding="ascii")
    assert seen(root) != before


@pytest.mark.parametrize("path", DIRECTORIES)
def test_what_comes_into_a_directory_counts(root, path):
    before = seen(root)
    (root / path / "new.crt").touch()
    os.utime(root / path, ns=(1, 1))  # whatever the clock's grain is
    assert seen(root) != before


@pytest.mark.parametrize("name", [*around.CERTIFICATE_VARIABLES, "http_proxy", "NO_PROXY"])
def test_every_variable_counts_and_the_file_it_names(root, name):
    path = root / "own"
    before = seen(root, **{name: str(path)})
    assert before != seen(root)
    path.touch()
    changed = seen(root, **{name: str(path)}) != before
    assert changed == (name in around.CERTIFICATE_VARIABLES)
