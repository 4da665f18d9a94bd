"""The checks of what a user has: what is judged; that it is so on an engine, system tests show."""

import os
import time

import pytest

from containai import trust
from containai.boxes import entries, inside, kills
from containai.boxes.box import Box, Status
from containai.boxes.inside import Inside
from containai.boxes.kills import Kill
from containai.boxes.limits import Limits
from containai.engine.client import Engine
from containai.engine.container import Image
from containai.host import files
from containai.provision.step import Scope
from containai.provision.steps import owned
from containai.provision.steps.agents_inside import AgentsInside, Within, script
from containai.provision.steps.configuration import Home, WorkspaceFiles
from containai.provision.steps.inside import (
    Asked,
    Booted,
    BoxSpace,
    HostKeys,
    InnerDocker,
    LetIn,
    Units,
)
from containai.provision.steps.made import Kills, MadeBy
from containai.provision.steps.ssh import Blocks, BoxPorts, Pins, Sockets
from containai.provision.steps.volumes import Labels, Ownership
from containai.provision.steps.workspaces import Workspaces
from containai.ssh import hosts
from containai.trust import Trusted
from containai.work.actions import State

PIN = f"ssh-ed25519 {'A' * 68}"


@pytest.fixture
def machine(host, monkeypatch):
    """A machine of whoever runs the tests, whose user has one box; it can be another."""
    host.layout.uid = os.getuid()
    host.boxes = []
    monkeypatch.setattr(entries, "boxes", lambda engine: host.boxes)
    return host


@pytest.fixture
def box(machine, tmp_path):
    path = tmp_path / "workspace"
    path.mkdir()
    made = Box(
        "one", "1" * 64, str(path), 2300, os.getuid(), Status.RUNNING, "image", "",
        data="one", image_id="sha256:1",
    )  # fmt: skip
    machine.boxes = [made]
    hosts.ensure_user(machine)
    block = hosts.host_block(
        machine.layout, "one", port=2300, workspace=str(path), inode="1:2", forward_agent=False,
        version=machine.ssh_version(),
    )  # fmt: skip
    hosts.publish(machine.layout, "one", block, PIN)
    return made


@pytest.mark.parametrize("step", owned.of_user(), ids=lambda step: step.title)
def test_an_engine_that_is_silent_proves_nothing(machine, step):
    machine.boxes = None
    machine.missing = {"docker"}
    found = step.check(machine)
    assert found.state is State.UNKNOWN or step.title == Sockets.title
    assert step.plan(machine, found) == []
    assert step.undo(machine, Scope()) == []


def test_one_box_that_does_not_run_is_not_asked(machine, box):
    machine.boxes = [box._replace(status=Status.STOPPED)]
    for step in owned.of_box(box):
        if step.slow and not isinstance(step, Blocks):
            assert step.check(machine).state in (State.UNKNOWN, State.OK)
    assert Booted(Asked("one")).check(machine).state is State.UNKNOWN
    assert Booted(Asked()).check(machine).ok


def edited(box, layout, old, new):
    text = files.read(layout.ssh_block("one")) or ""
    assert old in text
    files.write(layout.ssh_block("one"), text.replace(old, new), 0o600)


def test_a_block_as_it_is_written(machine, box):
    assert Blocks().check(machine).ok
    # What sessions are to know is not ssh's.
    edited(box, machine.layout, "# around=", "# around=x")
    edited(box, machine.layout, "    ForwardAgent no", "    ForwardAgent yes")
    assert Blocks().check(machine).ok


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Port 2300", "Port 2301", "says 2301"),
        ("User agent", "User root", "was changed"),
        ("    ForwardAgent no\n", "    ForwardAgent /tmp/theirs\n", "was changed"),
        ("    ForwardAgent no\n", "", "was changed"),
        ("Host one\n", "Host one two\n", "was changed"),
    ],
)
def test_a_block_that_was_changed_is_written_again(machine, box, old, new, said):
    before = files.read(machine.layout.ssh_block("one"))
    edited(box, machine.layout, old, new)
    found = Blocks().check(machine)
    assert said in found.seen
    [mending] = Blocks().plan(machine, found)
    mending.act(lambda *_: None)
    assert files.read(machine.layout.ssh_block("one")) == before
    assert Blocks().check(machine).ok


def test_a_block_of_another_workspace_tells_nothing_of_this(machine, box):
    edited(box, machine.layout, box.workspace, "/elsewhere")
    edited(box, machine.layout, "User agent", "User root")
    [mending] = Blocks().plan(machine, Blocks().check(machine))
    mending.act(lambda *_: None)
    assert f"# workspace={box.workspace!r}" in (files.read(machine.layout.ssh_block("one")) or "")


def test_a_block_that_ssh_refuses(machine, box):
    """And with it all else that the user's configuration includes."""
    os.chmod(machine.layout.ssh_block("one"), 0o666)
    found = Blocks().check(machine)
    assert "that others can write" in found.seen
    [mending] = Blocks().plan(machine, found)
    mending.act(lambda *_: None)
    assert Blocks().check(machine).ok


def test_pinned_keys(machine, box):
    assert Pins().check(machine).ok
    hosts.pin(machine.layout, "one", "nonsense")
    assert "that is no key" in Pins().check(machine).seen
    hosts.pin(machine.layout, "one", None)
    assert "has none" in Pins().check(machine).seen


def test_control_sockets(machine, box):
    os.makedirs(machine.layout.control_dir, 0o700)
    path = machine.layout.control_socket("one")
    assert Sockets().check(machine).ok
    os.symlink("/etc/passwd", path)
    found = Sockets().check(machine)
    assert "is no socket" in found.seen
    [mending] = Sockets().plan(machine, found)
    mending.act(lambda *_: None)
    assert not os.path.lexists(path)
    assert os.path.exists("/etc/passwd")


def test_the_port_of_a_box_that_runs_is_its_own(machine, box, monkeypatch):
    monkeypatch.setattr("containai.boxes.ports.is_free", lambda port: False)
    assert BoxPorts().check(machine).ok
    machine.boxes = [box._replace(status=Status.STOPPED)]
    found = BoxPorts().check(machine)
    assert "port 2300 of one" in found.seen
    assert "cai start --name one" in found.hint


def test_a_workspace_that_was_moved(machine, box, tmp_path):
    seen = os.stat(box.workspace)
    edited(box, machine.layout, "inode=1:2", f"inode={seen.st_dev}:{seen.st_ino}")
    assert Workspaces().check(machine).ok
    os.rename(box.workspace, tmp_path / "it's now; here")
    found = Workspaces().check(machine)
    assert 'here" now' in found.seen
    # No name of a directory is a command.
    assert "mv '" in found.hint
    assert "'\"'\"'" in found.hint
    os.rmdir(tmp_path / "it's now; here")
    assert "is gone" in Workspaces().check(machine).seen


@pytest.mark.parametrize(
    ("label", "data", "said"),
    [
        ("", "one", "of another image base"),
        ("old", "one", "of another image base"),
        ("old", "", "earlier version"),
    ],
)
def test_a_box_of_another_version(machine, box, monkeypatch, label, data, said):
    machine.boxes = [box._replace(data=data)]
    labels = (("containai.image", "base"), ("containai.recipe", label))
    monkeypatch.setattr(Engine, "image", lambda *_: Image("sha256:1", labels))
    found = MadeBy().check(machine)
    assert said in found.seen
    assert found.state is State.NONE
    assert found.hint.endswith("cai run --fresh --name one")


def test_an_image_that_is_not_ours_is_no_version(machine, box, monkeypatch):
    monkeypatch.setattr(Engine, "image", lambda *_: Image("sha256:1"))
    assert MadeBy().check(machine).ok


def test_what_the_kernel_ended_is_told_until_there_is_more_memory(machine, box, monkeypatch):
    limited = box._replace(limits=Limits(memory=1 << 30))
    machine.boxes = [limited]
    kill = Kill("one", box.container, time.time() - 60, "node", limit=1 << 30)
    monkeypatch.setattr(kills, "of", lambda *_: [kill])
    found = Kills().check(machine)
    assert "'node'" in found.seen
    assert "cai limit --name one --memory" in found.hint
    machine.boxes = [box._replace(limits=Limits(memory=2 << 30))]
    assert Kills().check(machine).ok
    machine.boxes = [limited]
    monkeypatch.setattr(kills, "of", lambda *_: [kill._replace(time=time.time() - 90000)])
    assert Kills().check(machine).ok


FINE = Inside("running", (), "active", PIN, "", "27.1", (), whole=True)


@pytest.mark.parametrize(
    ("step", "said", "state", "seen"),
    [
        (Booted, FINE, State.OK, "each is up"),
        (Booted, FINE._replace(system="maintenance"), State.WRONG, "says maintenance"),
        (Booted, Inside(), State.WRONG, "no answer"),
        (Units, FINE._replace(failed=("a.service",)), State.NONE, "a.service failed"),
        (Units, Inside(), State.UNKNOWN, "no answer"),
        (InnerDocker, FINE._replace(docker=""), State.WRONG, "does not answer"),
        (LetIn, FINE._replace(sshd="failed"), State.WRONG, "sshd is failed"),
        (LetIn, FINE._replace(lets_in=PIN), State.WRONG, "not let in your key"),
        (HostKeys, FINE, State.OK, "each is the pinned one"),
        (HostKeys, FINE._replace(key="ssh-ed25519 BBBB"), State.WRONG, "another than the pinned"),
        (HostKeys, FINE._replace(key=""), State.WRONG, "it has none"),
        (BoxSpace, FINE._replace(full=(("/", 97, 3),)), State.NONE, "97 % of its space"),
        (BoxSpace, FINE._replace(full=(("/", 9, 100),)), State.NONE, "100 % of its inodes"),
    ],
)
def test_what_a_box_says(machine, box, monkeypatch, step, said, state, seen):
    monkeypatch.setattr(inside, "ask", lambda engine, boxes: {box.container: said})
    found = step(Asked()).check(machine)
    assert (found.state, seen in found.seen) == (state, True), found
    # No word of a box is in what is to be run.
    assert "a.service" not in found.hint


def test_all_is_asked_once(machine, box, monkeypatch):
    asked = []

    def ask(*_):
        asked.append(1)
        return {box.container: FINE}

    monkeypatch.setattr(inside, "ask", ask)
    together = Asked()
    for step in (Booted(together), Units(together), InnerDocker(together)):
        assert step.check(machine).ok
    assert len(asked) == 1
    assert Booted(together).check(machine).ok
    assert len(asked) == 2


def test_what_a_workspace_says_in_vain(machine, box):
    os.makedirs(f"{box.workspace}/.containai")
    path = f"{box.workspace}/.containai/config.toml"
    files.write(path, "[ssh]\nforward_agent = true\n")
    found = WorkspaceFiles().check(machine)
    assert "ssh.forward_agent is ignored" in found.seen
    assert found.state is State.NONE
    assert found.hint.endswith(f"cai trust {box.workspace}")
    files.write(path, "[")
    assert "is not valid TOML" in WorkspaceFiles().check(machine).seen
    os.unlink(path)
    os.symlink("/etc/shadow", path)
    assert "it is a link" in WorkspaceFiles().check(machine).seen


def test_what_is_trusted_counts(machine, box):
    os.makedirs(f"{box.workspace}/.containai")
    text = '[box]\nmemory = "none"\n'
    files.write(f"{box.workspace}/.containai/config.toml", text)
    assert not WorkspaceFiles().check(machine).ok
    trust.keep(machine.layout, Trusted(box.workspace, text, trust.CONFIG))
    assert WorkspaceFiles().check(machine).ok


def test_a_home_that_can_be_written(machine):
    assert Home().check(machine).ok


def test_a_home_that_is_read_only(machine, monkeypatch):
    class Closed:
        f_flag = os.ST_RDONLY

    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(os, "statvfs", lambda _: Closed)
    found = Home().check(machine)
    assert machine.layout.home in found.seen
    assert "sudo mount -o remount,rw /" in found.hint
    Closed.f_flag = 0
    assert "sudo chown" in Home().check(machine).hint


def volume(labels, **more):
    return {"Name": "one", "Labels": labels, **more}


OURS = {"containai.managed": "true", "containai.kind": "data", "containai.owner": "0"}


@pytest.mark.parametrize(
    ("inspected", "said"),
    [
        (volume(OURS), ""),
        (volume(None), "it lacks containai.managed"),
        (volume(OURS | {"containai.owner": "me"}), "what its labels say is nothing"),
        (volume(OURS | {"containai.owner": "54321"}), "user 54321's, whom there is not"),
        (volume(OURS, Options={"device": "/"}), "directory of the host's"),
    ],
)
def test_labels_of_volumes(machine, box, monkeypatch, inspected, said):
    monkeypatch.setattr(Engine, "volumes", lambda *_: [])
    monkeypatch.setattr(Engine, "inspect", lambda *_: inspected)
    found = Labels().check(machine)
    assert found.ok is not bool(said)
    assert said in found.seen
    assert found.optional is ("whom there is not" in said)
    if said:
        assert "cai run --fresh --name one --data-volume" in found.hint


def test_a_volume_that_nobody_has_is_never_removed_by_itself(machine, monkeypatch):
    monkeypatch.setattr(Engine, "volumes", lambda *_: ["odd"])
    monkeypatch.setattr(Engine, "inspect", lambda *_: volume({}))
    found = Labels().check(machine)
    assert Labels().plan(machine, found) == []
    assert found.hint.endswith("cai docker volume rm odd")


def test_data_of_nobody(machine, box, monkeypatch):
    path = f"{machine.layout.engine_data}/volumes/one/_data"
    os.makedirs(path)
    monkeypatch.setattr(Engine, "inspect", lambda *_: {"Mountpoint": path})
    found = Ownership().check(machine)
    assert found.ok is (os.stat(path).st_uid == 1000)
    if not found.ok:
        one, rest = Ownership().plan(machine, found)
        assert one.argv == ["chown", "--no-dereference", "1000:1000", path]
        assert rest.argv[:3] == ["find", path, "-xdev"]
        assert "-execdir" in rest.argv
    # What is said to be elsewhere is not ours to give away.
    monkeypatch.setattr(Engine, "inspect", lambda *_: {"Mountpoint": f"{path}/../../../../etc"})
    assert Ownership().check(machine).ok


def test_agents_of_a_box():
    said = "claude 1 2.1.332 (Claude Code)\ncodex 0 codex-cli 0.171.0\nsandbox works\n"
    within = Within.parse(said)
    assert [(each.agent.name, each.version, each.has_login) for each in within.seen] == [
        ("claude", "2.1.332", True),
        ("codex", "0.171.0", False),
    ]
    assert within.sandbox == "works"


@pytest.mark.parametrize(
    "hostile", ["", "claude", "rm 1 2.0\n", "claude 1 \x1b[2J" + "1." * 9000, "sandbox \x1b[2J"]
)
def test_what_a_box_says_of_agents_steers_nothing(hostile):
    within = Within.parse(hostile)
    assert within.sandbox == ""
    assert all(each.version.isprintable() and len(each.version) <= 61 for each in within.seen)


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("sandbox none\n", "prints what installs claude"),
        ("claude 1 2.1\nsandbox fails\n", "own sandbox fails"),
        ("claude 0 2.1\nsandbox works\n", "log in: cai run --name one"),
        ("claude 1 2.1\nsandbox works\n", ""),
    ],
)
def test_agents_that_are_judged(machine, box, monkeypatch, said, hint):
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(inside, "answers", lambda *_: {box.container: said})
    found = AgentsInside().check(machine)
    assert hint in found.hint
    assert found.ok is not bool(hint)


def test_a_login_is_looked_for_and_not_read():
    assert "cat " not in script()
    assert ".credentials.json" in script()
