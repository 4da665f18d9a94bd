"""A box made anew: the one that is there goes only once the new one can be entered."""

import pytest

from containai.boxes import archives, design
from containai.boxes.target import Target
from containai.boxes.workspace import box_name
from containai.cli.commands import ls
from containai.engine.container import Image, State
from containai.errors import BoxStartError, ContainAIError, EngineError
from containai.flows import enter
from containai.flows.preview import preview
from containai.host import files
from containai.images import recipe
from containai.ssh import hosts
from harness.app import words

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
    public = archives.tar({"key.pub": (OLD_KEY, 0o644)}).decode()
    app.machine.answer(*app.engine.argv("cp"), out=public)
    enter.made(app, Target(), UNAME, enter.Wanted())
    assert list(app.docker.by_id) == ["old"]
    assert app.docker.by_id["old"].name == box_name(str(workspace), app.layout.uid)
    assert "create" not in words(app.docker.requests)


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
