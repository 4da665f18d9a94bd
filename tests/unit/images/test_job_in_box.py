"""The program in a box that runs jobs, tried outside of one."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from containai.boxes import jobs
from containai.cli import detaching

ROOTFS = Path(__file__).parents[3] / "src/containai/images/base/rootfs"
PROGRAM = ROOTFS / "usr/local/lib/containai/job"


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what the program defines; its systemd is what `ours` answers."""
    names: dict[str, Any] = {"__name__": "job"}
    exec(compile(PROGRAM.read_text(encoding="utf-8"), str(PROGRAM), "exec"), names)
    names |= {"JOBS": str(tmp_path), "ran": [], "ours": None, "there": lambda *_: None}

    def ours(*argv: str) -> tuple[int, str, str]:
        names["ran"].append(argv)
        return 0, "", ""

    names["ours"] = ours
    return names


def order(**changes: Any) -> dict[str, Any]:
    return (
        json.loads(json.dumps(jobs.Order(["make"], "/", {"A": "secret"}, stem="make")._asdict()))
        | changes
    )


def test_what_it_shares_with_cai(job: dict[str, Any]) -> None:
    assert {*job["AGAIN"]} == {*detaching.RESTARTS}
    assert job["PROGRAM"] == jobs.PROGRAM
    sshd = (ROOTFS / "etc/ssh/sshd_config.d/10-containai.conf").read_text(encoding="utf-8")
    [given] = re.findall(r"^SetEnv (.*)$", sshd, re.MULTILINE)
    assert dict(word.split("=", 1) for word in given.split()) == job["SESSION"]


def test_no_command_line_has_a_variable_or_the_command(job: dict[str, Any]) -> None:
    assert job["answer"]({"do": "start"} | order()) == {"name": "make-1"}
    assert "secret" not in repr(job["ran"])
    assert job["ran"][-1][-3:] == ("/bin/bash", "-c", f"exec {jobs.PROGRAM} run make-1")
    assert job["answer"]({"do": "start"} | order())["name"] == "make-2"


def test_what_is_started_again_keeps_its_variables_until_it_has_ended_for_good(
    job: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job["answer"]({"do": "start"} | order(name="x", restart="on-failure"))
    monkeypatch.setenv("EXIT_STATUS", "3")
    monkeypatch.setenv("SERVICE_RESULT", "exit-code")
    job["ended"]("x")
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == [
        "again", "ended", "job", "variables",
    ]  # fmt: skip
    monkeypatch.setenv("EXIT_STATUS", "0")
    monkeypatch.setenv("SERVICE_RESULT", "success")
    job["ended"]("x")
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == ["ended", "job"]


@pytest.mark.parametrize(
    ("restart", "result", "again"),
    [
        ("no", "exit-code", False), ("always", "success", True), ("on-success", "success", True),
        ("on-success", "exit-code", False), ("on-failure", "exit-code", True),
        ("on-failure", "success", False), ("on-abnormal", "exit-code", False),
        ("on-abnormal", "signal", True), ("on-abort", "core-dump", True),
    ],
)  # fmt: skip
def test_when_systemd_starts_again(
    job: dict[str, Any],
    restart: str,
    result: str,
    again: bool,
) -> None:
    assert job["goes_on"]({"restart": restart, "calendar": ""}, result) is again


def test_times_of_systemd(job: dict[str, Any]) -> None:
    assert job["seconds"]("@1795809636") == 1795809636.0
    assert job["seconds"]("Fri 2026-11-27 20:07:00 UTC") == 1795810020
    assert [job["seconds"](each) for each in ("", None, "n/a")] == [None] * 3


def test_only_so_many_are_remembered(job: dict[str, Any], tmp_path: Path) -> None:
    job["REMEMBERED"] = 3
    for _ in range(5):
        name = job["answer"]({"do": "start"} | order())["name"]
        job["write"](name, "ended", {"code": 0, "result": "success", "stopping": False, "time": 1})
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 3
