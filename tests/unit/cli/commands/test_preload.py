import pytest

from containai.cli.commands import _preload
from containai.cli.report import Table
from containai.engine.container import Image
from containai.errors import EngineError, ImageError, NoSpaceError, UsageError

LIST = '{"names":["a:1"],"id":"sha256:1","size":7000000}\n'


def preload(app, *image, archive=None, only_list=False, remove=False):
    return _preload.run(app, image=image, archive=archive, list=only_list, remove=remove)


@pytest.fixture
def ready(app):
    app.docker.outputs["run"] = LIST
    return app


def test_none(ready):
    report = preload(ready)
    assert (report.value, list(report.views)) == ([], [])


def test_one_of_the_engine_stays_there(ready):
    ready.docker.by_reference["a:1"] = Image("sha256:1", size=7_000_000)
    report = preload(ready, "a:1")
    assert report.views == [Table([["a:1", "7 MB"]], ["IMAGE", "SIZE"])]
    requests = [each[:2] for each in ready.docker.requests]
    assert ("pull", "a:1") not in requests
    assert ("image", "rm") not in requests


def test_one_that_was_pulled_goes_again(ready):
    preload(ready, "a:1")
    requests = ready.docker.requests
    assert ("pull", "a:1") in requests
    assert ("image", "rm", "a:1") in requests


def test_one_that_cannot_be_pulled(ready):
    ready.docker.fail("pull", EngineError("connection refused"))
    with pytest.raises(ImageError, match="a:1 could not be pulled: connection refused") as raised:
        preload(ready, "a:1")
    assert "--archive FILE" in raised.value.hint
    assert ready.docker.named_volumes == set()


def test_room_is_looked_for_before(ready, tmp_path):
    ready.docker.by_reference["a:1"] = Image("sha256:1", size=1 << 40)
    with pytest.raises(NoSpaceError):
        preload(ready, "a:1")
    assert ready.docker.named_volumes == set()


def test_removed(ready):
    volume = f"containai-preloaded-{ready.layout.uid}"
    with pytest.raises(ImageError, match="no image is preloaded"):
        preload(ready, "a:1", remove=True)
    ready.docker.named_volumes.add(volume)
    assert preload(ready, remove=True).value == []
    assert ready.docker.named_volumes == set()
    # There is nothing more to do, and nothing wrong.
    assert preload(ready, remove=True).value == []


@pytest.mark.parametrize(
    ("image", "options"),
    [
        (["a:1"], {"archive": "a.tar"}),
        (["a:1"], {"only_list": True}),
        ([], {"archive": "a.tar", "only_list": True}),
        ([], {"archive": "", "remove": True}),
        ([], {"only_list": True, "remove": True}),
    ],
)
def test_words_that_do_not_go_together(ready, image, options):
    with pytest.raises(UsageError):
        preload(ready, *image, **options)
