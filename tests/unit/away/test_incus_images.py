"""Which images of boxes a server has, and who uses them."""

import pytest

from containai.errors import NotThereError, RemoteError
from harness.incus_server import Fault

OURS = {
    "fingerprint": "e" * 64, "aliases": [{"name": "containai-base-x"}], "size": 5,
    "properties": {"containai": "x", "variant": "base", "recipe": "r", "os": "ContainAI"},
    "uploaded_at": "2026-11-01T08:00:00Z",
}  # fmt: skip
DEBIAN = {"fingerprint": "d" * 64, "properties": {"os": "Debian"}}


@pytest.fixture
def images(server):
    """The project has images of its own: one of ours, and one of somebody's."""
    config = {"features.images": "true"}
    server.handlers["GET /1.0/images"] = lambda _: [OURS, DEBIAN]
    server.handlers["GET /1.0/projects/boxes"] = lambda _: {"name": "boxes", "config": config}
    return config


def instance(there, name, **others):
    base = {"name": name, "status": "Running", "location": "none", "config": {}, "devices": {}}
    there.known[name] = base | others


def test_ours_and_who_was_made_from_it(place, there, images):
    instance(there, "web", config={"volatile.base_image": "e" * 64})
    instance(there, "api", config={"volatile.base_image": "e" * 64})
    instance(there, "other", config={"volatile.base_image": "d" * 64})
    (found,) = place.stored_images(timeout=5.0)
    assert (found.key, found.name, found.recipe) == ("x", "base", "r")
    assert (found.users, found.aliases) == (("api", "web"), ("containai-base-x",))
    assert not found.is_everyones
    assert "e" * 12 in found.removal


@pytest.mark.parametrize("said", ["false", ""])
def test_a_project_without_images_of_its_own_has_everyones(place, there, images, said):
    images["features.images"] = said
    (found,) = place.stored_images(timeout=5.0)
    assert found.is_everyones


def test_of_what_is_on_a_node_that_is_away_nobody_knows(place, there, images):
    instance(there, "api", status="Error", location="n2", config=None)
    with pytest.raises(RemoteError, match="the node n2 is away"):
        place.stored_images(timeout=5.0)


def test_one_goes_once(place, there, server, images):
    gone = []
    target = f"DELETE /1.0/images/{'e' * 64}"
    server.handlers[target] = lambda asked: gone.append(asked.path)
    place.remove_image("e" * 64)
    server.faults[target] = Fault("status", 404, "Image not found")
    place.remove_image("e" * 64)
    assert gone == [f"/1.0/images/{'e' * 64}"]


def test_one_that_only_the_administrator_may_remove(place, there, server, images):
    server.faults[f"DELETE /1.0/images/{'e' * 64}"] = Fault("status", 403, "not authorized")
    with pytest.raises(NotThereError) as raised:
        place.remove_image("e" * 64)
    assert "incus image delete" in raised.value.hint
