"""What other layers call: which way the work of a workspace goes, and what is left of it."""

import os
import subprocess

import pytest

from containai.errors import CopyError, NoSpaceError, SshConnectError
from containai.host.proc import Done
from containai.transfer import exchange
from containai.transfer.count import Unfetched
from containai.transfer.plain import Exchanged
from containai.transfer.pull import Pulled
from containai.transfer.push import Pushed
from containai.transfer.reach import Reach, failed, shown


def words(bench):
    return bench.programs, bench.layout, bench.reach


def push(bench, *ignored):
    programs, layout, reach = words(bench)
    told = bench.told.append
    return exchange.push(programs, layout, reach, bench.here.path, ignored=ignored, tell=told)


def pull(bench, *, merge):
    programs, layout, reach = words(bench)
    return exchange.pull(
        programs, layout, reach, bench.here.path, merge=merge, tell=bench.told.append
    )


def test_repository(bench):
    here = bench.here.init().put("a", "1")
    here.commit()
    assert isinstance(push(bench), Pushed)
    bench.box.put("a", "2")
    assert exchange.unfetched(*words(bench)) == Unfetched(changed=1)
    pulled = pull(bench, merge=True)
    assert isinstance(pulled, Pulled)
    assert here.get("a") == "2"
    assert "cai-api" in here.git("remote")
    exchange.forget(*words(bench))
    assert here.git("remote") == here.git("for-each-ref", "refs/remotes", "refs/cai") == ""
    assert os.listdir(f"{bench.layout.state_dir}/transfer") == []
    assert not os.path.exists(f"{bench.layout.state_dir}/transfer/api")


def test_a_box_that_gets_another_name(bench):
    here = bench.here.init().put("a", "1")
    here.commit()
    push(bench)
    bench.box.put("a", "2")
    pull(bench, merge=False)
    before = here.git("for-each-ref", "--format=%(objectname)", "refs/remotes")
    for name in ("mine", "a.b/c"):
        here.git("branch", "--no-track", name)
        here.git("config", f"branch.{name}.remote", "cai-api")
        here.git("config", f"branch.{name}.merge", "refs/heads/main")
    here.git("branch", "--no-track", "other")
    here.git("config", "branch.other.remote", "cai-api-2")
    here.git("config", "branch.other.pushRemote", "cai-api")
    here.git("config", "remote.pushDefault", "cai-api")
    new = Reach("web", bench.reach.argv)
    for _ in range(2):
        exchange.rename(bench.programs, bench.layout, bench.reach, new)
    assert here.git("remote") == "cai-web\n"
    assert here.git("for-each-ref", "--format=%(objectname)", "refs/remotes") == before
    assert "cai-api" not in here.git("for-each-ref")
    said = {
        key: here.git("config", "--get-all", key).strip()
        for key in (
            "branch.mine.remote", "branch.a.b/c.remote", "branch.mine.merge",
            "branch.other.remote", "branch.other.pushRemote", "remote.pushDefault",
        )
    }  # fmt: skip
    assert [*said.values()] == [
        "cai-web", "cai-web", "refs/heads/main", "cai-api-2", "cai-web", "cai-web",
    ]  # fmt: skip
    bench.reach = new
    pull(bench, merge=True)
    assert here.get("a") == "2"
    assert not os.path.exists(f"{bench.layout.state_dir}/transfer/api")


def test_files_of_a_box_that_gets_another_name(bench):
    bench.here.put("a", "1")
    push(bench)
    new = Reach("web", bench.reach.argv)
    exchange.rename(bench.programs, bench.layout, bench.reach, new)
    bench.reach = new
    bench.box.put("a", "2")
    assert exchange.unfetched(*words(bench)) == Unfetched(changed=1)


def test_files(bench):
    here = bench.here.put("a", "1")
    assert isinstance(push(bench), Exchanged)
    bench.box.put("a", "2").put("b", "b")
    assert exchange.unfetched(*words(bench)) == Unfetched(changed=2)
    pull(bench, merge=False)
    assert here.get("b") == "b"
    with pytest.raises(CopyError, match="where there is no git"):
        push(bench, "x")
    here.init()
    with pytest.raises(CopyError, match="has the work of"):
        push(bench)


def test_box_that_got_nothing_yet(bench):
    assert exchange.unfetched(*words(bench)) == Unfetched()
    bench.box.put("a", "1")
    assert exchange.unfetched(*words(bench)) == Unfetched(changed=1)


def test_workspace_that_is_gone_is_forgotten_too(bench):
    here = bench.here.init().put("a", "1")
    push(bench)
    subprocess.run(["rm", "-r", here.path], check=True)
    exchange.forget(*words(bench))
    assert not os.path.exists(f"{bench.layout.state_dir}/transfer/api")


@pytest.mark.parametrize(
    ("done", "kind", "words"),
    [
        (Done(255, "", "ssh: Connection refused"), SshConnectError, "Connection refused"),
        (Done(128, "", "fatal: write error: No space left on device"), NoSpaceError, "no room"),
        (Done(127, "", "there is no git"), CopyError, "lacks a program"),
        (Done(1, "", "\x1b[2Jboo\n"), CopyError, "boo"),
        (Done(1, "", ""), CopyError, "code 1"),
    ],
)
def test_how_a_box_fails(done, kind, words):
    wrong = failed(Reach("api", ["ssh", "api"]), done)
    assert isinstance(wrong, kind)
    assert words in str(wrong)
    assert wrong.hint
    assert "\x1b" not in str(wrong)


def test_git_that_is_missing_here(bench, monkeypatch):
    bench.here.init()
    monkeypatch.setattr(bench.programs, "which", lambda program, *, root=False: None)
    with pytest.raises(CopyError, match="git is missing") as raised:
        push(bench)
    assert "install" in raised.value.hint


def test_what_is_shown_is_short_and_steers_nothing():
    assert shown("a\x1b[31m\n" + "b" * 1000) == "a\ufffd[31m\ufffd" + "b" * 293
