import json
import os

import pytest

from containai.runtime import oom
from containai.runtime.oom import Follower, Kill

ID, OTHER = "a" * 64, "b" * 64
AT = 57954305903


def record(*, cpuset=ID, memcg=f"/docker/{ID}", task="python3", priority=6, below=""):
    return (
        f"{priority},123,{AT},-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),"
        f"cpuset={cpuset},mems_allowed=0,oom_memcg={memcg}{below},task_memcg={memcg}{below}/x,"
        f"task={task},pid=22473,uid=-1811938328\n SUBSYSTEM=x\n"
    )


@pytest.mark.parametrize(
    ("said", "task", "below"),
    [
        (record(), "python3", ""),
        (record(memcg=f"/system.slice/docker-{ID}.scope"), "python3", ""),
        (record(below=f"/system.slice/docker-{OTHER}.scope"), "python3", None),
        (record(below="/user.slice/a b"), "python3", "/user.slice/a b"),
        (record(task="a,pid=1,uid=0"), "a,pid=1,uid=0", ""),
        (record(task=r"\x1b[2J\x0a"), r"\x1b[2J\x0a", ""),
    ],
)
def test_what_was_ended_and_where(said, task, below):
    below = f"/system.slice/docker-{OTHER}.scope" if below is None else below
    assert oom.parsed(said) == Kill(ID, AT, task, below, of_machine=False)


@pytest.mark.parametrize(
    "said",
    [
        # Names that the agent gives: of its cgroups, which have no slash, and of its processes.
        record(cpuset=f"x,oom_memcg=,docker,{OTHER}"),
        record(cpuset=f"x,mems_allowed=0,oom_memcg=docker-{OTHER}.scope"),
        record(below=f"/x,oom_memcg=/docker/{OTHER}"),
        record(below=f"/docker/{OTHER}"),
        record(below=f"/{OTHER}"),
        record(task=f"oom_memcg=/{OTHER}"[:15]),
    ],
)
def test_no_name_in_a_box_makes_it_another_boxes(said):
    # What looks for an id anywhere would be led astray.
    assert OTHER in said or "oom_memcg=/bbb" in said
    kill = oom.parsed(said)
    assert kill is not None
    assert kill.container == ID


def test_the_machine_had_none_left():
    said = record().replace("CONSTRAINT_MEMCG", "CONSTRAINT_NONE")
    said = said.replace(f"oom_memcg=/docker/{ID},", "global_oom,")
    assert oom.parsed(said) == Kill(ID, AT, "python3", "", of_machine=True)


@pytest.mark.parametrize(
    "said",
    [
        # Of a program that may write to the log: syslog's facilities are not the kernel's.
        record(priority=14),
        record(priority=30),
        record().replace("oom-kill", "x oom-kill"),
        record(memcg="/user.slice/session"),
        record(memcg="/docker/" + "a" * 63),
        "",
        ";",
        "6,1,x,-;" + record().partition(";")[2],
        "6,1,5,-;Memory cgroup out of memory: Killed process 1 (x)",
    ],
)
def test_what_says_nothing_of_a_container(said):
    assert oom.parsed(said) is None


@pytest.fixture
def cgroups(tmp_path, monkeypatch):
    monkeypatch.setattr(oom, "CGROUPS", str(tmp_path / "cgroup"))
    group = tmp_path / "cgroup" / "docker" / ID
    (group / "inner").mkdir(parents=True)
    for path, limit in ((group, 512), (group / "inner", 64)):
        (path / "cgroup.procs").write_text("")
        (path / "memory.max").write_text(f"{limit}\n")
    return group


def test_notes_are_of_containers_that_are_there_and_few(tmp_path, cgroups):
    follower = Follower(str(tmp_path))
    follower.note(Kill(OTHER, AT, "x", "", of_machine=False))
    for number in range(oom.KEPT + 5):
        follower.note(Kill(ID, AT, f"p{number}", "/inner", of_machine=False))
    assert sorted(os.listdir(tmp_path)) == [ID, "cgroup"]
    rows = json.loads((tmp_path / ID).read_text())
    assert [row["process"] for row in rows] == [f"p{n}" for n in range(5, oom.KEPT + 5)]
    assert {(row["limit"], row["below"], row["of_machine"]) for row in rows} == {
        (64, "/inner", False)
    }
    follower.note(Kill(ID, AT, "y", "", of_machine=True))
    assert json.loads((tmp_path / ID).read_text())[-1]["limit"] == 0


def test_a_group_that_is_gone_has_no_limit_to_name(tmp_path, cgroups):
    Follower(str(tmp_path)).note(Kill(ID, AT, "x", "/../../..", of_machine=False))
    assert json.loads((tmp_path / ID).read_text())[0]["limit"] == 0
