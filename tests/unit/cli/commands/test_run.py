import os
from typing import Any

import pytest

from containai.boxes.target import Target
from containai.boxes.workspace import box_name
from containai.cli.command import parse
from containai.cli.commands import run as command
from containai.cli.commands import shell
from containai.cli.report import Report
from containai.engine.container import State
from containai.errors import (
    NameTakenError,
    NotSetUpError,
    UnsupportedError,
    UsageError,
    WorkspaceError,
)
from containai.images import recipe
from harness.app import ANOTHER, FakeApp, words
from unit.flows.steps import Switch

UNAME = ["uname", "-a"]


class Setup(Switch):
    """A step that sets the machine of an App up."""

    def __init__(self, app, **options):
        super().__init__("everything", **options)
        self.app = app

    def _turn(self, progress):
        super()._turn(progress)
        self.app.set_up()


def run(app, target=Target(), what=UNAME, *, force=False, skip_mounts=False):  # noqa: B008
    return command.run(
        app, target, what, force=force, skip_mounts=skip_mounts, dry_run=False, fresh=False
    )


def created(app):
    return next(each for each in app.docker.requests if each[0] == "create")


def test_a_new_box_is_made_and_entered(app, workspace):
    name = box_name(str(workspace), app.layout.uid)
    outcome = run(app)
    assert list(outcome.argv) == [
        *("ssh", "-F", app.layout.ssh_block(name), "-S", app.layout.control_socket(name)),
        *("-T", "--", name),
        b"cd -- /home/agent/workspace && exec uname -a",
    ]
    assert words(app.docker.requests) == ["create", "cp", "start"]
    made = app.docker.container(name)
    assert made.image == recipe.wanted(app.settings).reference
    assert made.mount("/home/agent/workspace").source == str(workspace)
    assert app.user.said == [f"making the box {name}: 8 GiB of memory, 1 processor"]
    assert app.user.asked == []


def test_a_box_of_a_path_and_of_a_name(app, workspace, elsewhere):
    outcome = run(app, Target(str(workspace), "api"))
    assert outcome.argv[-2] == "api"
    assert app.docker.container("api").mount("/home/agent/workspace").source == str(workspace)


def test_a_box_by_its_name_from_another_directory(app, workspace, elsewhere):
    box = app.add_box(workspace, name="api", state=State.EXITED)
    outcome = run(app, Target(name="api"))
    assert outcome.argv[-2:] == ["api", b"cd -- /home/agent/workspace && exec uname -a"]
    assert app.docker.requests == [("start", box.id)]


def test_without_a_command_it_is_the_agent(app, workspace):
    line = run(app, what=[]).argv[-1]
    assert isinstance(line, bytes)
    assert b" sh claude " in line
    assert b"npm i -g @anthropic-ai/claude-code" in line


def test_a_dry_run_is_a_report(app, workspace):
    seen = command.run(
        app, Target(), UNAME, force=False, skip_mounts=False, dry_run=True, fresh=False
    )
    assert isinstance(seen, Report)
    name = box_name(str(workspace), app.layout.uid)
    assert (seen.value["changed"], seen.value["box"], seen.value["status"]) == (False, name, None)
    assert seen.views == ["".join(f"{line}\n" for line in seen.value["plan"])]
    assert seen.value["session"][-2:] == [name, "cd -- /home/agent/workspace && exec uname -a"]
    assert app.docker.requests == []
    run(app)
    assert app.engine.argv(*created(app)) == seen.value["create"]


@pytest.mark.parametrize("words", [["--json"], ["--json", "--", "uname", "--dry-run"]])
def test_json_is_for_a_dry_run(words):
    with pytest.raises(UsageError, match="--json goes with --dry-run"):
        parse(command.COMMANDS[0], words)
    assert parse(command.COMMANDS[0], ["--dry-run", *words]).as_json


def test_a_session_has_variables_of_its_own_and_no_command_line_has_them(app, workspace):
    app.environ = {"NPM_TOKEN": "secret-token"}
    words: dict[str, Any] = {"force": False, "skip_mounts": False, "fresh": False}
    given = ["NPM_TOKEN", "A=secret it's"]
    outcome = command.run(app, Target(), UNAME, **words, dry_run=False, env=given)
    assert outcome.given == {
        "CONTAINAI_SESSION": "CONTAINAI_GIVEN=1; export NPM_TOKEN='secret-token' "
        "A='secret it'\\''s'"
    }
    assert list(outcome.argv)[5:7] == ["-o", "SendEnv=CONTAINAI_SESSION"]
    seen = command.run(app, Target(), UNAME, **words, dry_run=True, env=given)
    assert seen.value["variables"] == ["A", "NPM_TOKEN"]
    assert seen.views[0].endswith("with variables of its own: A, NPM_TOKEN\n")
    assert "secret" not in repr([*outcome.argv, seen])
    for wrong in ("GONE", "SHLVL=1", "=", "A*"):
        with pytest.raises(UsageError, match="--env: "):
            command.run(app, Target(), UNAME, **words, dry_run=False, env=[wrong])


def test_the_advice_of_an_agent_leads_into_the_same_box(app, workspace):
    line = run(app, Target(str(workspace), "api"), []).argv[-1]
    assert f"hint: install it there: cai run --name api {workspace} -- sh -c ".encode() in line


def test_an_agent_that_nobody_knows_ends_before_anything_is_done(bare, workspace):
    bare.flags = {"agent.default": "cluade"}
    with pytest.raises(UsageError, match="there is no agent 'cluade'"):
        run(bare, what=[])
    assert (bare.user.asked, bare.docker.requests) == ([], [])


def test_an_agent_is_given_its_own_login_and_that_is_said(app, workspace):
    app.environ = {"ANTHROPIC_API_KEY": "secret", "OPENAI_API_KEY": "secret"}
    outcome = run(app, what=[])
    argv = list(outcome.argv)
    assert list(outcome.given) == ["ANTHROPIC_API_KEY"]
    assert argv[5:7] == ["-o", "SendEnv=ANTHROPIC_API_KEY"]
    assert app.user.told == ["cai: claude is given ANTHROPIC_API_KEY (agent.logins)\n"]
    assert "secret" not in repr(argv)
    assert "-o" not in run(app).argv
    assert run(app).given == {}
    app.flags = {"agent.logins": "false"}
    assert "-o" not in run(app, what=[]).argv


def test_an_agent_that_does_not_ask_is_told(app, workspace):
    app.flags = {"agent.unattended": "true", "agent.default": "codex"}
    line = run(app, what=[]).argv[-1]
    assert line.endswith(b" --dangerously-bypass-approvals-and-sandbox")
    assert app.user.told == ["cai: codex does not ask before it acts (agent.unattended)\n"]


def test_another_agent_needs_nothing_of_a_running_box(app, workspace):
    app.flags = {"agent.default": "codex"}
    assert b" sh codex " in run(app, what=[]).argv[-1]


def test_a_shell(app, workspace):
    outcome = shell.run(app, Target(), force=False, skip_mounts=False)
    assert outcome.argv[-1] == b'cd -- /home/agent/workspace && exec "$SHELL" -l'
    assert words(app.docker.requests) == ["create", "cp", "start"]


def test_a_bare_machine_is_set_up_first(bare, workspace, have_steps):
    have_steps(Setup(bare))
    run(bare)
    assert bare.user.asked == ["Do it now?"]
    assert words(bare.docker.requests) == ["create", "cp", "start"]


def test_who_does_not_agree_has_no_box(layout, workspace, have_steps):
    layout.uid = os.getuid()
    bare = FakeApp(layout, agrees=False)
    step = Setup(bare)
    have_steps(step)
    with pytest.raises(NotSetUpError) as raised:
        run(bare)
    assert raised.value.exit_code == 16
    assert (step.right, bare.docker.requests) == (False, [])


def test_what_no_plan_can_mend_is_said_before_anybody_is_asked(bare, workspace, have_steps):
    class Never(Switch):
        def check(self, host):
            raise UnsupportedError("not on this machine")

    have_steps(Never("system"))
    with pytest.raises(UnsupportedError):
        run(bare)
    assert (bare.user.asked, bare.docker.requests) == ([], [])


def test_an_image_that_is_missing_is_made_by_setup(app, workspace, have_steps):
    app.docker.by_reference.clear()
    step = Setup(app)
    have_steps(step)
    run(app)
    assert step.right


@pytest.mark.parametrize("uid", [0, ANOTHER - 1])
@pytest.mark.parametrize(
    "go", [run, lambda app, target: shell.run(app, target, force=True, skip_mounts=False)]
)
def test_another_users_box_is_not_entered(app, workspace, uid, go):
    app.layout.uid = uid
    app.add_box(workspace, name="api", owner=ANOTHER)
    with pytest.raises(NameTakenError) as raised:
        go(app, Target(name="api"))
    assert raised.value.exit_code == 15
    assert app.docker.requests == []


def test_a_workspace_of_another_user_gets_no_box_unless_told(app, workspace):
    app.layout.uid = ANOTHER
    with pytest.raises(WorkspaceError, match="belongs to") as raised:
        run(app)
    assert raised.value.exit_code == 23
    assert app.docker.requests == []
    run(app, force=True)
    assert words(app.docker.requests) == ["create", "cp", "start"]


def test_the_home_is_no_workspace_unless_told(app):
    home = Target(app.layout.home)
    with pytest.raises(WorkspaceError, match="your home directory"):
        run(app, home)
    run(app, home, force=True)
    assert words(app.docker.requests) == ["create", "cp", "start"]


def test_what_is_mounted_is_left_out_and_named(app, workspace):
    app.machine.mounted = [f"{workspace}/data", "/srv"]
    run(app, skip_mounts=True)
    assert any("bind-nonrecursive=true" in word for word in created(app))
    assert app.user.told == [
        f"cai: left out of the box, whose directories there are empty: {workspace}/data\n"
    ]


def test_what_is_mounted_is_shown_else(app, workspace):
    app.machine.mounted = [f"{workspace}/data"]
    run(app)
    assert not any("bind-nonrecursive" in word for word in created(app))
    assert app.user.told == []


@pytest.fixture
def flagged(layout):
    """An App with a limit by a flag, and another in the user's file."""
    layout.uid = os.getuid()
    os.makedirs(layout.config_dir)
    with open(layout.config_file, "w", encoding="utf-8") as file:
        file.write("box.cpus = 1\n")
    return FakeApp(layout, flags={"box.memory": "1g"}).set_up()


def test_a_new_box_has_the_limits_of_flags_and_settings(flagged, workspace):
    run(flagged, Target(name="api"))
    made = flagged.docker.container("api")
    assert (made.memory, made.cpus) == (1 << 30, 1.0)


@pytest.mark.parametrize("state", [State.RUNNING, State.EXITED])
def test_a_box_that_is_there_gets_those_of_flags_only(flagged, workspace, state):
    box = flagged.add_box(workspace, name="api", state=state)
    run(flagged, Target(name="api"))
    seen = flagged.docker.container("api")
    assert (seen.memory, seen.cpus) == (1 << 30, 0)
    changed = ("update", "--memory", str(1 << 30), "--memory-swap", str(1 << 30), box.id)
    assert flagged.docker.requests[0] == changed


def test_without_a_flag_a_box_keeps_its_limits(app, workspace):
    os.makedirs(app.layout.config_dir, exist_ok=True)
    with open(app.layout.config_file, "w", encoding="utf-8") as file:
        file.write('box.memory = "1g"\n')
    app.add_box(workspace, name="api")
    del app.settings
    assert app.settings.box_memory.number == 1 << 30
    run(app, Target(name="api"))
    assert app.docker.requests == []
