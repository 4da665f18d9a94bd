import json
import os

import pytest

from containai.boxes import owner
from containai.cli.commands import reclaim
from containai.cli.report import Note
from containai.engine.container import State
from containai.errors import ContainAIError, NotSetUpError, WorkspaceError


@pytest.fixture
def ready(app):
    """An App whose runtime is there."""
    os.makedirs(app.layout.runtime_dir)
    os.mknod(app.layout.runtime_program)
    return app


def answer(app, changed, problems=()):
    said = json.dumps({"changed": changed, "problems": list(problems)})
    app.machine.answer(app.layout.runtime_program, "reclaim", out=said)


def whose(app, path):
    uid, gid = owner.of(app.layout, str(path))
    return uid, gid, f"{owner.user_name(uid)}:{owner.group_name(gid)}"


def test_files_become_the_owners(ready, workspace):
    answer(ready, 3)
    report = reclaim.run(ready, path=None, dry_run=False)
    uid, gid, name = whose(ready, workspace)
    assert report.value == {"changed": 3, "owner": name, "problems": [], "dry_run": False}
    assert report.views == [f"3 files and directories now belong to {name}\n"]
    assert (report.code, report.notes) == (0, ())
    argv = ("#", ready.layout.runtime_program, "reclaim", str(workspace), str(uid), str(gid))
    assert ready.machine.ran[-1] == argv


def test_a_dry_run_only_counts(ready, workspace, elsewhere):
    ready.add_box(workspace)
    answer(ready, 2)
    report = reclaim.run(ready, path=str(workspace), dry_run=True)
    assert report.views[0].startswith("2 files and directories would belong to ")
    assert report.value["dry_run"] is True
    (argv,) = ready.ran("reclaim")
    assert argv[2:5] == ("reclaim", "--dry-run", str(workspace))


@pytest.mark.parametrize("part", ["", "below", ".."])
def test_refused_while_a_box_of_it_runs(ready, workspace, part):
    (workspace / "below").mkdir()
    ready.add_box(workspace, name="api")
    with pytest.raises(ContainAIError, match="'api' is running") as raised:
        reclaim.run(ready, path=str(workspace / part), dry_run=False)
    assert (raised.value.exit_code, raised.value.hint) == (1, "stop it first: cai stop --name api")
    assert ready.ran("reclaim") == []


@pytest.mark.parametrize("state", [State.EXITED, State.CREATED, State.DEAD])
def test_not_by_a_box_that_does_not_run_nor_by_one_of_elsewhere(ready, workspace, elsewhere, state):
    ready.add_box(workspace, state=state)
    ready.add_box(elsewhere, port=2302)
    answer(ready, 1)
    assert reclaim.run(ready, path=str(workspace), dry_run=False).code == 0


def test_without_an_engine_no_box_runs(ready, workspace):
    ready.stop_engine()
    answer(ready, 0)
    assert reclaim.run(ready, path=None, dry_run=False).value["changed"] == 0


def test_what_could_not_be_changed_is_named_and_the_exit_code(ready, workspace):
    problems = [f"{number}: busy" for number in range(12)]
    answer(ready, 5, problems)
    report = reclaim.run(ready, path=None, dry_run=False)
    assert report.code == 1
    assert report.value["problems"] == problems
    shown = "\n  ".join(problems[:10])
    assert report.notes == [Note(f"12 could not be changed:\n  {shown}")]


def test_on_a_bare_machine(bare, workspace):
    with pytest.raises(NotSetUpError) as raised:
        reclaim.run(bare, path=None, dry_run=False)
    assert (raised.value.exit_code, bare.machine.ran) == (16, [])


def test_what_does_not_exist(ready, workspace):
    with pytest.raises(WorkspaceError) as raised:
        reclaim.run(ready, path="none", dry_run=True)
    assert (raised.value.exit_code, ready.machine.ran) == (23, [])
