from itertools import pairwise

import pytest

from containai.boxes import preloaded
from containai.boxes.workspace import Workspace
from containai.engine.container import State
from containai.errors import EngineError, ImageError, NoSpaceError
from containai.host import scripts
from containai.host.proc import Done
from harness.app import words

LIST = '{"names":["a:1","b:2"],"id":"sha256:1","size":7}\n{"names":null,"id":"sha256:2","size":9}\n'


@pytest.fixture
def volume(app):
    return f"containai-preloaded-{app.layout.uid}"


@pytest.fixture
def stored(app, volume):
    """An App that has some."""
    app.docker.named_volumes.add(volume)
    app.docker.outputs["run"] = LIST
    return app


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("redis", "redis:latest"),
        ("postgres:17", "postgres:17"),
        ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
        ("ghcr.io/a/b:v1.2-x_3", "ghcr.io/a/b:v1.2-x_3"),
    ],
)
def test_names_have_a_tag(given, name):
    assert preloaded.named(given) == name


@pytest.mark.parametrize(
    "given", ["", "a b", "--all", "A:1", "a:1:2 x", "a@sha256:" + "0" * 64, "a;b:1", "a\n:1", "a:"]
)
def test_what_is_no_name(given):
    with pytest.raises(ImageError, match="no name of an image with a tag") as raised:
        preloaded.named(given)
    assert raised.value.hint


def test_none(app):
    assert preloaded.listed(app.docker, "i:t") == []
    assert app.docker.requests == []


def test_listed(stored):
    assert preloaded.listed(stored.docker, "i:t") == [
        preloaded.Preloaded(("a:1", "b:2"), "sha256:1", 7),
        preloaded.Preloaded((), "sha256:2", 9),
    ]


def test_work_is_done_with_the_rights_of_a_box_and_no_network(stored, volume):
    preloaded.listed(stored.docker, "i:t")
    (request,) = stored.docker.requests
    assert request[:6] == ("run", "--rm", "--interactive", "--runtime", "cai-runc", "--network")
    assert request[6] == "none"
    mount = f"type=volume,source={volume},target=/var/lib/docker,volume-nocopy=true"
    assert request[request.index("--mount") + 1] == mount
    at = request.index("--entrypoint")
    assert request[at : at + 4] == ("--entrypoint", "sh", "i:t", "-c")
    assert request[-2:] == ("preloaded", "list")


def test_images_of_the_engine_are_sent(app, volume):
    preloaded.add(app.docker, "i:t", ["a:1", "b:2"])
    assert volume in app.docker.named_volumes
    (argv,) = app.ran("boxes/send.sh")
    assert argv[4:6] == (f"unix://{app.layout.engine_socket}", "a:1 b:2")
    assert argv[-2:] == ("preloaded", "load")


def test_an_archive_is_the_input(app, tmp_path):
    (tmp_path / "a.tar").touch()
    preloaded.add(app.docker, "i:t", archive=str(tmp_path / "a.tar"))
    (argv,) = app.ran("load")
    assert argv[-2:] == ("preloaded", "load")


@pytest.mark.parametrize(
    ("said", "error"),
    [("unexpected EOF", ImageError), ("write: no space left on device", NoSpaceError)],
)
@pytest.mark.parametrize("was_there", [False, True])
def test_what_cannot_be_loaded_leaves_what_was_there(app, volume, said, error, was_there):
    if was_there:
        app.docker.named_volumes.add(volume)
    app.machine.answer("sh", "-c", scripts.text("boxes/send.sh"), code=1, err=said)
    with pytest.raises(error):
        preloaded.add(app.docker, "i:t", ["a:1"])
    assert (volume in app.docker.named_volumes) == was_there


def test_an_archive_that_is_not_there(app, tmp_path, volume):
    with pytest.raises(ImageError, match="No such file") as raised:
        preloaded.add(app.docker, "i:t", archive=str(tmp_path / "none"))
    assert raised.value.hint
    assert volume not in app.docker.named_volumes


def test_some_are_removed_by_docker_and_all_with_their_volume(stored, volume):
    preloaded.remove(stored.docker, "i:t", ["a:1"])
    assert stored.docker.requests[-1][-3:] == ("preloaded", "remove", "a:1")
    preloaded.remove(stored.docker, "i:t", ["b:2", "a:1"])
    assert stored.docker.requests[-1] == ("volume", "rm", volume)


def test_one_that_is_not_there_is_not_removed(stored):
    with pytest.raises(ImageError, match="not preloaded: c:3"):
        preloaded.remove(stored.docker, "i:t", ["a:1", "c:3"])
    assert words(stored.docker.requests) == ["run"]


@pytest.fixture
def make(app, workspace):
    return lambda: app.boxes.bring_up(Workspace(str(workspace)), "i:t", app.ui.say, "api")


def test_a_new_box_gets_its_copy_before_it_first_starts(stored, make, volume):
    seen = []
    stored.docker.before("run", lambda: seen.append(stored.docker.container("api").state))
    make()
    assert seen == [State.CREATED]
    (request,) = (each for each in stored.docker.requests if each[0] == "run")
    store, target = (b for a, b in pairwise(request) if a == "--mount")
    assert store.endswith(",readonly=true")
    identity = stored.docker.container("api").id
    assert target.startswith(f"type=volume,source={identity}/var/lib/docker,target=/to,")
    assert request[-2:] == ("preloaded", "copy")


def test_without_any_nothing_is_copied(app, make):
    make()
    assert "run" not in words(app.docker.requests)


def test_a_box_that_cannot_be_filled_is_gone_again(stored, make):
    stored.docker.fail("run", NoSpaceError("no space left"))
    with pytest.raises(NoSpaceError):
        make()
    assert stored.docker.container("api") is None


def test_what_is_not_whole_is_not_copied(stored, make, monkeypatch):
    docker = stored.docker.docker
    half = Done(3, "", "")
    monkeypatch.setattr(
        stored.docker,
        "docker",
        lambda *words, **more: half if words[0] == "run" else docker(*words),
    )
    make()
    assert any("repeat cai image preload" in text for text in stored.ui.said)


def test_a_failure_of_another_kind_is_told(stored):
    stored.docker.fail("run", EngineError("no answer"))
    with pytest.raises(EngineError):
        preloaded.listed(stored.docker, "i:t")
