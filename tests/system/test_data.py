"""What outlives a box: its data volume, and the links that lead there."""

import io
import json
import tarfile

import pytest

from containai.boxes import data, lookup
from containai.boxes.data import Place
from containai.engine.client import Engine
from containai.errors import EngineError, NameTakenError, UsageError
from containai.host.machine import Machine
from harness.site import refused, text

KEPT = """
set -e
git config --global user.name Someone
mkdir -p ~/.claude/projects; echo login >~/.claude/.credentials.json
# As whoever writes atomically, and does not look whether it is a link.
echo '{}' >~/.claude.json.new; mv ~/.claude.json.new ~/.claude.json
rm -r ~/.codex; mkdir ~/.codex; echo key >~/.codex/auth.json
echo mine >~/not-kept
"""
SEEN = """
set -e
git config --global user.name
cat ~/.claude/.credentials.json ~/.claude.json ~/.codex/auth.json
stat -c '%U %a' -L ~/.claude ~/.codex
find ~ /mnt/agent-data -xdev ! -user agent
readlink ~/.claude.json ~/.codex
ls ~/not-kept 2>&1 >/dev/null | wc -l
"""


def test_what_is_kept_outlives_its_box(site, space):
    space.sh(KEPT)
    site.cai("rm", space.path)
    volume = json.loads(site.docker("volume", "inspect", space.box))[0]
    assert volume["Labels"] == {
        "containai.managed": "true",
        "containai.owner": "0",
        "containai.workspace": space.path,
        "containai.kind": "data",
    }
    assert space.sh(SEEN).splitlines() == [
        "Someone",
        "login",
        "{}",
        "key",
        "agent 700",
        "agent 700",
        "/mnt/agent-data/.claude.json",
        "/mnt/agent-data/.codex",
        "1",
    ]


#: What the programs of a box do not expect, and its boot survives.
HOSTILE = """
set -e
cd /mnt/agent-data
rm -rf .bash_history .claude .config .codex .gemini
mkfifo .bash_history .claude.json .gemini; ln -s /nowhere .claude; echo >.config
ln -s . .codex; ln -s /etc/shadow .gitconfig
mkdir .qwen/many && cd .qwen/many && seq 2000 | xargs touch
rm ~/.vibe; mkfifo ~/.vibe; rm ~/.aider; ln -s /dev/zero ~/.aider
sudo chown root:root /mnt/agent-data /mnt/agent-data/.local; sudo chmod 0 /mnt/agent-data
"""


def test_a_box_comes_up_whatever_its_agent_left_in_its_volume(site, space):
    space.sh(HOSTILE)
    for end in ("restart", "rm"):
        site.cai(end, space.path)
        assert space.sh(
            "systemctl is-active containai-init ssh; readlink ~/.qwen; true"
        ).split() == [
            "active",
            "active",
            "/mnt/agent-data/.qwen",
        ]
    said = space.sh("sudo journalctl -u containai-init -o cat --no-pager")
    assert ".gemini does not outlive this box: in the volume it is no directory" in said


def test_reset_has_a_new_volume_and_fresh_the_same(site, space):
    space.sh("echo mine >~/.codex/auth.json; cat /etc/hostname >~/.kept")
    site.cai(
        "run",
        "--fresh",
        "--yes",
        *space.force,
        space.path,
        "--",
        "cat",
        "/home/agent/.codex/auth.json",
    )
    done = site.cai(
        "run", "--reset", "--yes", *space.force, space.path, "--", "ls", "-A", "/home/agent/.codex"
    )
    assert done.stdout == b""
    (row,) = (
        each
        for each in json.loads(site.cai("volume", "ls", "--json").stdout)
        if each["workspace"] == space.path
    )
    assert (row["name"], row["boxes"]) == (f"{space.box}.2", [space.box])
    refused(site.cai("volume", "rm", row["name"], "--yes", check=False), NameTakenError)
    site.cai("rm", "--data", "--yes", space.path)
    assert row["name"] not in site.docker("volume", "ls", "-q").split()


def test_boxes_that_share_a_volume_see_the_same_owner_and_it_is_said(site, shared, space):
    site.docker("volume", "create", "foreign")
    try:
        words = ("--data-volume", "foreign", *space.force, space.path, "--", "true")
        lines = refused(site.cai("run", *words, check=False), NameTakenError)
        assert "no data volume of ContainAI's" in lines[-2]
    finally:
        site.docker("volume", "rm", "foreign")
    own = place(site, shared).volume
    shared.sh("echo mine >~/.qwen/note; sudo touch ~/.qwen/roots; mkdir -p ~/.qwen")
    words = ("--data-volume", own, *space.force, space.path, "--")
    done = site.cai("run", *words, "sh", "-c", "cd ~/.qwen; stat -c '%U %n' note roots; cat note")
    assert f"is also that of {shared.box}: each can run code in the others" in text(done)
    assert done.stdout == b"agent note\nroot roots\nmine\n"
    assert space.id_range() != shared.id_range()
    refused(site.cai("rm", "--data", "--yes", space.path, check=False), NameTakenError)
    words = ("--data-volume", "another", space.path, "--", "true")
    assert "--fresh" in refused(site.cai("run", *words, check=False), UsageError)[-1]


def place(site, space):
    box = lookup.get(Engine(Machine(site.layout)), space.box)
    return Place(box.data, box.image)


def test_what_is_poured_into_a_volume_is_the_agents_and_comes_out_again(site, shared):
    given = io.BytesIO()
    with tarfile.open(fileobj=given, mode="w") as archive:
        entry = tarfile.TarInfo(".config/gh/hosts.yml")
        entry.size, entry.mode, entry.uid, entry.mtime = 3, 0o640, 0, 1_000_000_000
        archive.addfile(entry, io.BytesIO(b"abc"))
    given.seek(0)
    engine = Engine(Machine(site.layout))
    data.pour(engine, place(site, shared), given)
    assert shared.sh("cd ~/.config/gh; stat -c '%U %a %Y' hosts.yml; cat hosts.yml") == (
        "agent 640 1000000000\nabc"
    )
    drained = io.BytesIO()
    data.drain(engine, place(site, shared), drained)
    drained.seek(0)
    with tarfile.open(fileobj=drained) as archive:
        assert archive.extractfile("./.config/gh/hosts.yml").read() == b"abc"


class Ends:
    """A file whose disk goes away."""

    def __init__(self):
        self.left = 3

    def read(self, size):
        self.left -= 1
        if not self.left:
            raise OSError("the disk is gone")
        return bytes(size)

    def write(self, content):
        raise OSError("the disk is gone")


def test_what_cannot_be_poured_or_drained_says_why_and_leaves_no_container(site, shared):
    engine, there = Engine(Machine(site.layout)), place(site, shared)
    before = site.container_names()
    with pytest.raises(EngineError, match="does not look like a tar archive"):
        data.pour(engine, there, io.BytesIO(b"no archive" * 1000))
    for move in (data.pour, data.drain):
        with pytest.raises(OSError, match="the disk is gone"):
            move(engine, there, Ends())
    assert site.container_names() == before
