"""The variables of a box: from where they are, and that what an agent writes leads nowhere else."""

import os

import pytest

from containai import trust
from containai.boxes import variables
from containai.boxes.variables import Variables
from containai.config.env import Env
from containai.errors import ContainAIError
from containai.ssh import session


def seen(layout, said, environ=None, workspace=""):
    return variables.seen(layout, said, environ or {}, workspace)


def at_home(layout, name, text):
    os.makedirs(layout.home, exist_ok=True)
    with open(os.path.join(layout.home, name), "w", encoding="utf-8") as file:
        file.write(text)


def test_a_value_counts_more_than_the_environment_and_that_more_than_a_file(layout):
    at_home(layout, "x.env", "A=file\nB=file\nC=file\n")
    said = Env(("A", "B", "GONE"), ("~/x.env",), {"A": "set"})
    found = seen(layout, said, {"A": "host", "B": "host", "C": "host"}, "/srv/api")
    assert found.values == {"A": "set", "B": "host", "C": "file"}
    assert found.names == ("A", "B", "GONE")
    assert found.paths == (
        os.path.join(layout.home, "x.env"),
        "/srv/api/.containai/config.toml",
        trust.record(layout, "/srv/api"),
    )
    assert found.text == "A=set\0B=host\0C=file\0"
    assert found.files == {"etc/containai/variables": (found.text, 0o600)}
    assert "set" not in found.shown.replace("not shown", "")
    assert (Variables().text, Variables().mark, Variables().files) == ("", "none", {})


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("missing", "there is no such file"),
        ("link", "it is a link"),
        ("linked directory", "it is a link"),
        ("pipe", "it is no file"),
        ("large", "more than 98304 bytes"),
        ("binary", "is not valid UTF-8"),
        ("wrong", "line 2: expected NAME=VALUE"),
    ],
)
def test_a_file_that_is_not_right(layout, tmp_path, kind, why):
    at_home(layout, "right.env", "A=1\n")
    at_home(layout, "wrong.env", "A=1\nB\n")
    path = os.path.join(layout.home, "x.env")
    name = "~/x.env"
    match kind:
        case "link":
            os.symlink("right.env", path)
        case "linked directory":
            os.symlink(".", path)
            name = "~/x.env/right.env"
        case "pipe":
            os.mkfifo(path)
        case "large":
            with open(path, "w", encoding="utf-8") as file:
                file.truncate(1 << 40)
        case "binary":
            with open(path, "wb") as binary:
                binary.write(b"A=\xff\n")
        case "wrong":
            name = "~/wrong.env"
    with pytest.raises(ContainAIError, match=why):
        seen(layout, Env((), (name,)))


def test_a_home_may_be_a_link(layout, tmp_path):
    at_home(layout, "x.env", "A=1\n")
    link = tmp_path / "link"
    link.symlink_to(layout.home)
    layout.home = str(link)
    assert seen(layout, Env((), (f"{link}/x.env",))).values == {"A": "1"}


def test_a_value_that_is_no_text(layout):
    with pytest.raises(ContainAIError, match=r"the value of A is not valid UTF-8"):
        seen(layout, Env(("A",)), {"A": "\udcff"})


def test_the_next_session_sees_that_something_changed(layout, monkeypatch, workspace):
    monkeypatch.setenv("A", "1")
    at_home(layout, "x.env", "B=1\n")
    found = seen(layout, Env(("A",), ("~/x.env",)), os.environ)
    os.makedirs(layout.ssh_blocks, exist_ok=True)
    with open(layout.ssh_block("box"), "w", encoding="utf-8") as file:
        file.write(f"# Box\n{found.line}\nHost box\n")
    assert session.last_variables(layout, "box") == found.mark

    def is_same():
        with open(layout.ssh_block("box"), encoding="utf-8") as file:
            return session.has_variables(file.read())

    assert is_same()
    monkeypatch.setenv("A", "2")
    assert not is_same()
    monkeypatch.setenv("A", "1")
    assert is_same()
    at_home(layout, "x.env", "B=22\n")
    assert not is_same()
    assert not session.has_variables("# Box\n")
    assert session.without_variables(f"a\n{found.line}\nb\n") == "a\nb\n"


def test_it_sees_that_a_file_is_trusted_by_now(layout, workspace):
    layout.uid = os.getuid()
    (workspace / ".containai").mkdir()
    path = workspace / ".containai" / "config.toml"
    path.write_text("env.set.A = '1'\n")
    line = seen(layout, Env(), {}, str(workspace)).line
    assert session.has_variables(line)
    trust.keep(layout, trust.Trusted(str(workspace), path.read_text(), trust.CONFIG))
    assert not session.has_variables(line)
