import pytest

from containai.incus import server as of_server
from containai.incus.client import Incus
from containai.incus.errors import ForbiddenError, IncusError
from containai.incus.tls import Address, Server


def client_of(server, identity):
    return Incus(Server((Address("127.0.0.1", server.port),), server.pin, identity), "boxes")


def test_who_it_is(server, incus):
    about = of_server.about(incus)
    assert about.is_trusted
    assert (about.kind, about.version, about.name) == ("incus", "7.0.2", "node1")
    assert about.extensions == {of_server.PORT_FORWARD}
    assert about.fingerprint == server.pin
    assert about.own in server.trusted


def test_who_it_is_to_a_stranger(stranger, identity):
    about = of_server.about(client_of(stranger, identity))
    assert not about.is_trusted
    assert (about.kind, about.extensions, about.fingerprint) == ("", frozenset(), "")


def test_a_token_lets_us_in_once(stranger, identity):
    client, text = client_of(stranger, identity), stranger.token()
    of_server.redeem(client, text)
    assert of_server.about(client).is_trusted
    with pytest.raises(IncusError, match="already trusted") as caught:
        of_server.redeem(client, text)
    assert caught.value.code == 400
    stranger.trusted.clear()
    with pytest.raises(ForbiddenError, match="No matching"):
        of_server.redeem(client, text)


def test_its_projects(server, incus):
    assert [each.name for each in of_server.projects(incus)] == ["boxes"]
    assert of_server.project(incus, "boxes").config == {"restricted": "true"}
    assert of_server.project(incus, "other") is None


def test_members(server, incus):
    server.handlers["GET /1.0/cluster/members"] = lambda asked: [
        {"server_name": "node1", "url": "https://a:8443", "status": "Online", "message": "x"}
    ]
    assert of_server.members(incus) == [
        of_server.Member("node1", "https://a:8443", "Online", "x", "")
    ]


def test_room(server, incus):
    server.handlers["GET /1.0/storage-pools/default/resources"] = lambda asked: {
        "space": {"used": 1, "total": 3}
    }
    assert of_server.space(incus, "default") == (1, 3)
    assert of_server.space(incus, "other") is None


def test_usage_and_profile(server, incus):
    server.handlers["GET /1.0/projects/boxes/state"] = lambda asked: {
        "resources": {"instances": {"Limit": 20, "Usage": 3}}
    }
    server.handlers["GET /1.0/profiles/default"] = lambda asked: {"config": {}}
    server.handlers["GET /1.0/resources"] = lambda asked: {"target": asked.query["target"]}
    assert of_server.usage(incus, "boxes") == {"instances": (20, 3)}
    assert of_server.profile(incus) == {"config": {}}
    assert of_server.profile(incus, "none") is None
    assert of_server.resources(incus, "node2") == {"target": "node2"}
