"""What doctor says of a box on a remote place."""

import shutil

import pytest

from containai.away.place import Ended, Use
from containai.boxes.box import Status
from containai.cli.commands import doctor
from containai.errors import RemoteError
from containai.host import files
from harness.place import far_box

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFAR0000000000000000000000000000000000000000000"


def said(app, **other):
    """Return what a box says in which all is well, but for what is said here."""
    own = (files.read(f"{app.layout.ssh_key}.pub") or "").strip()
    rows = {"system": "running", "sshd": "active", "key": KEY, "letsin": own, "docker": "29.0"}
    rows |= {"disk": "/ 10 10", "end": "1"} | other
    return Ended(0, "".join(f"{key} {text}\n" for key, text in rows.items()).encode(), b"")


@pytest.fixture
def place(app, workspace):
    made = far_box(app, workspace, KEY)
    made._set(
        "far", problem="", image="full", node="",
        limits=(("limits.memory", "1024"), ("limits.processes", "100")),
    )  # fmt: skip
    made.ends = said(app)
    return made


def looked(app, **more):
    report = doctor.run(app, box="far", **more)
    assert app.docker.requests == []
    return report, {row["step"]: row for row in report.value["checks"]}


def test_where_all_is_well(app, place):
    report, rows = looked(app)
    assert [row["state"] for row in rows.values()] == ["ok"] * len(rows)
    assert (report.code, report.value["box"], report.value["fine"]) == (0, "far", True)
    assert rows["state"]["seen"] == "running, far, on work, of full"
    assert "processes 12 of 100" in rows["limits"]["seen"]
    # Of all that ask the box, it is asked once.
    assert [each[0] for each in place.asked].count("run") == 1


def test_one_that_is_off(app, place):
    place._set("far", status=Status.STOPPED)
    report, rows = looked(app)
    assert report.code == 1
    assert rows["state"]["state"] == rows["limits"]["state"] == "ok"
    assert "it does not run" in rows["boxes boot"]["seen"]
    assert "run" not in [each[0] for each in place.asked]


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"problem": "its node is away", "status": Status.BROKEN, "node": "n1"}, "node is away"),
        ({"is_whole": False}, "was interrupted"),
    ],
)
def test_one_that_cannot_be_entered(app, place, changes, seen):
    place._set("far", **changes)
    report, rows = looked(app)
    assert (report.code, rows["state"]["state"]) == (1, "wrong")
    assert seen in rows["state"]["seen"]
    assert rows["state"]["hint"]


def test_one_that_is_gone(app, place):
    place.boxes.clear()
    _, rows = looked(app)
    assert rows["state"]["seen"] == "it is gone from work"


@pytest.mark.parametrize(
    ("other", "step", "seen"),
    [
        ({"system": "maintenance"}, "boxes boot", "maintenance"),
        ({"key": KEY.replace("FAR", "FOO")}, "host keys", "another than the pinned one"),
        ({"letsin": "ssh-ed25519 AAAA"}, "sshd in boxes", "does not let in your key"),
        ({"docker": ""}, "Docker in boxes", "does not answer"),
        ({"disk": "/ 99 10"}, "space in boxes", "99 %"),
    ],
)
def test_what_the_box_says(app, place, other, step, seen):
    place.ends = said(app, **other)
    _, rows = looked(app)
    assert rows[step]["state"] in ("wrong", "none")
    assert seen in rows[step]["seen"]
    assert rows[step]["hint"]


def test_one_that_does_not_answer(app, place):
    place.fails["run"] = RemoteError("work: it has not ended", hint="wait")
    _, rows = looked(app)
    assert "no answer" in rows["boxes boot"]["seen"]
    assert rows["Docker in boxes"]["state"] == "unknown"


def test_a_place_that_does_not_answer(app, place):
    place.fails["find"] = RemoteError("work: the server does not answer", hint="wait")
    report, rows = looked(app)
    assert report.code == 1
    assert "does not answer" in rows["state"]["seen"]


def test_one_that_has_little_left(app, place, monkeypatch):
    used = Use(1023, 1024, 7, 99, 5, 0, "", "")
    monkeypatch.setattr(place, "use", lambda instance: used)
    _, rows = looked(app)
    assert rows["limits"]["state"] == "wrong"
    assert "cai limit --name far --memory SIZE --pids NUMBER" in rows["limits"]["hint"]


def test_what_is_here_of_it(app, place, workspace):
    shutil.rmtree(workspace)
    files.remove(app.layout.ssh_block("far"))
    _, rows = looked(app)
    assert "is gone" in rows["workspace"]["seen"]
    assert "is not there" in rows["host block"]["seen"]
    assert rows["host block"]["hint"] == "cai run --name far -- true"


def test_nothing_of_it_is_mended(app, place):
    place.ends = said(app, letsin="ssh-ed25519 AAAA")
    _, rows = looked(app, fix=True)
    assert rows["sshd in boxes"]["state"] == "wrong"
    assert [each[0] for each in place.asked if each[0] not in ("find", "use", "run")] == []
    planned = doctor.run(app, box="far", dry_run=True)
    assert [each["actions"] for each in planned.value["plan"]] == [[]]
