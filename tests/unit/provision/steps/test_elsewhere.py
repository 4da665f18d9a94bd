"""Doctor on this machine has nothing to say, and nothing to mend, of a box on a remote place."""

import os
import shutil
import socket
import sys
import tempfile

import pytest

from containai.away import record
from containai.boxes import spares
from containai.host import files
from containai.provision import steps
from containai.provision.step import Choices
from containai.provision.steps import own
from containai.ssh import hosts

FAR = "faraway"
#: What looks at what ssh has of boxes, and at boxes by what ssh has of them.
TITLES = {
    "boxes", "connections", "control sockets", "host blocks", "host keys", "pinned keys",
    "ports of boxes", "spare boxes", "ssh entries", "workspaces",
}  # fmt: skip


@pytest.fixture
def away(app, workspace, tmp_path, monkeypatch):
    """Have a box of this machine, one elsewhere to which a connection stands, and one that went."""
    sockets = tempfile.mkdtemp(dir="/tmp")  # a socket's path is short
    monkeypatch.setattr(type(app.layout), "control_dir", sockets)
    for module in {sys.modules[type(each).__module__] for each in checks(app).values()} | {own}:
        if hasattr(module, "Engine"):
            monkeypatch.setattr(module, "Engine", lambda host: app.docker)
    layout = app.layout
    app.add_box(workspace, name="near")
    hosts.ensure_user(app.host)
    block = hosts.host_block(
        layout, FAR, proxy="/bin/false", place="work", workspace=str(tmp_path / "gone"),
        inode="1:2", forward_agent=False,
    )  # fmt: skip
    hosts.publish(layout, FAR, block, "ssh-ed25519 FAR")
    record.put(layout, record.Entry(FAR, "work", FAR, str(tmp_path / "gone")))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(layout.control_socket(FAR))
        listener.listen()
        yield app
    shutil.rmtree(sockets)


def kept(layout):
    """Return all that ssh has of the box elsewhere."""
    pinned = hosts.pinned_key(files.read(layout.known_hosts) or "", FAR)
    return files.read(layout.ssh_block(FAR)), pinned, os.path.exists(layout.control_socket(FAR))


def checks(app):
    every = steps.checks(app.host, Choices(app.settings))
    found = {each.title: each for each in every if each.title in TITLES}
    assert found.keys() == TITLES
    return found


def looked(app):
    return [(each, each.check(app.host)) for each in checks(app).values()]


def test_nothing_is_found_and_nothing_is_planned(away):
    for step, finding in looked(away):
        said = [finding.seen, finding.hint]
        said += [
            text
            for each in step.plan(away.host, finding)
            for text in (each.brief(), each.describe())
        ]
        assert FAR not in " ".join(said), step.title


def test_what_mends_leaves_all_of_it(away):
    before = kept(away.layout)
    assert all(before)
    hosts.publish(
        away.layout, "stale", "# Box stale, written by cai. Changes are lost.\n", "ssh-ed25519 B"
    )
    (entries,) = [pair for pair in looked(away) if pair[0].title == "ssh entries"]
    assert "stale" in entries[1].seen
    for step, finding in looked(away):
        if step.title in {"ssh entries", "control sockets"}:
            for each in step.plan(away.host, finding):
                each.act(lambda *_: None)
    assert hosts.published(away.layout) == {"near", FAR}
    spares.sweep(away.boxes)
    assert kept(away.layout) == before
