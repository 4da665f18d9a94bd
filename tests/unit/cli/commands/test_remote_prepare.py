import subprocess

import pytest

from containai.cli.command import parse
from containai.cli.commands import _remote_prepare as prepare
from containai.errors import ContainAIError, PrivilegeError, UnsupportedError, UsageError
from containai.host.proc import Done, ProcessError
from containai.incus.prepare import Limits, Wanted, commands, script


@pytest.fixture
def app(bare):
    """An App on a bare Debian 13."""
    bare.machine.release = {"ID": "debian", "VERSION_ID": "13", "PRETTY_NAME": "Debian 13"}
    return bare


def run(app, *words):
    return prepare.run(app, **parse(prepare.COMMAND, words).keywords)


def test_without_apply_it_is_a_script_and_nothing_is_run(app):
    app.machine.root = False
    report = run(app, "--user", "alice")
    assert app.machine.ran == []
    [text] = report.views
    assert text.startswith("#!/bin/sh\nset -eu\n")
    assert subprocess.run(["sh", "-n"], input=text, text=True, check=False).returncode == 0
    assert [each["title"] for each in report.value["parts"]][-1] == "token of alice@boxes"


def test_all_that_can_be_said(app):
    words = {
        "user": "alice", "project": "team", "pool": "fast", "size": "30GiB", "bridge": "br7",
        "subnet": "10.7.0.1/24", "listen": "10.0.0.5:8443", "boxes": "20", "memory": "4GiB",
        "cpus": "2", "disk": "20GiB", "total-memory": "64GiB", "total-cpus": "16",
        "total-disk": "1TiB",
    }  # fmt: skip
    report = run(app, *(word for name, text in words.items() for word in (f"--{name}", text)))
    wanted = Wanted(
        "alice", "team", "fast", "br7", "10.7.0.1/24", "30GiB", "10.0.0.5:8443", 20,
        Limits("4GiB", 2, "20GiB"), Limits("64GiB", 16, "1TiB"),
    )  # fmt: skip
    assert report.views == [script(wanted)]


def test_who_runs_it_is_the_user_and_nothing_is_no_limit(app):
    app.machine.user_name = lambda uid: "carol"
    text = run(app, "--cpus", "0").views[0]
    assert "carol@boxes" in text
    assert 'limits.cpu"' not in text


@pytest.mark.parametrize(
    "words",
    [
        ["--user", "a b"], ["--memory", "8g"], ["--cpus", "-1"], ["--cpus", "many"],
        ["--boxes", "1e3"], ["--subnet", "10.0.0.0/24"], ["--total-disk", "1TiB"],
        ["--project", "default"], ["--listen", "8443"],
    ],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("apply", [[], ["--apply"]], ids=["printed", "applied"])
def test_what_cannot_be_is_refused_before_anything_is_run(app, words, apply):
    with pytest.raises(UsageError) as refused:
        run(app, *words, *apply)
    assert refused.value.hint
    assert app.machine.ran == []


def test_it_is_done_part_by_part_and_the_token_alone_is_the_result(app):
    parts = commands(Wanted("alice"))
    app.machine.answer(*parts[-1].words, out="TOKEN\n")
    report = run(app, "--user", "alice", "--apply")
    assert report.views == ["TOKEN\n"]
    assert report.value == {"user": "alice@boxes", "project": "boxes", "token": "TOKEN"}
    assert [each[1:] for each in app.machine.ran] == [tuple(part.words) for part in parts]
    assert {each[0] for each in app.machine.ran} == {"#"}
    steps = [each for each in app.user.said if each.startswith("[")]
    assert steps == [f"[{n}/{len(parts)}] {part.title}" for n, part in enumerate(parts, 1)]
    [shown] = app.user.told
    assert all(f"# {part.title}" in shown for part in parts)
    assert app.user.asked == ["Prepare this server?"]
    assert "TOKEN" not in "".join(app.user.said + app.user.told)


def test_who_is_trusted_gets_no_token(app):
    said = "alice@boxes is trusted already"
    app.machine.answer(*commands(Wanted("alice"))[-1].words, err=f"{said}\n")
    report = run(app, "--user", "alice", "--apply")
    assert (report.views, report.value["token"], report.code) == ((), None, 0)
    assert report.notes[0].text == said


def test_nobody_agrees(app):
    app.user.agrees = False
    with pytest.raises(ContainAIError, match="nothing was changed"):
        run(app, "--apply")
    assert app.machine.ran == []


@pytest.mark.parametrize("number", range(9))
def test_a_part_that_fails_is_named_and_ends_it(app, number):
    part = commands(Wanted("alice"))[number]

    def fail():
        raise ProcessError("a script", Done(1, "", "downloading\nno space left\n"))

    app.machine.answer(*part.words, act=fail)
    with pytest.raises(ContainAIError) as failed:
        run(app, "--user", "alice", "--apply")
    assert f"{part.title}: no space left" in str(failed.value)
    assert len(app.machine.ran) == number + 1


def test_only_root_does_it(app):
    app.machine.root = False
    with pytest.raises(PrivilegeError, match="only root") as refused:
        run(app, "--apply")
    assert "sudo cai remote prepare --apply" in refused.value.hint
    assert app.machine.ran == []


@pytest.mark.parametrize(
    "release",
    [
        {"ID": "debian", "VERSION_ID": "12", "PRETTY_NAME": "Debian 12"},
        {"ID": "ubuntu", "VERSION_ID": "13"},
        {},
    ],
)
def test_another_system_is_told_what_to_do(app, release):
    app.machine.release = release
    with pytest.raises(UnsupportedError, match="Debian 13") as refused:
        run(app, "--apply")
    assert "cai remote prepare >" in refused.value.hint
    assert app.machine.ran == []
