import os
import shutil
import socket
import tempfile

import pytest

from containai.away import record
from containai.boxes import entries
from containai.engine.container import State
from containai.errors import EngineError
from containai.host import files
from containai.ssh import hosts
from harness.app import ANOTHER


@pytest.fixture
def gone(app, workspace):
    """Have a box, and what ssh has of one that is gone."""
    app.layout.uid = os.getuid()
    app.add_box(workspace, name="api")
    head = "# Box gone, written by cai. Changes are lost.\n"
    hosts.publish(app.layout, "gone", head, "ssh-ed25519 B")
    hosts.pin(app.layout, "gone-too", "ssh-ed25519 C")
    files.private_directory(app.layout.control_dir)
    return app


def by_name(app):
    return {each.name: each for each in entries.listed(app.docker)}


def test_what_is_right_has_no_problem(gone, workspace):
    api = by_name(gone)["api"]
    assert (api.state, api.port, api.workspace) == ("running", 2301, str(workspace))
    assert (api.connected, api.problems) == (False, ())
    assert api.file == gone.layout.ssh_block("api")


def test_what_is_of_no_box_is_gone(gone):
    assert {name: each.state for name, each in by_name(gone).items()} == {
        "api": "running",
        "gone": "gone",
        "gone-too": "gone",
    }


def test_another_users_box_of_that_name_is_not_ours(gone):
    gone.add_box("/srv/other", name="gone", owner=ANOTHER)
    assert by_name(gone)["gone"].state == "gone"


def test_nobody_knows_while_the_engine_is_silent(gone):
    gone.stop_engine()
    assert {each.state for each in entries.listed(gone.docker)} == {"unknown"}
    with pytest.raises(EngineError, match="nobody knows"):
        entries.gone(gone.docker)
    assert hosts.published(gone.layout) == {"api", "gone", "gone-too"}


def test_what_is_wrong_is_said(gone, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    gone.add_box(other, name="web", port=2302, state=State.EXITED)
    block = files.read(gone.layout.ssh_block("api")) or ""
    files.write(gone.layout.ssh_block("web"), block)
    hosts.pin(gone.layout, "web", None)
    os.unlink(gone.layout.ssh_block("api"))
    listed = by_name(gone)
    assert listed["web"].problems == (
        "no key is pinned",
        "it leads to port 2301, and the box has 2302",
        "it is of another workspace",
    )
    assert (listed["api"].problems, listed["api"].file) == (("there is no host block",), "")


def test_what_is_of_no_box_is_removed_and_nothing_else(gone):
    foreign = os.path.join(gone.layout.ssh_blocks, "mine.conf")
    files.write(foreign, "Host mine\n")
    left = entries.remove(gone.docker, entries.gone(gone.docker))
    assert left == entries.Gone(["gone", "gone-too"], [])
    assert hosts.published(gone.layout) == {"api"}
    assert files.read(foreign) == "Host mine\n"
    assert entries.gone(gone.docker) == entries.Gone([], [])


def test_a_box_that_was_made_meanwhile_keeps_its_own(gone, tmp_path):
    left = entries.gone(gone.docker)
    (tmp_path / "new").mkdir()
    gone.add_box(tmp_path / "new", name="gone")
    assert entries.remove(gone.docker, left).names == ["gone-too"]
    assert "gone" in hosts.published(gone.layout)


class TestElsewhere:
    @pytest.fixture
    def away(self, gone, workspace):
        """Have a box on a remote place, too, as far as its user's files say."""
        layout = gone.layout
        block = hosts.host_block(
            layout, "far", proxy="/bin/false", place="work", workspace=str(workspace),
            inode="1:2", forward_agent=False,
        )  # fmt: skip
        hosts.publish(layout, "far", block, "ssh-ed25519 D")
        record.put(layout, record.Entry("far", "work", "far", str(workspace)))
        return gone

    def test_it_is_where_it_is(self, away):
        assert (by_name(away)["far"].state, by_name(away)["far"].problems) == ("on work", ())
        away.stop_engine()
        assert by_name(away)["far"].state == "on work"

    def test_it_is_never_gone(self, away):
        left = entries.remove(away.docker, entries.gone(away.docker))
        assert left.names == ["gone", "gone-too"]
        assert "far" in hosts.published(away.layout)

    def test_one_whose_block_was_lost_keeps_its_key(self, away):
        os.unlink(away.layout.ssh_block("far"))
        entries.remove(away.docker, entries.gone(away.docker))
        assert hosts.published(away.layout) == {"api", "far"}
        far = by_name(away)["far"]
        assert (far.state, far.problems) == ("on work", ("there is no host block",))

    @pytest.mark.parametrize("text", ["", "[", "[1]", '{"boxes": 1}', '{"boxes": {"far": 1}}'])
    def test_its_block_says_so_where_the_file_is_damaged(self, away, text):
        files.write(away.layout.away, text)
        assert entries.gone(away.docker).names == ["gone", "gone-too"]


def listener(path):
    made = socket.socket(socket.AF_UNIX)
    made.bind(path)
    made.listen()
    return made


@pytest.fixture
def short(monkeypatch, gone):
    """Have a directory for sockets whose path is not too long for them."""
    path = tempfile.mkdtemp(dir="/tmp")
    monkeypatch.setattr(type(gone.layout), "control_dir", path)
    yield path
    shutil.rmtree(path)


def test_only_sockets_of_nobody_are_forsaken(gone, short):
    directory = short
    dead, live, young, old, other, file = (
        os.path.join(directory, name)
        for name in (
            "0" * 16,
            "1" * 16,
            "2" * 16 + ".abcdefghijklmnop",
            "3" * 16 + ".abcdefghijklmnop",
            "other",
            "4" * 16,
        )
    )
    for path in (dead, young, old, other):
        listener(path).close()
    os.utime(old, (1, 1))
    files.write(file, "")
    with listener(live):
        assert entries.forsaken(gone.layout) == [dead, old]
        assert entries.remove(gone.docker, entries.Gone([], [dead, live])).sockets == [dead]
        assert os.path.exists(live)


def test_a_directory_that_others_may_enter_is_not_looked_at(gone, short):
    listener(os.path.join(short, "0" * 16)).close()
    os.chmod(short, 0o755)
    assert entries.forsaken(gone.layout) == []
