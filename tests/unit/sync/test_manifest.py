"""The rows of what is brought: all of the agents' own table, all in what outlives a box."""

import pytest

from containai import kept
from containai.agents import AGENTS
from containai.kept import Kind
from containai.sync import manifest
from containai.sync.filters import Treatment

ROWS = manifest.rows()


@pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.name)
def test_every_agent_has_rows_for_all_that_it_knows_of_its_user(agent):
    own = {row.path: row for row in ROWS if row.whose == agent.name}
    for path in (*agent.settings, *agent.logins, *agent.work):
        row = own.pop(path.removeprefix("~/").rstrip("/"))
        assert row.login == (path in agent.logins)
        assert (row.treatment is Treatment.ROTATING) == (path in agent.rotating)
        assert (row.kind is Kind.DIRECTORY) == path.endswith("/")
    assert not own
    assert set(agent.rotating) <= set(agent.logins)
    # Who may not bring a login is told what else there is.
    assert bool(agent.rotating) == bool(agent.instead)


def test_all_that_is_brought_outlives_the_box():
    assert [row.path for row in ROWS if kept.covering(row.path) is None] == []


def test_no_path_is_there_twice():
    paths = [row.path for row in ROWS]
    assert len(paths) == len(set(paths))
    inside = [(one, other) for one in paths for other in paths if other.startswith(f"{one}/")]
    assert inside == []


def test_what_is_treated_and_passed_over_is_of_rows():
    paths = {row.path for row in ROWS}
    assert {*manifest._TREATED, *manifest._STAYS} <= paths
    for below in manifest.PASSED_OVER_BELOW:
        assert any(below.startswith(f"{path}/") for path in paths), below


def test_nothing_that_is_only_a_way_in_is_there():
    paths = {row.path for row in ROWS}
    for path in (".ssh", ".gnupg", ".git-credentials", ".config/git/credentials", ".netrc", ".aws"):
        assert not any(each == path or each.startswith(f"{path}/") for each in paths)
        assert not any(path.startswith(f"{each}/") for each in paths)
