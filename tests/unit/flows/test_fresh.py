"""A box made anew: the one that is there goes only once the new one can be entered."""

import os

import pytest

from containai.boxes import design
from containai.boxes.box import Box
from containai.boxes.spec import data_labels
from containai.boxes.target import Target
from containai.boxes.workspace import box_name
from containai.cli.commands import ls
from containai.engine.container import Image, Mount, State
from containai.errors import (
    BoxStartError,
    ContainAIError,
    EngineError,
    NameTakenError,
    UsageError,
)
from containai.flows import enter
from containai.flows.preview import preview
from containai.host import files
from containai.host.background import Background
from containai.images import recipe
from containai.layout import DATA_IN_BOX
from containai.ssh import hosts
from harness.app import ANOTHER, FakeApp, words

UNAME = ["uname"]
FRESH = enter.Wanted(fresh=True)
OLD_KEY = "ssh-ed25519 AAAA"


@pytest.fixture
def old(app, workspace):
    """A box of another image, with a limit."""
    box = app.add_box(workspace)
    return app.docker.add(box._replace(image="older:1", image_id="sha256:older", memory=1 << 30))


def key(app, name):
    return hosts.pinned_key(files.read(app.layout.known_hosts) or "", name)


def test_a_new_one_takes_its_place(app, old):
    enter.made(app, Target(), UNAME, FRESH)
    assert words(app.docker.requests) == ["rename", "create", "cp", "start", "stop", "rm"]
    (new,) = app.docker.by_id.values()
    assert (new.name, new.image) == (old.name, recipe.wanted(app.settings).reference)
    assert (new.running, new.memory) == (True, 1 << 30)
    assert new.ports != old.ports
    assert key(app, old.name) != OLD_KEY
    assert app.user.asked == [
        f"The box {old.name!r} is made anew: all that is in it goes, its own Docker's images too; "
        "the workspace stays. Go on?"
    ]


def test_what_a_dry_run_says_is_done(app, old):
    seen = preview(app, Target(), UNAME, FRESH)
    assert (app.docker.requests, app.user.asked) == ([], [])
    prefix = app.engine.argv()
    said = [
        tuple(action.argv[len(prefix) :])
        for action in seen.actions
        if list(getattr(action, "argv", ())[: len(prefix)]) == prefix
    ]
    enter.made(app, Target(), UNAME, FRESH)
    done = [each for each in app.docker.requests if each[0] != "cp"]
    assert words(said) == words(done)
    assert (said[0], said[1], said[-2:]) == (done[0], done[1], done[-2:])


def test_nobody_agrees(app, old):
    app.user.agrees = False
    with pytest.raises(ContainAIError, match="nothing was changed") as raised:
        enter.made(app, Target(), UNAME, FRESH)
    assert raised.value.hint == "agree to it: cai run --fresh --yes"
    assert app.docker.requests == []


def test_there_is_none_yet(app, workspace):
    enter.made(app, Target(), UNAME, FRESH)
    assert words(app.docker.requests) == ["create", "cp", "start"]
    assert app.user.asked == []


@pytest.mark.parametrize("request_", ["create", "start"])
def test_where_the_new_one_cannot_be_made_the_old_one_stays(app, old, request_):
    app.docker.fail(request_, EngineError("no"))
    with pytest.raises(EngineError, match="no"):
        enter.made(app, Target(), UNAME, FRESH)
    assert app.docker.by_id == {old.id: old}
    assert key(app, old.name) == OLD_KEY
    with open(app.layout.ssh_block(old.name), encoding="utf-8") as block:
        assert str(old.ports[0].number) in block.read()


def test_where_the_new_one_dies_the_old_one_stays(app, old):
    def die():
        new = app.docker.container(old.name)
        if new is not None and new.id != old.id:
            app.docker.add(new._replace(running=False, state=State.EXITED))

    app.machine.answer("ssh", code=255, act=die)
    with pytest.raises(BoxStartError, match="died"):
        enter.made(app, Target(), UNAME, FRESH)
    assert app.docker.by_id == {old.id: old}
    assert key(app, old.name) == OLD_KEY


@pytest.mark.parametrize("is_left", [True, False])
def test_one_that_was_renamed_when_cai_was_killed_has_its_name_again(app, old, workspace, is_left):
    renamed = old._replace(id="old", name=design.kept(old.name))
    left = old._replace(id="left", state=State.CREATED, running=False)
    app.docker.by_id = {each.id: each for each in ((renamed, left) if is_left else (renamed,))}
    # Its pinned key went with what was left.
    app.machine.answer(*app.engine.argv("exec"), out=OLD_KEY)
    enter.made(app, Target(), UNAME, enter.Wanted())
    assert list(app.docker.by_id) == ["old"]
    assert app.docker.by_id["old"].name == box_name(str(workspace), app.layout.uid)
    assert "create" not in words(app.docker.requests)


@pytest.mark.parametrize("name", ["", "api"], ids=["own name", "chosen name"])
@pytest.mark.parametrize("by_name", [False, True], ids=["path", "name"])
@pytest.mark.parametrize("request_", ["create", "start"])
def test_whoever_enters_one_that_is_made_anew_waits_for_the_new_one(
    app, old, workspace, by_name, name, request_
):
    own = name or old.name
    if name:
        app.docker.by_id = {old.id: old._replace(name=name)}
        hosts.pin(app.layout, name, OLD_KEY)
    target = Target(name=own) if by_name else Target(str(workspace))
    entered = []

    def enter_too():
        if not entered:
            entered.append(Background(lambda: enter.existing(app, target, UNAME)))
            assert not entered[0].ends_within(0.2)

    app.docker.before(request_, enter_too)
    enter.made(app, target, UNAME, enter.Wanted(fresh=True))
    argv = entered[0].result()
    assert own in argv
    (container,) = app.docker.by_id.values()
    assert (container.name, container.id == old.id) == (own, False)


def test_what_a_killed_end_left_goes_with_the_box(app, old, workspace):
    app.docker.add(old._replace(id="earlier", name=design.kept(old.name), running=False))
    app.boxes.remove(next(each for each in _boxes(app) if each.name == old.name))
    assert app.docker.by_id == {}


def _boxes(app):
    from containai.boxes import lookup

    return lookup.own(app.engine)


def test_ls_says_which_are_of_an_older_image(app, old, workspace, elsewhere):
    reference = recipe.wanted(app.settings).reference
    app.docker.by_reference[reference] = Image("sha256:now")
    again = app.add_box(elsewhere, name="again")._replace(image_id="sha256:before")
    now = app.add_box(elsewhere, name="now")._replace(image_id="sha256:now")
    app.docker.add(again)
    app.docker.add(now)
    report = ls.run(app, all=False)
    assert {each["name"]: each["is_older"] for each in report.value} == {
        "again": True,
        "now": False,
        old.name: True,
    }
    (note,) = report.notes
    assert note.text == f"made from an older image than new boxes: again, {old.name}"
    assert note.hint == "make it anew, which asks first: cai run --fresh --name again"


RESET = enter.Wanted(fresh=True, reset=True)


def data_of(app, name):
    return Box.from_container(app.docker.container(name)).data


def test_the_data_volume_stays(app, workspace):
    enter.made(app, Target(), UNAME, enter.Wanted())
    name = box_name(str(workspace), app.layout.uid)
    assert data_of(app, name) == name
    enter.made(app, Target(), UNAME, FRESH)
    assert (data_of(app, name), [*app.docker.volume_labels]) == (name, [name])


def test_with_reset_it_is_another_and_the_old_one_goes_last(app, workspace):
    enter.made(app, Target(), UNAME, enter.Wanted())
    name = box_name(str(workspace), app.layout.uid)
    there = []
    app.docker.before("start", lambda: there.append({*app.docker.volume_labels}))
    for old, new in ((name, f"{name}.2"), (f"{name}.2", name)):
        seen = preview(app, Target(), UNAME, RESET)
        assert seen.actions[-1].title == f"remove the data volume {old}"
        enter.made(app, Target(), UNAME, RESET)
        assert (data_of(app, name), [*app.docker.volume_labels]) == (new, [new])
        assert there.pop() == {old, new}
    assert f"its data volume '{name}' goes: logins, settings and history" in app.user.asked[0]


def test_with_reset_and_no_box_the_volume_is_new_all_the_same(app, workspace):
    name = box_name(str(workspace), app.layout.uid)
    app.docker.make_volume(name, data_labels(app.layout.uid, str(workspace)))
    enter.made(app, Target(), UNAME, RESET)
    assert (data_of(app, name), [*app.docker.volume_labels]) == (f"{name}.2", [f"{name}.2"])
    assert app.user.asked[0].startswith(f"The data volume '{name}' goes")


def test_a_reset_that_fails_loses_nothing(app, workspace):
    enter.made(app, Target(), UNAME, enter.Wanted())
    name = box_name(str(workspace), app.layout.uid)
    app.docker.fail("start", EngineError("no"))
    with pytest.raises(EngineError):
        enter.made(app, Target(), UNAME, RESET)
    assert (data_of(app, name), [*app.docker.volume_labels]) == (name, [name])


def test_a_reset_that_was_killed_is_undone_with_its_volume(app, workspace):
    made = app.add_box(workspace)
    name = made.name
    # As it is when the new one was made and not started.
    for volume, box in (
        (name, made._replace(name=design.kept(name))),
        (f"{name}.2", made._replace(id="new", state=State.CREATED, running=False)),
    ):
        app.docker.make_volume(volume, data_labels(app.layout.uid, str(workspace)))
        app.docker.add(box._replace(mounts=(*made.mounts, Mount("volume", volume, DATA_IN_BOX))))
    app.machine.answer(*app.engine.argv("exec"), out=OLD_KEY)
    enter.made(app, Target(), UNAME, enter.Wanted())
    assert (data_of(app, name), [*app.docker.volume_labels]) == (name, [name])


def test_a_volume_that_was_chosen_or_is_anothers_too_is_not_made_anew(app, workspace):
    app.flags = {"box.data_volume": "chosen"}
    enter.made(app, Target(), UNAME, enter.Wanted())
    app.flags = {}
    with pytest.raises(UsageError, match="was chosen by its name"):
        enter.made(app, Target(), UNAME, RESET)
    name = box_name(str(workspace), app.layout.uid)
    box = app.docker.container(name)
    others = [mount for mount in box.mounts if mount.target != DATA_IN_BOX]
    mounts = (*others, Mount("volume", name, DATA_IN_BOX))
    app.docker.add(box._replace(mounts=mounts))
    app.docker.add(box._replace(id="other", name="other", mounts=mounts))
    with pytest.raises(NameTakenError, match="also that of other"):
        enter.made(app, Target(), UNAME, RESET)


def test_another_volume_takes_a_box_made_anew(layout, workspace):
    layout.uid = os.getuid()
    app = FakeApp(layout, flags={"box.data_volume": "chosen"}).set_up()
    app.add_box(workspace)
    for act in (enter.made, preview):
        with pytest.raises(UsageError, match="only a new one can have another") as raised:
            act(app, Target(), UNAME, enter.Wanted())
        assert raised.value.hint == "make it anew: cai run --fresh --data-volume chosen"
    enter.made(app, Target(), UNAME, FRESH)
    assert data_of(app, box_name(str(workspace), app.layout.uid)) == "chosen"


def test_that_others_have_the_volume_is_said(layout, workspace):
    layout.uid = os.getuid()
    app = FakeApp(layout, flags={"box.data_volume": "chosen"}).set_up()
    other = app.add_box("/elsewhere", name="web")
    app.docker.add(other._replace(mounts=(*other.mounts, Mount("volume", "chosen", DATA_IN_BOX))))
    said = "the data volume chosen is also that of web: each can run code in the others"
    assert f"say: {said}" in preview(app, Target(), UNAME, enter.Wanted()).describe()
    enter.made(app, Target(), UNAME, enter.Wanted())
    assert said in app.user.said


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ({}, "no data volume of ContainAI's"),
        (data_labels(0, "/w") | {"containai.kind": "other"}, "no data volume of ContainAI's"),
        (data_labels(ANOTHER, "/w"), "belongs to user 54321"),
    ],
)
def test_a_volume_that_is_not_ones_own_is_refused(layout, workspace, labels, why):
    layout.uid = os.getuid()
    app = FakeApp(layout, flags={"box.data_volume": "chosen"}).set_up()
    app.docker.make_volume("chosen", labels)
    for act in (preview, enter.made):
        with pytest.raises(NameTakenError, match=why):
            act(app, Target(), UNAME, enter.Wanted())
    assert app.docker.requests == []
