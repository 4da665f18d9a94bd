"""The machine that does nothing: what it records, how it answers, and that it fails as told."""

import os

import pytest

from containai.errors import ContainAIError, PrivilegeError
from containai.host.fake import Replaced
from containai.host.proc import Done, ProcessError


def test_it_records_what_is_run_in_order(host):
    host.run(["ls", "x"])
    host.run(["rm", "x"], root=True)
    host.run_limited(["cat"], stdin=b"", limit=1, timeout=1.0)
    host.stream(["apt-get", "update"], print, root=True)
    host.run_detached(["ssh"])
    assert host.ran == [
        ("ls", "x"),
        ("#", "rm", "x"),
        ("cat",),
        ("#", "apt-get", "update"),
        ("ssh",),
    ]


def test_nothing_is_run(host, tmp_path):
    assert host.run(["touch", str(tmp_path / "x")]) == Done(0, "", "")
    assert not (tmp_path / "x").exists()


def test_the_latest_answer_that_fits_counts(host):
    host.answer("git", out="any")
    host.answer("git", "log", out="log")
    assert [host.run(argv).out for argv in (["git"], ["git", "log", "x"], ["gitk"])] == [
        "any", "log", "",
    ]  # fmt: skip
    host.answer("git", out="again")
    assert host.run(["git", "log"]).out == "again"


def test_a_code_that_was_not_asked_for_is_an_error_as_it_really_is(host):
    host.answer("false", code=3, out="out", err="why")
    with pytest.raises(ProcessError, match="false ended with code 3: why") as caught:
        host.run(["false"])
    assert caught.value.done == Done(3, "out", "why")
    assert host.run(["false"], ok=(0, 3)).code == host.run(["false"], ok=None).code == 3
    assert host.run_detached(["false"]) == 3
    assert host.run_limited(["false"], stdin=b"", limit=1, timeout=1.0).code == 3
    with pytest.raises(ProcessError, match="code 3"):
        host.stream(["false"], print)


def test_an_answer_may_act_or_raise(host, tmp_path):
    host.answer("make", act=(tmp_path / "made").touch)
    host.run(["make"])
    assert (tmp_path / "made").exists()

    def refuse():
        raise PrivilegeError("no sudo")

    host.answer("make", act=refuse)
    with pytest.raises(PrivilegeError):
        host.run(["make"])
    assert host.ran == [("make",), ("make",)]


def test_lines_are_handed_over(host):
    seen: list[str] = []
    host.answer("build", out="a\nb\n")
    host.stream(["build"], seen.append)
    assert seen == ["a", "b"]


def test_what_a_watch_raises_is_raised(host):
    def watch():
        raise LookupError

    with pytest.raises(LookupError):
        host.run_detached(["ssh"], watch)


def test_what_is_missing(host):
    assert host.which("ls", root=True) == "/usr/bin/ls"
    host.missing.add("ls")
    assert host.which("ls") is None
    with pytest.raises(ProcessError, match="'ls' is missing") as caught:
        host.run(["ls"], ok=None)
    assert caught.value.done.code == 127


def test_the_process_is_not_replaced(host):
    with pytest.raises(Replaced) as caught:
        host.replace(["ssh", b"box"])
    assert caught.value.argv == ["ssh", b"box"]
    assert not isinstance(caught.value, ContainAIError)


def test_facts_are_as_they_were_told(host, layout):
    assert (host.is_root(), host.has_systemd(), host.invoker()) == (True, False, None)
    assert host.as_root(["ls"]) == ["ls"]
    host.root, host.systemd, host.online, host.free = False, True, [0, 2], 8
    assert (host.is_root(), host.has_systemd()) == (False, True)
    assert host.as_root(["ls"]) == ["sudo", "--", "ls"]
    assert host.processors() == [0, 2]
    assert host.free_bytes("/") == 8
    assert host.layout is layout


def test_room_is_what_there_really_is_unless_it_was_told(host):
    assert 0 < host.free_bytes("/") <= os.statvfs("/").f_blocks * os.statvfs("/").f_frsize
