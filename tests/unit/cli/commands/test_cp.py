import os

import pytest

from containai.boxes.target import Target
from containai.cli.commands import cp
from containai.cli.commands.cp import Side, sides
from containai.cli.report import Note
from containai.engine.container import State
from containai.errors import BoxNotFoundError, CopyError, UsageError
from harness.hostile_tree import archive, directory, link

API, HERE = Target(name="api"), Target()


@pytest.mark.parametrize(
    ("src", "dst", "source", "to"),
    [
        ("api:/etc/x", ".", Side(API, "/etc/x"), Side(None, ".")),
        ("api:a:b", ".", Side(API, "a:b"), Side(None, ".")),
        (":x", "y", Side(HERE, "x"), Side(None, "y")),
        ("x", ":", None, None),
        ("api:~", ".", Side(API, "."), Side(None, ".")),
        ("api:~/x", ".", Side(API, "x"), Side(None, ".")),
        ("api:./~/x", ".", Side(API, "./~/x"), Side(None, ".")),
        ("api:~x", ".", Side(API, "~x"), Side(None, ".")),
        ("./a:b", "api:c", Side(None, "./a:b"), Side(API, "c")),
        ("api:c", "./a:b", Side(API, "c"), Side(None, "./a:b")),
        ("./ws:x", "y", Side(Target(path="./ws"), "x"), Side(None, "y")),
        ("y", "./ws:x", Side(None, "y"), Side(Target(path="./ws"), "x")),
        ("./w:s:x:y", "y", Side(Target(path="./w:s"), "x:y"), Side(None, "y")),
        ("./gone:x", "y", Side(Target(path="./gone"), "x"), Side(None, "y")),
        ("-x", ":-y", Side(None, "-x"), Side(HERE, "-y")),
        ("x\ny", "api:", None, None),
        ("x", "y", None, None),
        ("api:x", "web:y", None, None),
        ("./ws:x", "./ws:y", None, None),
        ("API:x", "y", None, None),
        ("../x", "A:y", None, None),
        ("a b:x", "y", None, None),
    ],
)
def test_which_side_is_a_boxs(workspace, src, dst, source, to):
    (workspace / "ws").mkdir()
    (workspace / "w:s").mkdir()
    if source is None:
        with pytest.raises(UsageError) as raised:
            sides(src, dst)
        assert raised.value.hint
    else:
        assert sides(src, dst) == (source, to)


def run(app, src, dst, *, follow_links=False):
    return cp.run(app, src=src, dst=dst, follow_links=follow_links)


def test_out_of_a_box(app, workspace, elsewhere, tmp_path):
    app.add_box(workspace, name="api")
    sent = tmp_path / "sent"
    sent.write_bytes(archive(directory("."), ("f", b"text"), link("l", "/etc")))
    app.machine.beside = ["cat", str(sent)]
    report = run(app, "api:d", "copy")
    assert (elsewhere / "copy/f").read_text() == "text"
    assert (report.value.files, report.value.bytes, report.code) == (1, 4, 1)
    why = "a link to '/etc', which leads out of it"
    hint = "cai cp --follow-links copies what links lead to in the box"
    assert report.notes == [Note(f"left out:\n  l: {why}", hint)]
    (ssh,) = app.ran("-T", "--", "api")
    assert "copy-out.sh" in ssh[-1]
    assert app.docker.requests == []


def test_into_a_box_that_is_started(app, workspace, tmp_path):
    box = app.add_box(workspace, state=State.EXITED)
    app.machine.beside = ["sh", "-c", f"cat >{tmp_path}/got"]
    (workspace / "f").write_text("text")
    report = run(app, "f", ":x")
    assert (report.value.path, report.value.files, report.code) == ("x", 1, 0)
    assert b"text" in (tmp_path / "got").read_bytes()
    assert app.docker.requests == [("start", box.id)]


def test_links_are_followed_in_a_box_only(app, workspace):
    app.add_box(workspace)
    with pytest.raises(UsageError, match="going in, no link is followed"):
        run(app, "f", ":x", follow_links=True)


def test_links_in_a_workspace_of_any_box_are_not_followed(app, workspace, elsewhere):
    app.add_box(workspace, name="api")
    app.add_box(elsewhere, name="web", port=2302)
    os.symlink("/etc", elsewhere / "l")
    with pytest.raises(CopyError, match="leads through the link 'l' of a workspace"):
        run(app, "l/passwd", "api:x")


@pytest.mark.parametrize("words", [("api:x", "."), ("x", "api:."), (":x", ".")])
def test_where_there_is_no_box(app, workspace, words):
    with pytest.raises(BoxNotFoundError):
        run(app, *words)
    assert os.listdir(workspace) == []
