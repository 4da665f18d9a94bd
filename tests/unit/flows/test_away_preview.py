"""What a dry run says of a box on a remote place, against what a run then does there."""

import os

import pytest

from containai.away import record
from containai.away.record import Entry
from containai.boxes.box import Status
from containai.boxes.target import Target
from containai.boxes.workspace import box_name
from containai.cli.commands import run
from containai.errors import BoxStartError, NameTakenError, NotThereError, UsageError
from containai.flows import away_image, away_work, enter
from containai.flows.outline import Fate
from containai.flows.preview import Shown, preview
from containai.host import files
from containai.images import incus, recipe
from containai.ssh import connect, hosts
from harness.place import OTHER, OWN, FakePlace

#: What only looks at a place.
LOOKS = {"find", "has_image", "every"}


@pytest.fixture
def place(app, workspace, monkeypatch):
    made = FakePlace()

    def find(name):
        if name != "work":
            raise UsageError(f"there is no remote place {name!r}", hint="cai remote ls")
        return made

    app.place = find
    app.flags = {"box.on": "work"}
    app.__dict__.pop("settings", None)
    monkeypatch.setattr(connect, "open_master", lambda *_, **__: None)
    monkeypatch.setattr(connect, "stands", lambda layout, box: False)
    monkeypatch.setattr(away_work, "send_first", lambda *_: None)
    monkeypatch.setattr(away_work, "unfetched", lambda *_: "")
    return made


@pytest.fixture
def name(app, workspace):
    return box_name(str(workspace), app.layout.uid)


def tree(layout):
    return sorted((path, sorted(names)) for path, _, names in os.walk(os.path.dirname(layout.home)))


def seen_in(app, target=Target(), **wanted):  # noqa: B008 - a tuple
    """Return a preview, for which nothing is changed anywhere."""
    before = tree(app.layout)
    seen = preview(app, target, ["true"], enter.Wanted(**wanted))
    assert tree(app.layout) == before
    assert app.user.asked == app.user.said == app.docker.requests == []
    return seen


def titles(seen):
    return [each.title for each in seen.actions if isinstance(each, Shown)]


def flagged(app, **flags):
    app.flags = {"box.on": "work"} | {f"box.{key}": text for key, text in flags.items()}
    app.__dict__.pop("settings", None)


def test_a_new_box(app, place, workspace, name, monkeypatch):
    seen = seen_in(app)
    assert {each[0] for each in place.asked} <= LOOKS
    assert (seen.name, seen.status, seen.create) == (name, None, None)
    assert (seen.outline.fate, seen.outline.on) == (Fate.CREATED, "work")
    said = titles(seen)
    wanted = [
        "pack the image", f"make the box {name} on work", "write in the box /", "$ write in ",
        f"$ write {app.layout.ssh_block(name)}", f"start the box {name} on work",
        "wait for sshd", "send the work of",
    ]  # fmt: skip
    at = [next(i for i, title in enumerate(said) if title.startswith(each)) for each in wanted]
    assert at == sorted(at)
    monkeypatch.setattr(away_image, "fingerprint", lambda *_: "f" * 64)
    argv = enter.made(app, Target(), ["true"], enter.Wanted()).argv
    assert [os.fsdecode(word) for word in argv] == seen.argv
    given = set(place.files[name])
    assert {title.split(" ")[4][1:] for title in said if title.startswith("write in")} == given


def test_as_people_and_machines_get_it(app, place, workspace, name):
    report = run.run(
        app, Target(), ["true"], force=False, skip_mounts=False, dry_run=True, fresh=False
    )
    assert report.views[0].startswith(f"box          {name} (created)\n")
    assert "\non           work\n" in report.views[0]
    assert (report.value["box"], report.value["changed"]) == (name, False)
    assert report.value["outline"].on == "work"


@pytest.fixture
def there(app, place, workspace, name):
    place.create_as(name, OWN, "mine")
    place._set(name, workspace=str(workspace), node="n2", limits=(("limits.memory", "1024"),))
    record.put(app.layout, Entry(name, "work", name, str(workspace)))
    return place


def test_one_that_is_off_is_started(app, there, name):
    there._set(name, status=Status.STOPPED)
    seen = seen_in(app)
    assert (seen.status, seen.outline.fate) == (Status.STOPPED, Fate.STARTED)
    assert seen.outline.on == "work/n2"
    assert f"start the box {name} on work" in titles(seen)
    assert not any(title.startswith("make") for title in titles(seen))


def test_one_that_runs_and_is_connected_needs_nothing(app, there, name, monkeypatch):
    monkeypatch.setattr(connect, "stands", lambda layout, box: True)
    monkeypatch.setattr(away_work, "is_sent", lambda app, box: True)
    hosts.ensure_user(app.host)
    seen = seen_in(app)
    assert (seen.status, seen.outline.fate, titles(seen)) == (Status.RUNNING, Fate.KEPT, [])


def test_limits_that_flags_say(app, there):
    flagged(app, memory="2g")
    seen = seen_in(app)
    shown = next(each for each in seen.actions if isinstance(each, Shown) and "limit" in each.title)
    assert shown.details == f"limits.memory={2 << 30}"
    assert seen.outline.limits.startswith("2 GiB of memory")


@pytest.mark.parametrize(("whole", "fate"), [(True, Fate.ANEW), (False, Fate.CREATED)])
def test_one_that_goes_before(app, there, name, whole, fate):
    there._set(name, is_whole=whole)
    seen = seen_in(app, fresh=whole)
    assert seen.outline.fate is fate
    asks = [f"ask whether the box {name} on work may go, with its data"] * whole
    removes = f"remove the box {name}" if whole else "remove what an interrupted start left of"
    assert titles(seen)[: len(asks)] == asks
    assert titles(seen)[len(asks)].startswith(removes)


def test_what_cannot_be(app, there, name, workspace):
    with pytest.raises(NotThereError):
        preview(app, Target(), ["true"], enter.Wanted(read_only=True))
    there._set(name, status=Status.BROKEN, problem="its node is away")
    with pytest.raises(BoxStartError, match="its node is away"):
        seen_in(app)
    there._set(name, owner=OTHER)
    record.forget(app.layout, name)
    other = f"{name[:54].strip('-')}-{OWN[:8]}"
    there.create_as(other, OTHER, "another")
    with pytest.raises(NameTakenError):
        seen_in(app)


class TestImage:
    @pytest.fixture
    def wanted(self, app):
        return recipe.wanted(app.settings)

    def test_one_that_was_brought_needs_nothing(self, app, place, wanted):
        text = f'{{"{incus.key(wanted)}": "{"f" * 64}"}}'
        os.makedirs(app.layout.state_dir)
        files.write(app.layout.away_images, text)
        place.images["f" * 64] = "x"
        assert away_image.previewed(app, place, wanted) == []
        place.images.clear()
        assert away_image.previewed(app, place, wanted)[0].startswith("pack the image")

    def test_one_that_is_neither_here_nor_there_is_made(self, app, place, wanted):
        app.docker.by_reference.clear()
        assert away_image.previewed(app, place, wanted)[0].startswith("make the image")
        place.named[incus.alias(wanted)] = "e" * 64
        assert away_image.previewed(app, place, wanted)[0].startswith("ask whether what work calls")
