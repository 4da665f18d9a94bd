"""A box has ids for itself alone, on whichever node it starts."""

import pytest

from containai.incus.errors import IncusError

from .conftest import FIRST
from .test_incus import ORDER

MINE, NEXT = "65536", "131072"


def quiet(text, share):
    pass


@pytest.fixture
def boxes(place, there):
    """Boxes that are off: `api` on n1 and `web` on n2, each with the first ids that there are."""
    for name, node in (("api", "n1"), ("web", "n2")):
        place.create(ORDER._replace(instance=name, name=name), quiet)
        place.finish(name)
        there.known[name]["location"] = node
        there.known[name]["config"][FIRST] = MINE
    return {name: each["config"] for name, each in there.known.items()}


def patched(server):
    return [e.value["config"] for e in server.asked if e.method == "PATCH" and "1.0/inst" in e.path]


def test_what_is_moved_gets_ids_that_nobody_has_there(place, boxes):
    place.move("api", "n2", quiet)
    assert (boxes["api"][FIRST], boxes["web"][FIRST]) == (NEXT, MINE)
    assert boxes["api"]["security.idmap.isolated"] == "1"
    place.start("api")
    assert boxes["api"][FIRST] == NEXT


def test_what_an_administrator_has_moved_gets_them_as_it_starts(place, there, boxes):
    place.start("api")
    place.stop("api")
    there.known["api"]["location"] = "n2"
    place.start("api")
    assert (boxes["api"][FIRST], boxes["web"][FIRST]) == (NEXT, MINE)
    # It went back unseen, while somebody else got what it had there.
    place.stop("api")
    place.start("web")
    place.stop("web")
    boxes["api"][FIRST] = MINE
    place.start("api")
    assert boxes["api"][FIRST] == NEXT


def test_what_stayed_where_it_is_keeps_them(place, server, boxes):
    place.start("api")
    before = len(patched(server))
    for _ in range(2):
        place.stop("api")
        place.start("api")
    assert len(patched(server)) == before
    assert boxes["api"][FIRST] == MINE


def test_one_server_is_not_asked_for_others(place, server, there, boxes):
    there.known["api"]["location"] = "none"
    before = len(patched(server))
    place.start("api")
    assert len(patched(server)) == before


def test_one_that_runs_keeps_them(place, there, boxes):
    there.known["api"] |= {"status": "Running", "location": "n2"}
    place.start("api")
    assert boxes["api"][FIRST] == MINE


def test_a_node_that_gives_none_of_its_own_starts_nothing(place, there, boxes):
    there.gives = MINE
    there.known["api"]["location"] = "n2"
    with pytest.raises(IncusError, match="work: its node gave api ids that another box there has"):
        place.start("api")
    assert there.known["api"]["status"] == "Stopped"
