import itertools

from containai import kept
from containai.agents import AGENTS
from containai.kept import Kept, Kind

ROWS = {row.path: row for row in kept.KEPT}


def test_every_setting_and_login_of_every_agent_outlives_its_box():
    for agent in AGENTS:
        for path in (*agent.settings, *agent.logins, *agent.sessions):
            row = kept.covering(path.removeprefix("~/"))
            assert (row.whose, row.secret) == (agent.name, True)


def test_a_file_of_the_home_is_kept_alone_and_a_directory_of_it_whole():
    assert ROWS[".claude.json"].kind is Kind.FILE
    assert ROWS[".claude"].kind is Kind.DIRECTORY
    assert ROWS[".local/share/opencode"].kind is Kind.DIRECTORY


def test_no_row_stands_in_another_and_none_is_the_home():
    assert len(ROWS) == len(kept.KEPT)
    for a, b in itertools.permutations(ROWS, 2):
        assert not f"{a}/".startswith(f"{b}/")
    # An agent that a bin or the whole of ~/.local would follow is not what is kept.
    assert not ROWS.keys() & {".local", ".local/share", ".config", ".cache", ".ssh", "workspace"}


def test_what_no_row_has_goes_with_its_box():
    assert kept.covering(".config/gh/hosts.yml") == ROWS[".config/gh"]
    assert kept.covering(".config/ghost") is None
    assert kept.covering(".config") is None


def test_the_table_of_a_box_is_a_line_a_row():
    lines = kept.table().splitlines()
    assert len(lines) == len(kept.KEPT)
    assert {"file 644 .gitconfig", "file 600 .bash_history", "directory 700 .claude"} <= {*lines}
    assert not any("\n" in row.path or row.path.startswith(("/", "~")) for row in kept.KEPT)
    assert Kept("a", Kind.FILE).secret
