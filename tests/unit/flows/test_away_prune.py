"""Images on remote places that nobody needs."""

import datetime
import json
import os

import pytest

from containai.away.place import Stored
from containai.cli.commands import image
from containai.config.settings import Settings
from containai.engine.container import Image
from containai.errors import ContainAIError, NotSetUpError, RemoteError, UsageError
from containai.flows import away_prune
from containai.images import incus, recipe
from containai.layout import IMAGE_REPOSITORY, LABEL_RECIPE
from harness.place import FakePlace

BASE = recipe.wanted(Settings().over({"image.name": "base"}))
OLD = Stored(
    "e" * 64, "older", "base", "f" * 64, ("containai-base-older",), 232_000_000,
    "2026-11-01T08:00:00.123456789Z", (), False, "incus image delete eeeeeeeeeeee",
)  # fmt: skip


@pytest.fixture
def place(app):
    """A place that has an image of an earlier version, which nobody uses, and today's."""
    said = {"addresses": ["127.0.0.1:1"], "pin": "f" * 64, "project": "boxes"}
    os.makedirs(app.layout.config_dir, exist_ok=True)
    with open(app.layout.remotes, "w", encoding="utf-8") as file:
        json.dump({"version": 1, "default": "local", "remotes": {"work": said}}, file)
    made = FakePlace()
    made.stored = [OLD, OLD._replace(fingerprint="1" * 64, key=incus.key(BASE))]

    def find(name):
        if name != "work":
            raise UsageError(f"there is no remote place {name!r}", hint="see: cai remote ls")
        return made

    app.place = find
    # None here.
    app.docker.by_reference = {}
    return made


def asked(place):
    return [words for words in place.asked if words[0] != "stored_images"]


def test_what_nobody_uses_goes_and_todays_stays(app, place):
    report = image.prune(app, on=None, dry_run=False)
    (gone,) = report.value["removed"]
    assert (gone["on"], gone["id"], gone["tags"]) == ("work", OLD.fingerprint, OLD.aliases)
    assert report.views == [f"removed: base {'f' * 16} on work, 232 MB\n"]
    assert (app.user.asked, asked(place)) == (["Remove them?"], [("remove_image", "e" * 64)])
    assert (report.code, report.value["changed"]) == (0, True)
    assert image.prune(app, on=None, dry_run=False).views == ["nothing to remove\n"]


def test_a_dry_run_removes_nothing(app, place):
    report = image.prune(app, on="work", dry_run=True)
    assert len(report.value["removed"]) == 1
    assert (report.value["changed"], asked(place), app.user.asked) == (False, [], [])


def test_nobody_agrees(app, place):
    app.user.agrees = False
    with pytest.raises(ContainAIError, match="nothing was removed"):
        image.prune(app, on="work", dry_run=False)
    assert asked(place) == []


def test_what_is_used_or_came_just_now_stays(app, place):
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.123456789Z")
    place.stored = [OLD._replace(users=("api",)), OLD._replace(created=now)]
    assert away_prune.unneeded(app, None) == ([], [], [])


def test_what_is_used_by_now_stays(app, place):
    (row,) = away_prune.unneeded(app, None).rows
    place.stored = [OLD._replace(users=("api",))]
    assert away_prune.remove(app, [row]) == ([], [])
    assert asked(place) == []


def test_of_what_all_projects_have_it_is_said_who_removes_it(app, place):
    place.stored = [OLD._replace(is_everyones=True)]
    report = image.prune(app, on=None, dry_run=False)
    assert (report.value["removed"], report.code, asked(place)) == ([], 0, [])
    (note,) = report.notes
    assert "base ffffffffffffffff on work" in note.text
    assert OLD.removal in note.hint


def test_a_place_that_does_not_answer_keeps_no_other(app, place):
    app.docker.by_reference = {
        "sha256:old": Image(
            "sha256:old", ((LABEL_RECIPE, "f" * 64),), (f"{IMAGE_REPOSITORY}/base:recipe-2",)
        )
    }
    place.fails["stored_images"] = RemoteError("work does not answer", hint="wait")
    report = image.prune(app, on=None, dry_run=False)
    assert [each["on"] for each in report.value["removed"]] == ["local"]
    assert report.code == image.FOUND
    assert report.notes == [("work does not answer", "wait")]
    with pytest.raises(RemoteError):
        image.prune(app, on="work", dry_run=False)


def test_what_cannot_be_removed_is_said(app, place):
    place.fails["remove_image"] = RemoteError("work: no", hint="ask")
    report = image.prune(app, on="work", dry_run=False)
    assert (report.code, report.value["removed"]) == (image.FOUND, [])
    assert report.notes == [("work: no", "ask")]


@pytest.mark.parametrize("on", ["local", "work"])
def test_only_where_it_is_said(app, place, on):
    image.prune(app, on=on, dry_run=False)
    assert ("stored_images",) in place.asked if on == "work" else place.asked == []


def test_a_place_that_there_is_not(app, place):
    with pytest.raises(UsageError, match="nowhere"):
        image.prune(app, on="nowhere", dry_run=True)


def test_a_machine_that_is_not_set_up(bare):
    with pytest.raises(NotSetUpError):
        image.prune(bare, on=None, dry_run=True)
