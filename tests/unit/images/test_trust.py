"""Which Dockerfiles are trusted: kept where only their user writes."""

import os

import pytest

from containai.errors import ContainAIError
from containai.images import trust
from containai.images.trust import Trusted

ONE = Trusted("/srv/one", "FROM base\n")


@pytest.fixture
def mine(layout):
    layout.uid = os.getuid()
    return layout


def test_one_is_kept_and_forgotten(mine):
    assert (trust.find(mine, ONE.workspace), trust.every(mine)) == (None, [])
    trust.keep(mine, ONE)
    trust.keep(mine, Trusted("/srv/other", "FROM full\n"))
    assert trust.find(mine, ONE.workspace) == ONE
    assert [each.workspace for each in trust.every(mine)] == ["/srv/one", "/srv/other"]
    trust.forget(mine, ONE.workspace)
    assert trust.find(mine, ONE.workspace) is None
    trust.forget(mine, ONE.workspace)


def test_another_takes_its_place(mine):
    trust.keep(mine, ONE)
    other = ONE._replace(text="FROM full\n")
    trust.keep(mine, other)
    assert trust.every(mine) == [other]
    assert other.sha256 != ONE.sha256


def test_nobody_else_can_write_it(mine):
    before = os.umask(0)
    try:
        trust.keep(mine, ONE)
    finally:
        os.umask(before)
    (name,) = os.listdir(mine.trusted)
    for path, mode in ((mine.config_dir, 0o700), (mine.trusted, 0o700)):
        assert os.stat(path).st_mode & 0o777 == mode
    assert os.stat(os.path.join(mine.trusted, name)).st_mode & 0o777 == 0o600


def test_a_link_is_no_place_for_it(mine, tmp_path):
    os.makedirs(mine.config_dir, 0o700)
    os.symlink(tmp_path, mine.trusted)
    with pytest.raises(ContainAIError, match="not a directory of yours"):
        trust.keep(mine, ONE)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"workspace": "/srv/one"}', "[" * 100_000])
def test_what_is_damaged_is_trust_in_nothing(mine, text):
    trust.keep(mine, ONE)
    (name,) = os.listdir(mine.trusted)
    with open(os.path.join(mine.trusted, name), "w", encoding="utf-8") as file:
        file.write(text)
    assert (trust.find(mine, ONE.workspace), trust.every(mine)) == (None, [])


def test_a_file_of_another_workspace_is_not_taken_for_it(mine):
    trust.keep(mine, ONE)
    (name,) = os.listdir(mine.trusted)
    other = ONE._replace(workspace="/srv/other")
    trust.keep(mine, other)
    (second,) = set(os.listdir(mine.trusted)) - {name}
    os.rename(os.path.join(mine.trusted, name), os.path.join(mine.trusted, second))
    assert trust.find(mine, other.workspace) is None
