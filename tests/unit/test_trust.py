"""Which Dockerfiles are trusted: kept where only their user writes."""

import contextlib
import itertools
import json
import os

import pytest

from containai import trust
from containai.errors import ContainAIError, WorkspaceError
from containai.trust import Trusted
from harness import hostile_tree
from harness.waiting import until

ONE = Trusted("/srv/one", "FROM base\n")


@pytest.fixture
def mine(layout):
    layout.uid = os.getuid()
    return layout


def names(mine):
    return [name for name in os.listdir(mine.trusted) if name.endswith(".json")]


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
    (name,) = names(mine)
    for path, mode in ((mine.config_dir, 0o700), (mine.trusted, 0o700)):
        assert os.stat(path).st_mode & 0o777 == mode
    assert os.stat(os.path.join(mine.trusted, name)).st_mode & 0o777 == 0o600


def test_a_link_is_no_place_for_it(mine, tmp_path):
    os.makedirs(mine.config_dir, 0o700)
    os.symlink(tmp_path, mine.trusted)
    with pytest.raises(ContainAIError, match="not a directory of yours"):
        trust.keep(mine, ONE)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '{"workspace": "/srv/one"}', '{"files": 1}', "[" * 100_000]
)
def test_what_is_damaged_is_trust_in_nothing(mine, text):
    trust.keep(mine, ONE)
    (name,) = names(mine)
    with open(os.path.join(mine.trusted, name), "w", encoding="utf-8") as file:
        file.write(text)
    assert (trust.find(mine, ONE.workspace), trust.every(mine)) == (None, [])


def test_a_file_of_another_workspace_is_not_taken_for_it(mine):
    trust.keep(mine, ONE)
    (name,) = names(mine)
    other = ONE._replace(workspace="/srv/other")
    trust.keep(mine, other)
    (second,) = set(names(mine)) - {name}
    os.rename(os.path.join(mine.trusted, name), os.path.join(mine.trusted, second))
    assert trust.find(mine, other.workspace) is None


def test_one_of_two_files_takes_its_own_place(mine):
    settings = Trusted("/srv/one", "box.cpus = 1\n", trust.CONFIG)
    trust.keep(mine, ONE)
    trust.keep(mine, settings)
    trust.keep(mine, settings._replace(text=""))
    assert trust.every(mine) == [ONE, settings._replace(text="")]
    assert trust.find(mine, "/srv/one", trust.CONFIG) == settings._replace(text="")


def test_what_an_earlier_version_kept_is_a_dockerfile(mine):
    trust.keep(mine, ONE)
    (name,) = names(mine)
    with open(os.path.join(mine.trusted, name), "w", encoding="utf-8") as file:
        json.dump({"workspace": ONE.workspace, "text": ONE.text}, file)
    assert trust.every(mine) == [ONE]


OWN, SECRET = "box.cpus = 1\n", "secret = 1\n"
#: Tries for each kind of what the agent makes of its file: 10,000 in all.
TRIES = 2000


@pytest.fixture
def agents(tmp_path):
    """A workspace with settings, and a directory outside that has a file of that name."""
    outside = tmp_path / "outside"
    workspace = tmp_path / "api"
    for directory, text in ((outside, SECRET), (workspace / trust.DIRECTORY, OWN)):
        directory.mkdir(parents=True)
        (directory / trust.CONFIG).write_text(text)
    return workspace


def evil(directory, kind):
    """Make what takes the file's place in turns; return its path."""
    path = directory / "other"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        with open(path, "w", encoding="utf-8") as file:
            file.truncate(1 << 40)
    return path


@pytest.mark.parametrize("kind", ["link", "directory link", "pipe", "directory", "sparse"])
def test_nothing_else_is_read_while_the_agent_swaps_it(mine, agents, kind):
    directory = agents / trust.DIRECTORY
    path, outside = directory / trust.CONFIG, agents.parent / "outside"
    seen = set()
    with contextlib.ExitStack() as stack:
        if kind == "link":
            stack.enter_context(hostile_tree.swapping(path, outside / trust.CONFIG))
        elif kind == "directory link":
            stack.enter_context(hostile_tree.swapping(directory, outside))
        else:
            stack.enter_context(hostile_tree.swapped(path, evil(directory, kind)))
        if "link" in kind:
            # It bites who does not look.
            until(lambda: path.read_text() == SECRET)
        for count in itertools.count():
            if count >= TRIES and len(seen) > 1:
                break
            try:
                found = trust.settings_of(mine, str(agents))
            except WorkspaceError as wrong:
                seen.add(str(wrong).rpartition(": ")[2])
            else:
                seen.add(found.text if found is not None else "none")
    assert OWN in seen
    assert seen - {OWN} in (
        {"it is a link, or no file"},
        {"it is no file"},
        {"it has more than 16384 bytes"},
    )


def test_a_name_with_a_newline_is_shown_as_one(mine, tmp_path):
    workspace = tmp_path / "a\nb"
    (workspace / trust.DIRECTORY / trust.CONFIG).mkdir(parents=True)
    with pytest.raises(WorkspaceError) as wrong:
        trust.settings_of(mine, str(workspace))
    assert "\n" not in str(wrong.value)
