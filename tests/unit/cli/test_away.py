"""A box on a remote place, for every command: it knows what to do, or says by name that it cannot.

Neither this machine's engine nor the place is asked before that is said.
"""

import pytest

from containai.away import record
from containai.away.record import Entry
from containai.boxes.target import Target
from containai.boxes.workspace import box_name
from containai.cli import command, main, registry
from containai.errors import (
    BoxNotFoundError,
    ContainAIError,
    NameTakenError,
    NotThereError,
    UsageError,
)
from containai.ssh import hosts

ROWS = registry.every()
#: What is done there, with the words that ask for it. The place is asked: there is none here.
THERE = {
    "attach": ["."],
    "cp": [":x", "y"],
    "export": ["."],
    "import": ["."],
    "jobs": ["."],
    "kill": [".", "job"],
    "run": [".", "--", "true"],
    "shell": ["."],
    "exec": [".", "--", "true"],
    "start": ["."],
    "stop": ["."],
    "restart": ["."],
    "rm": ["."],
    "limit": ["--memory=1g", "."],
    "status": ["."],
    "logs": ["."],
    "fork": ["."],
    "move": [".", "--to=node2"],
    "snapshot add": ["."],
    "snapshot ls": ["."],
    "snapshot restore": [".", "before"],
    "snapshot rm": [".", "before"],
    "push": ["."],
    "pull": ["."],
    "code": ["--show", "."],
    "forward": [".", "3000"],
    "ports": ["."],
    "rename": [".", "other"],
}
#: What this machine's files say, and nobody is asked.
KNOWN = {"ssh config": ["."]}
#: What is said not to be done there, with the words that ask for it.
HERE = {
    "keep": ["."],
    "mount add": [".", "/tmp"],
    "mount ls": ["."],
    "mount rm": [".", "/data"],
    "restore": ["x.tar", "."],
}
#: What looks at it, and says of each thing what is wrong with it.
LOOKS = {"doctor": ["."]}
#: What is of no box that its words name.
OF_NONE = {
    "completion", "config edit", "config get", "config list", "config path", "config set",
    "config unset", "docker", "engine logs", "engine start", "engine status", "engine stop",
    "help", "image build", "image export", "image import", "image ls", "image preload",
    "image prune", "image pull", "image push", "image show", "ls", "prune",
    "reclaim", "remote add", "remote doctor", "remote ls", "remote prepare", "remote rm",
    "remote show", "remote use",
    "setup", "ssh cleanup", "ssh list", "trust", "uninstall", "update", "version",
    "volume backup", "volume ls", "volume restore", "volume rm",
}  # fmt: skip


@pytest.fixture
def away(app, workspace):
    """An App whose user has a box of this directory on a place that is not known any more."""
    name = box_name(str(workspace), app.layout.uid)
    record.put(app.layout, Entry(name, "work", name, str(workspace)))
    block = hosts.host_block(
        app.layout, name, proxy="/bin/false", place="work", workspace=str(workspace),
        inode="1:2", forward_agent=False,
    )  # fmt: skip
    with open(f"{app.layout.home}/.gitconfig", "w", encoding="utf-8") as file:
        file.write("[user]\n\tname = Ada\n")
    hosts.ensure_user(app.host)
    hosts.publish(app.layout, name, block, "ssh-ed25519 KEY")
    app.docker.requests.clear()
    return app


def done(app, path, words):
    (row,) = (row for row in ROWS if row.path == path)
    asked = command.parse(row, words)
    app.flags = asked.flags
    app.__dict__.pop("settings", None)
    return row.run(app, **asked.keywords)


def test_every_command_is_in_a_table():
    assert {*THERE, *KNOWN, *HERE, *LOOKS, *OF_NONE} == {row.path for row in ROWS}


@pytest.mark.parametrize("path", THERE)
def test_what_is_done_there_asks_the_place(away, path):
    with pytest.raises(UsageError, match="there is no remote place 'work'"):
        done(away, path, THERE[path])
    assert away.docker.requests == []


@pytest.mark.parametrize("path", KNOWN)
def test_what_is_known_here_asks_nobody(away, path):
    assert "/bin/false" in repr(done(away, path, KNOWN[path]).value)
    assert away.docker.requests == []


@pytest.mark.parametrize("path", HERE)
def test_what_is_not_done_there_says_so_and_asks_nobody(away, path):
    with pytest.raises(NotThereError) as raised:
        done(away, path, HERE[path])
    assert raised.value.exit_code == 33
    assert "work" in str(raised.value)
    assert raised.value.hint
    assert away.docker.requests == []


#: With these `--on` says where a box is to be made.
MAKING = {"run", "shell", "code"}
TAKES_ON = {
    path: words for path, words in (THERE | KNOWN | HERE | LOOKS).items() if path not in MAKING
}


@pytest.mark.parametrize("path", THERE | KNOWN | HERE | LOOKS)
def test_where_it_is_said_to_be_here_nobody_is_asked(away, path):
    error = NameTakenError if path in MAKING else BoxNotFoundError
    name = record.find(away.layout, Target()).name
    with pytest.raises(error, match=f"'{name}' is .*on work") as raised:
        done(away, path, ["--on=local", *(THERE | KNOWN | HERE | LOOKS)[path]])
    assert raised.value.hint
    assert away.docker.requests == []


@pytest.mark.parametrize("path", TAKES_ON)
def test_where_it_is_said_to_be_there_it_is_as_if_nothing_were_said(away, path):
    said = []
    for more in ([], ["--on=work"]):
        try:
            said.append(repr(done(away, path, [*more, *TAKES_ON[path]]).value))
        except ContainAIError as raised:
            said.append(str(raised))
    assert said[0] == said[1]


@pytest.mark.parametrize("path", TAKES_ON)
@pytest.mark.parametrize("place", ["work", "gone"])
def test_a_box_of_this_machine_that_is_said_to_be_elsewhere(app, workspace, path, place):
    name = app.add_box(workspace).name
    record.put(app.layout, Entry("other", "work", "other", "/srv/other"))
    app.docker.requests.clear()
    said = {
        "work": (BoxNotFoundError, f"the box '{name}' is not on work, but on this machine"),
        "gone": (UsageError, "there is no remote place 'gone'"),
    }
    error, text = said[place]
    with pytest.raises(error, match=text):
        done(app, path, [f"--on={place}", *TAKES_ON[path]])
    assert app.docker.requests == []


def test_where_there_is_no_box_at_all(app, workspace):
    record.put(app.layout, Entry("other", "work", "other", "/srv/other"))
    with pytest.raises(BoxNotFoundError, match="there is no box 'none' on work"):
        done(app, "stop", ["--on=work", "--name=none"])


def test_a_check_of_the_machine_is_of_no_place(app):
    with pytest.raises(UsageError, match="doctor: --on is of a box"):
        done(app, "doctor", ["--on=work"])


def test_what_looks_says_that_there_is_no_such_place(away):
    report = done(away, "doctor", LOOKS["doctor"])
    assert report.code == 1
    assert "there is no remote place 'work'" in repr(report.value)
    assert away.docker.requests == []


def test_the_command_is_named(away, monkeypatch, capsys):
    monkeypatch.setattr(main.Layout, "from_environment", lambda: away.layout)
    assert main.main(["keep", "."]) == 33
    assert capsys.readouterr().err.startswith("cai: keep: the box ")


@pytest.mark.parametrize(
    "option", ["--read-only", "--skip-mounts", "--data-volume=vol", "--swap=1g"]
)
def test_what_a_box_there_cannot_be(away, option):
    with pytest.raises(NotThereError):
        done(away, "run", [option, ".", "--", "true"])


@pytest.mark.parametrize("option", ["--keep"])
def test_what_run_cannot_do_there(away, option):
    with pytest.raises(NotThereError):
        done(away, "run", [option, ".", "--", "true"])
