"""What a dry run says, against what a run then does."""

import json
import os
import socket

import pytest

from containai.boxes.box import Status
from containai.boxes.target import Target
from containai.boxes.workspace import box_name
from containai.engine.container import State
from containai.errors import NameTakenError, UsageError, WorkspaceError
from containai.flows import enter
from containai.flows.outline import Fate
from containai.flows.preview import Preview, Shown, preview
from containai.ssh import session
from containai.work.actions import Run
from harness.app import ANOTHER, PUBLIC_KEY, FakeApp
from unit.flows.steps import Switch

UNAME = ["uname", "-a"]
BOX = Target(name="api")


def seen_in(app, target=BOX, **wanted):
    return preview(app, target, UNAME, enter.Wanted(**wanted))


def requests(app, seen):
    """Return the docker requests of a preview, as the engine gets them."""
    prefix = app.engine.argv()
    return [
        tuple(action.argv[len(prefix) :])
        for action in seen.actions
        if isinstance(action, Run) and list(action.argv[: len(prefix)]) == prefix
    ]


def done_by(app, target=BOX):
    """Return the requests of the run itself; the files it gives a box have no command."""
    argv = enter.made(app, target, UNAME, enter.Wanted()).argv
    done = [words for words in app.docker.requests if words[0] not in ("cp", "ps")]
    return [os.fsdecode(word) for word in argv], done


def by_name(words, app):
    return tuple("api" if word == app.docker.container("api").id else word for word in words)


def tree(layout):
    return sorted((path, sorted(names)) for path, _, names in os.walk(os.path.dirname(layout.home)))


@pytest.mark.parametrize(
    "state", [None, State.CREATED, State.EXITED, State.PAUSED, State.RESTARTING]
)
def test_a_run_does_what_was_said_and_the_preview_nothing(app, workspace, state):
    if state is not None:
        app.add_box(workspace, name="api", state=state, port=app.settings.ssh_port_range.first)
    before = tree(app.layout)
    seen = seen_in(app)
    assert (app.docker.requests, app.user.said, tree(app.layout)) == ([], [], before)
    assert (seen.name, seen.status is None) == ("api", state is None)
    argv, done = done_by(app)
    assert argv == seen.argv
    assert [by_name(words, app) for words in requests(app, seen)] == [
        by_name(words, app) for words in done
    ]
    assert (seen.create is not None) == (state in (None, State.CREATED))


def test_a_new_box(app, workspace):
    seen = seen_in(app, Target())
    name = box_name(str(workspace), app.layout.uid)
    assert (seen.name, seen.status) == (name, None)
    text = seen.describe()
    assert "$ docker --host unix:///" in text
    assert f"create --name {name} --hostname {name}" in text
    assert (
        "write in the box /etc/ssh/ssh_host_ed25519_key (mode 600)\n    (known only later)" in text
    )
    assert f"$ write {app.layout.ssh_block(name)} (mode 600)\n    # Box {name}" in text
    # The user has no key yet.
    assert f"make {app.layout.ssh_key}" in text
    assert text.splitlines()[-1].endswith("'cd -- /home/agent/workspace && exec uname -a'")


def test_the_head_says_what_the_run_makes_and_keeps(app, workspace):
    made = seen_in(app).outline
    enter.made(app, BOX, UNAME, enter.Wanted())
    there = seen_in(app).outline
    fates = (made.fate, made.data, there.fate, there.data)
    assert fates == (Fate.CREATED, Fate.CREATED, Fate.KEPT, Fate.KEPT)
    assert there._replace(fate=made.fate, data=made.data) == made
    anew = seen_in(app, fresh=True).outline
    assert anew._replace(ssh_port=made.ssh_port) == there._replace(fate=Fate.ANEW)


def test_the_head_as_people_read_it(app, workspace):
    seen = seen_in(app)
    assert seen.describe(UNAME).splitlines()[:8] == [
        "box          api (created)",
        f"image        {seen.outline.image}",
        f"workspace    {workspace}",
        f"mount        {workspace}",
        f"data volume  {seen.outline.data_volume} (created)",
        f"limits       {seen.outline.limits.described()}",
        f"ssh          127.0.0.1:{app.settings.ssh_port_range.first}",
        "command      uname -a",
    ]


def test_the_files_of_a_new_box_are_those_that_it_is_given(app, workspace):
    # Where cai leaves them for the runtime.
    os.makedirs(app.layout.engine_given)
    enter.made(app, Target(name="first"), UNAME, enter.Wanted())
    said = {
        action.title: action.details for action in seen_in(app).actions if isinstance(action, Shown)
    }
    enter.made(app, BOX, UNAME, enter.Wanted())
    with open(os.path.join(app.layout.engine_given, app.docker.container("api").id)) as file:
        given = json.load(file)
    later = "(known only later)"
    for path, (text, mode) in given.items():
        details = said.pop(f"write in the box /{path} (mode {mode:o})")
        assert details.strip() in (text.strip(), later)
        assert (details.strip() == later) == ("ssh_host" in path)
    assert not [title for title in said if "in the box" in title]
    # As does what ssh has of it then.
    block = app.layout.ssh_block("api")
    with open(block) as file:
        written = session.without_variables(file.read())
    assert written == said[f"$ write {block} (mode 600)"]


def test_the_users_key_is_said_where_it_is_there(app, workspace):
    app.add_box("/elsewhere", name="other")
    enter.made(app, BOX, UNAME, enter.Wanted())
    text = seen_in(app, Target(name="second")).describe()
    assert (
        f"write in the box /etc/containai/authorized_keys/agent (mode 644)\n    {PUBLIC_KEY}"
        in text
    )
    assert "ssh-keygen" not in text


def test_a_warm_box_is_a_session_only(app, workspace):
    app.add_box(workspace, name="api")
    os.makedirs(app.layout.control_dir, 0o700)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(app.layout.control_socket("api"))
    listener.listen()
    argv = [os.fsdecode(word) for word in enter.made(app, BOX, UNAME, enter.Wanted()).argv]
    seen = seen_in(app)
    assert seen._replace(outline=None) == Preview("api", Status.RUNNING, (), argv)
    assert seen.outline.fate is Fate.KEPT
    assert app.docker.requests == []
    listener.close()


def test_limits_of_flags_are_said(layout, workspace):
    layout.uid = os.getuid()
    app = FakeApp(layout, flags={"box.memory": "1g"}).set_up()
    box = app.add_box(workspace, name="api")
    memory = ("--memory", str(1 << 30), "--memory-swap", str(1 << 30))
    assert requests(app, seen_in(app)) == [("update", *memory, box.id)]
    words = requests(app, seen_in(app, Target(name="other")))[0]
    assert words[words.index("--memory") :][:4] == memory
    assert app.docker.requests == []


def test_what_is_refused_is_refused_now(app, workspace):
    app.add_box(workspace, name="other", owner=ANOTHER)
    with pytest.raises(NameTakenError):
        seen_in(app, Target(name="other"))
    with pytest.raises(WorkspaceError, match="your home directory"):
        seen_in(app, Target(app.layout.home))
    app.docker.by_id.clear()
    app.layout.uid = ANOTHER
    with pytest.raises(WorkspaceError, match="belongs to"):
        seen_in(app, Target())


def test_too_many_processors_are_refused_now(layout, workspace):
    layout.uid = os.getuid()
    app = FakeApp(layout, flags={"box.cpus": "4096"}).set_up()
    with pytest.raises(UsageError):
        seen_in(app)


def test_on_a_bare_machine_it_is_the_setup(bare, workspace, have_steps):
    step = Switch("everything")
    have_steps(step)
    seen = seen_in(bare)
    assert (seen.name, seen.status, seen.argv, seen.create) == (None, None, None, None)
    assert seen.describe() == (
        "make everything right\n    $ turn it\n"
        "(known only later: how the box is made: this machine has to be set up first)\n"
    )
    assert not step.right


def test_without_an_image_it_is_the_setup(app, workspace, have_steps):
    app.docker.by_reference.clear()
    have_steps(Switch("everything"))
    assert "make everything right" in seen_in(app).describe()


def test_an_engine_that_is_stopped_is_started_first(app, workspace):
    app.stop_engine()
    seen = seen_in(app)
    text = seen.describe()
    assert text.startswith("start the engine and wait until it answers\n    # ")
    assert "dockerd --config-file" in text
    assert "(known only later: which box it is" in text
    assert (seen.name, seen.argv) == (None, None)
    assert not os.path.exists(app.layout.engine_socket)


def test_a_box_is_made_with_the_settings_of_its_workspace(app, workspace):
    os.makedirs(app.layout.config_dir, exist_ok=True)
    with open(app.layout.config_file, "w", encoding="utf-8") as file:
        file.write(f"box.cpus = 1\n[workspace.'{workspace}']\nbox.memory = '1g'\n")
    (workspace / ".containai").mkdir()
    (workspace / ".containai" / "config.toml").write_text("box.memory = '2g'\nbox.cpus = 0.5\n")
    create = seen_in(app, Target(str(workspace))).create
    assert create[create.index("--memory") + 1] == str(1 << 30)
    assert create[create.index("--cpus") + 1] == "0.5"


def test_a_dry_run_shows_the_names_of_variables_and_no_value(app, workspace):
    os.makedirs(app.layout.config_dir, exist_ok=True)
    with open(app.layout.config_file, "w", encoding="utf-8") as file:
        file.write("[env]\nimport = 'NPM_TOKEN'\nset.EDITOR = 'secret-vi'\n")
    app.environ = {"NPM_TOKEN": "secret-token"}
    said = seen_in(app).describe()
    assert "write in the box /etc/containai/variables (mode 600)" in said
    assert "NPM_TOKEN=(not shown)" in said
    assert "EDITOR=(not shown)" in said
    assert "secret-" not in said
    assert "# variables=" not in said
    enter.made(app, BOX, UNAME, enter.Wanted())
    # It knows them, and is told of others.
    app = app.at("")
    app.environ = {}
    (place,) = [
        action
        for action in seen_in(app).actions
        if isinstance(action, Shown) and "/usr/local/lib/containai/variables place" in action.title
    ]
    assert place.details == "EDITOR=(not shown)\n"
