"""The order in which a box is made, and what is undone where a part of that fails."""

import os
from contextlib import suppress

import pytest

from containai.boxes import limits, lookup, starting
from containai.boxes.limits import Limits
from containai.boxes.spec import part_of
from containai.boxes.workspace import Workspace
from containai.engine.container import State
from containai.errors import (
    BoxNotFoundError,
    BoxStartError,
    DamagedError,
    EngineError,
    HostKeyError,
    NameTakenError,
    SshConnectError,
    UsageError,
)
from containai.host import files
from containai.ssh import hosts
from harness.app import ANOTHER, PUBLIC_KEY, container, words

TAKEN = EngineError("driver failed: Bind for 127.0.0.1:2300 failed: port is already allocated")
IN_USE = EngineError('Conflict. The container name "/api" is already in use by container "1"')


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(starting, "PAUSE", 0)


@pytest.fixture
def make(app, workspace):
    """Make or start the box of the workspace, by the name "api"."""

    def bring_up(**options):
        return app.boxes.bring_up(Workspace(str(workspace)), "i:t", app.ui.say, "api", **options)

    return bring_up


def has_block(app):
    return os.path.exists(app.layout.ssh_block("api"))


def pinned(app):
    return hosts.pinned_key(files.read(app.layout.known_hosts) or "", "api")


def changes(app):
    """Return the requests that change something."""
    return [each for each in app.docker.requests if each[0] not in ("ps", "logs")]


def port_of(request):
    return int(request[request.index("--publish") + 1].split(":")[1])


def test_a_box_is_made_given_its_files_published_started_and_connected_to(app, make):
    order = []

    def note(what):
        box = app.docker.container("api")
        order.append((what, box.state if box else None, has_block(app), pinned(app)))

    for request in ("create", "cp", "start"):
        app.docker.before(request, lambda request=request: note(request))
    app.machine.answer("ssh", act=lambda: note("connect"))
    assert make() == "api"
    assert order == [
        ("create", None, False, None),
        ("cp", State.CREATED, False, None),
        ("start", State.CREATED, True, PUBLIC_KEY),
        ("connect", State.RUNNING, True, PUBLIC_KEY),
    ]
    assert app.user.said == ["making the box api: 8 GiB of memory, 1 processor"]
    box = app.docker.container("api")
    assert [each[0] for each in changes(app)] == ["create", "cp", "start"]
    # By its id: the name may be another's by now.
    assert changes(app)[1:] == [("cp", "-", f"{box.id}:/"), ("start", box.id)]


@pytest.mark.parametrize(
    ("fails", "raised"),
    [("cp", EngineError), ("publish", OSError), ("start", EngineError), ("connect", HostKeyError)],
)
def test_a_failed_start_is_undone_from_the_last_to_the_first(app, make, monkeypatch, fails, raised):
    undone = []
    if fails == "connect":
        key = f"{app.layout.control_dir}/none"

        def refuse():
            with open(app.ran("-E")[-1][app.ran("-E")[-1].index("-E") + 1], "w") as log:
                log.write(f"Host key verification failed. {key}\n")

        app.machine.answer("ssh", code=255, act=refuse)
    elif fails == "publish":
        # Where the host block should be, is a directory.
        os.makedirs(app.layout.ssh_block("api"))
    else:
        app.docker.fail(fails, EngineError("it broke"))
    app.docker.before(
        "rm", lambda: undone.append(("rm", app.docker.container("api").id, pinned(app)))
    )
    app.machine.answer(
        app.layout.runtime_program, "ranges", act=lambda: undone.append(("ranges", "", None))
    )
    forget = hosts.forget

    def forgotten(host, name):
        undone.append(("forget", name, pinned(app)))
        with suppress(OSError):
            forget(host, name)

    monkeypatch.setattr(hosts, "forget", forgotten)
    with pytest.raises(raised):
        make()
    created = next(each for each in changes(app) if each[0] == "create")
    identity = f"{app.docker.requests.index(created) + 1:064x}"
    published = None if fails == "cp" else PUBLIC_KEY
    assert [each[:2] for each in undone] == [("forget", "api"), ("rm", identity), ("ranges", "")]
    assert undone[0][2] == published
    assert app.docker.container("api") is None
    assert ("rm", "--force", "--volumes", identity) in app.docker.requests
    if fails != "publish":
        assert (undone[1][2], pinned(app), has_block(app)) == (None, None, False)


def test_where_nothing_could_be_created_nothing_is_undone(app, make):
    app.docker.fail("create", EngineError("no such image"))
    with pytest.raises(EngineError, match="no such image"):
        make()
    assert words(changes(app)) == ["create"]
    assert app.ran("ranges") == []


def test_without_the_users_keys_nothing_is_created(app, make):
    os.makedirs(app.layout.ssh_key)
    os.makedirs(app.layout.ssh_key + ".pub")
    with pytest.raises(DamagedError, match="is a directory"):
        make()
    assert changes(app) == []


def test_a_box_that_dies_while_it_boots_is_gone_and_says_its_last_words(app, make):
    def die():
        found = app.docker.container("api")
        app.docker.add(found._replace(running=False, state=State.EXITED, exit_code=255))

    app.docker.outputs["logs"] = "\x1b[31mno systemd\x1b[0m\n"
    app.machine.answer("ssh", act=die)
    with pytest.raises(BoxStartError, match=r"died while it booted \(code 255\).*\n  no systemd"):
        make()
    assert app.docker.container("api") is None
    assert (has_block(app), pinned(app)) == (False, None)


def test_what_is_removed_is_what_was_made_not_who_has_its_name_by_now(app, make, workspace):
    other = container(str(workspace), "api", ANOTHER)

    def exchange():
        ours = app.docker.container("api")
        app.docker.add(ours._replace(name="renamed"))
        app.docker.add(other)

    app.docker.before("start", exchange)
    app.docker.fail("start", EngineError("it broke"))
    with pytest.raises(EngineError):
        make()
    assert list(app.docker.by_id.values()) == [other]


def test_a_name_that_somebody_else_takes_first_is_left_alone(app, make, workspace):
    other = container(str(workspace), "api", ANOTHER)
    app.docker.before("create", lambda: app.docker.add(other))
    app.docker.fail("create", IN_USE)
    with pytest.raises(NameTakenError):
        make()
    assert words(changes(app)) == ["create"]
    assert app.docker.container("api") == other
    assert not has_block(app)


def test_a_box_that_another_cai_of_this_user_made_first_is_entered(app, make, workspace):
    app.docker.before("create", lambda: app.add_box(workspace, name="api"))
    app.docker.fail("create", IN_USE)
    assert make() == "api"
    assert words(changes(app)) == ["create"]
    assert len(app.ran("--", "api")) == 1


def test_a_port_that_somebody_takes_first_is_not_tried_again(app, make):
    app.docker.fail("start", TAKEN, TAKEN)
    assert make() == "api"
    tried = [port_of(each) for each in changes(app) if each[0] == "create"]
    assert len(tried) == 3
    assert tried == sorted(set(tried))
    assert app.docker.container("api").ports[0].number == tried[-1]
    # The two that did not start are gone, each by its own id.
    gone = [each[-1] for each in changes(app) if each[0] == "rm"]
    assert len(set(gone)) == 2
    assert list(app.docker.by_id) == [app.docker.container("api").id]


def test_after_some_attempts_a_port_is_an_error(app, make):
    app.docker.fail("start", *[TAKEN] * starting.ATTEMPTS)
    with pytest.raises(EngineError, match="port is already allocated"):
        make()
    assert words(changes(app)).count("create") == starting.ATTEMPTS
    assert app.docker.by_id == {}


def test_ports_of_stopped_boxes_are_theirs(app, make, workspace):
    first = app.settings.ssh_port_range.first
    for port in (first, first + 1):
        app.add_box(workspace, name=f"other-{port}", state=State.EXITED, port=port)
    make()
    assert port_of(changes(app)[0]) > first + 1


def test_who_must_not_have_a_box_gets_none(app, make):
    def refuse():
        raise UsageError("not this one")

    with pytest.raises(UsageError):
        make(admit=refuse)
    assert changes(app) == []


@pytest.mark.parametrize("state", [State.CREATED, State.DEAD])
def test_what_an_interrupted_start_left_is_made_anew(app, make, workspace, state):
    left = app.add_box(workspace, name="api", state=state)
    make()
    assert app.user.said[0] == "removing what an interrupted start left of api"
    assert words(changes(app)) == ["rm", "create", "cp", "start"]
    assert changes(app)[0][-1] == left.id


def test_parts_of_a_box_that_somebody_removed_without_it_go(app, make):
    label = f"label={part_of(app.layout.uid, 'api')}"
    app.docker.by_filters[label, "dangling=true"] = ["left"]
    make()
    assert changes(app)[0] == ("volume", "rm", "left")


def test_a_running_box_is_only_connected_to(app, make, workspace):
    app.add_box(workspace, name="api")
    make()
    assert changes(app) == []
    assert len(app.ran("--", "api")) == 1


def test_a_stopped_box_is_started(app, make, workspace):
    box = app.add_box(workspace, name="api", state=State.EXITED)
    make()
    assert changes(app) == [("start", box.id)]
    assert app.user.said == ["starting the box api"]


@pytest.mark.parametrize(
    "said",
    [
        "OCI runtime create failed: cai-runc: create: its bundle is gone: unknown",
        "container with given ID already exists",
        "task " + 64 * "a" + ": already exists",
    ],
)
def test_what_is_left_of_an_earlier_start_is_gone_soon(app, make, workspace, monkeypatch, said):
    monkeypatch.setattr(starting.time, "sleep", lambda seconds: None)
    box = app.add_box(workspace, name="api", state=State.EXITED)
    app.docker.fail("start", EngineError(said), EngineError(said))
    make()
    assert changes(app) == 3 * [("start", box.id)]


def test_a_paused_box_goes_on(app, make, workspace):
    box = app.add_box(workspace, name="api", state=State.PAUSED)
    make()
    assert changes(app) == [("unpause", box.id)]


def test_a_stopped_box_that_dies_is_kept_and_stays_off(app, make, workspace):
    box = app.add_box(workspace, name="api", state=State.EXITED)

    def die():
        app.docker.add(app.docker.container("api")._replace(running=False))

    app.machine.answer("ssh", act=die)
    with pytest.raises(BoxStartError, match="died while it booted"):
        make()
    assert changes(app) == [("start", box.id), ("stop", box.id)]
    assert app.docker.container("api") is not None


def test_another_directory_of_the_same_path_is_shown_after_a_restart(app, make, workspace):
    box = app.add_box(workspace, name="api")
    os.rename(workspace, f"{workspace}.old")
    os.mkdir(workspace)
    make()
    assert changes(app) == [("stop", box.id), ("start", box.id)]
    assert app.user.said[0] == f"{workspace} is another directory than it was: restarting api"


def test_limits_of_the_settings_are_for_a_new_box(app, workspace):
    app.boxes.limits = lambda: Limits(1 << 30, 1.0)
    space = Workspace(str(workspace))
    app.boxes.bring_up(space, "i:t", app.ui.say, "api", Limits(cpus=2.0))
    made = app.docker.container("api")
    assert (made.memory, made.cpus, made.cpuset) == (1 << 30, 2.0, "0,1")


def test_a_box_that_is_there_gets_only_what_was_asked_for(app, make, workspace):
    app.boxes.limits = lambda: Limits(1 << 30, 1.0)
    box = app.add_box(workspace, name="api")
    make(asked=Limits(cpus=1.0))
    seen = app.docker.container("api")
    assert (seen.memory, seen.cpus, seen.cpuset) == (0, 1.0, "0")
    assert changes(app) == [("update", "--cpus", "1", "--cpuset-cpus", "0", box.id)]


def test_a_box_whose_processors_are_gone_gets_others(app, make, workspace):
    box = app.add_box(workspace, name="api", state=State.EXITED)
    app.docker.add(box._replace(cpus=2.0, cpuset="1-2"))
    app.machine.online = [0]
    make()
    update = ("update", "--cpus", "1", "--cpuset-cpus", "0", box.id)
    assert changes(app) == [update, ("start", box.id)]
    assert app.user.said[0] == "api gets processors that this machine still has: 1"
    make()
    assert len(changes(app)) == 2


def test_one_that_runs_and_cannot_be_given_others_now_is_entered(app, make, workspace):
    box = app.add_box(workspace, name="api")
    app.docker.add(box._replace(cpus=2.0, cpuset="1-2"))
    app.machine.online = [0]
    app.docker.fail("update", EngineError("device or resource busy"))
    assert make() == "api"
    # Of what somebody asked for, they are told.
    app.docker.fail("update", EngineError("device or resource busy"))
    with pytest.raises(EngineError, match="busy"):
        make(asked=Limits(memory=1 << 30))


@pytest.mark.parametrize(("state", "running"), [(State.RUNNING, True), (State.EXITED, False)])
def test_a_new_limit_reaches_shared_memory(app, make, workspace, state, running):
    box = app.add_box(workspace, name="api", state=state)
    app.docker.fail("exec", EngineError("mount: not found"))
    make(asked=Limits(memory=1 << 30))
    asked = [each for each in changes(app) if each[0] == "exec"]
    assert asked == ([("exec", box.id, *limits.shared_memory(1 << 30))] if running else [])


def test_ssh_that_does_not_answer_leaves_a_running_box(app, make, workspace):
    app.add_box(workspace, name="api")
    app.machine.answer("ssh", code=255)
    with pytest.raises(SshConnectError):
        make()
    assert changes(app) == []


def test_stop_and_remove_go_by_the_id(app, workspace):
    app.add_box(workspace, name="api")
    box = lookup.get(app.engine, "api")
    app.boxes.stop(box)
    assert changes(app) == [("stop", box.container)]
    app.boxes.remove(box)
    assert changes(app)[1:] == [("rm", "--force", "--volumes", box.container)]
    assert (has_block(app), pinned(app)) == (False, None)
    with pytest.raises(BoxNotFoundError, match="is gone"):
        app.boxes.stop(box)


def test_a_running_box_is_shut_down_before_it_is_removed(app, workspace):
    app.add_box(workspace, name="api")
    app.boxes.remove(lookup.get(app.engine, "api"))
    assert words(changes(app)) == ["stop", "rm"]


def test_removing_a_box_that_is_gone_leaves_who_has_its_name(app, workspace):
    app.add_box(workspace, name="api")
    box = lookup.get(app.engine, "api")
    del app.docker.by_id[box.container]
    app.docker.add(container(str(workspace), "api", ANOTHER)._replace(id="other"))
    app.boxes.remove(box)
    assert changes(app) == []
    assert has_block(app)


def test_a_box_that_is_gone_leaves_nothing_for_ssh(app, workspace):
    app.add_box(workspace, name="api")
    box = lookup.get(app.engine, "api")
    del app.docker.by_id[box.container]
    app.boxes.remove(box)
    assert (has_block(app), pinned(app)) == (False, None)
