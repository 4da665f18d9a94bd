import os

import pytest

from containai.cli.commands import ssh
from containai.errors import BoxNotFoundError
from containai.host import files
from containai.ssh import include


@pytest.fixture
def boxed(app, workspace):
    app.layout.uid = os.getuid()
    app.add_box(workspace, name="api")
    return app


def test_list(boxed, workspace):
    report = ssh.list_(boxed)
    (table,) = report.views
    assert list(table.rows) == [["api", "running", "127.0.0.1:2301", "no", str(workspace)]]
    assert report.notes == []
    assert [each.name for each in report.value] == ["api"]


def test_list_says_what_is_wrong(boxed):
    os.unlink(boxed.layout.ssh_block("api"))
    os.unlink(boxed.layout.ssh_config)
    said = [(note.text, note.hint) for note in ssh.list_(boxed).notes]
    assert said[0][0] == "api: there is no host block"
    assert "cai run --name api" in said[0][1]
    assert include.line(boxed.layout.ssh_blocks) in said[1][0]


def test_list_while_the_engine_is_silent(boxed):
    boxed.stop_engine()
    report = ssh.list_(boxed)
    assert [each.state for each in report.value] == ["unknown"]
    assert "does not answer" in report.notes[0].text


def test_config_is_what_ssh_has(boxed):
    report = ssh.config(boxed, box="api")
    assert report.views == [files.read(boxed.layout.ssh_block("api"))]
    assert report.value["options"]["Port"] == "2301"
    assert report.value["file"] == boxed.layout.ssh_block("api")
    assert report.notes == []


@pytest.mark.parametrize("lost", [None, "Host api\n    Port 9\n"])
def test_config_is_right_where_the_file_is_not(boxed, lost):
    path = boxed.layout.ssh_block("api")
    if lost is None:
        os.unlink(path)
    else:
        files.write(path, lost)
    report = ssh.config(boxed, box="api")
    assert report.value["options"]["Port"] == "2301"
    assert path in report.notes[0].text
    assert files.read(path) == lost


def test_config_of_no_box(boxed):
    with pytest.raises(BoxNotFoundError):
        ssh.config(boxed, box="gone")


def test_cleanup(boxed):
    path = boxed.layout.ssh_block("gone")
    files.write(path, "")
    shown = ssh.cleanup(boxed, dry_run=True)
    assert shown.views == ["would be removed: host block, pinned key and connection of gone\n"]
    assert shown.value == {"names": ["gone"], "sockets": [], "removed": False}
    assert os.path.exists(path)
    assert ssh.cleanup(boxed, dry_run=False).value == shown.value | {"removed": True}
    assert not os.path.exists(path)
    assert ssh.cleanup(boxed, dry_run=False).views == ["nothing is left of boxes that are gone\n"]
