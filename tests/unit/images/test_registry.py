import pytest

from containai.config.settings import Settings
from containai.engine.container import Image
from containai.engine.fake import FakeEngine
from containai.errors import EngineError, ImageError, NoSpaceError
from containai.images import build, recipe, registry
from containai.images.registry import Layers
from containai.layout import LABEL_RECIPE

DIGEST = "sha256:" + "0" * 64


def nothing(text, share):
    pass


def test_layers_of_a_pull():
    reader = Layers()
    seen = [
        reader.line(line)
        for line in (
            "1: Pulling from x/big",
            "f6d596941b2d: Pulling fs layer",
            "2a07600a52ae: Already exists",
            "f6d596941b2d: Retrying in 5 seconds",
            "f6d596941b2d: Pull complete",
            f"Digest: {DIGEST}",
        )
    ]
    assert seen == [
        ("1: Pulling from x/big", None),
        ("0 of 1 layers", 0.0),
        ("1 of 2 layers", 0.5),
        ("1 of 2 layers, retrying in 5 seconds", 0.5),
        ("2 of 2 layers", 1.0),
        (f"Digest: {DIGEST}", None),
    ]


def test_layers_of_a_push():
    reader = Layers()
    states = ("Preparing", "Pushed", "Layer already exists", "Mounted from x/y")
    shares = [reader.line(f"{n:012x}: {state}")[1] for n, state in enumerate(states)]
    assert shares == [0.0, 1 / 2, 2 / 3, 3 / 4]


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("manifest for a:1 not found: manifest unknown: manifest unknown", "no such image"),
        ("received unexpected HTTP status: 500 Internal Server Error", "registry failed"),
        ("error parsing HTTP 503 response body: unexpected end of JSON", "registry failed"),
        ("toomanyrequests: You have reached your pull rate limit", "too many requests"),
        ("received unexpected HTTP status: 429 Too Many Requests", "too many requests"),
        ("manifest verification failed for digest sha256:0", "something else than"),
        ("filesystem layer verification failed for digest sha256:0", "something else than"),
        ("unauthorized: authentication required", "does not let you"),
        ("pull access denied for x, repository does not exist or may require", "not let you"),
        ("no basic auth credentials", "does not let you"),
        ('Get "http://127.0.0.1:1/v2/": dial tcp: connect: connection refused', "not answer"),
        ("dial tcp: lookup ghcr.io on 10.0.0.1:53: no such host", "not answer"),
        ("unexpected EOF", "breaks off"),
        ("no matching manifest for linux/riscv64 in the manifest list entries", "processors"),
        ("x509: certificate signed by unknown authority", "does not trust"),
        ("something new", "something new"),
    ],
)
def test_what_went_wrong_is_said_in_words(said, means):
    error = registry.trouble("pull a:1", f"docker pull ended with code 1: x\n  Error: {said}")
    assert means in str(error)
    assert error.hint


def test_what_the_engine_prefixes_is_left_out():
    said = "docker pull a ended with code 1: Error response from daemon: unexpected EOF"
    assert str(registry.trouble("pull a", said)).endswith("(unexpected EOF)")


def test_pull(host):
    engine = FakeEngine(host)
    engine.by_reference["a:1"] = Image("1")
    assert registry.pull(engine, "a:1", nothing) == Image("1")
    assert engine.requests == [("pull", "a:1")]


@pytest.mark.parametrize(
    ("failed", "raised"),
    [(EngineError("unexpected EOF"), ImageError), (NoSpaceError("full"), NoSpaceError)],
)
def test_a_pull_that_fails(host, failed, raised):
    engine = FakeEngine(host)
    engine.fail("pull", failed)
    with pytest.raises(raised):
        registry.pull(engine, "a:1", nothing)


def test_push(host, monkeypatch):
    engine = FakeEngine(host)
    lines = [f"1: digest: {DIGEST} size: 953"]
    monkeypatch.setattr(engine, "stream", lambda *words, on_line: [on_line(line) for line in lines])
    assert registry.push(engine, "a:1", nothing) == DIGEST
    lines.clear()
    with pytest.raises(ImageError, match="did not say the digest"):
        registry.push(engine, "a:1", nothing)


def test_an_image_that_no_box_can_start_from_is_not_kept(host):
    engine = FakeEngine(host)
    engine.before("pull", lambda: engine.by_reference.update({"example.com/x:1": Image("1")}))
    with pytest.raises(ImageError, match="not made from an image of ContainAI"):
        registry.ensure(engine, "example.com/x:1", nothing)
    assert engine.requests == [("pull", "example.com/x:1"), ("rmi", "example.com/x:1")]


@pytest.mark.parametrize("name", ["example.com/own:1", f"example.com/own@{DIGEST}", "own/box"])
def test_an_image_of_a_reference_is_pulled_where_it_is_missing(host, name):
    host.free = 1 << 40
    engine = FakeEngine(host)
    wanted = recipe.wanted(Settings().over({"image.name": name}))
    assert (wanted.reference, wanted.chain, wanted.is_pulled) == (name, (wanted,), True)
    made = Image("1", ((LABEL_RECIPE, "f"),))
    engine.before("pull", lambda: engine.by_reference.update({name: made}))
    for _ in range(2):
        assert build.ensure(engine, wanted, nothing) == name
    assert engine.requests == [("pull", name)]


@pytest.mark.parametrize("name", ["bas", "-x:1", "A/B", "a:b:c", "a@sha256:1"])
def test_what_is_no_image(name):
    with pytest.raises(ImageError, match="there is no image") as raised:
        recipe.wanted(Settings().over({"image.name": name}))
    assert "or a reference" in raised.value.hint
