"""What the tests of Incus share: a fake server, and a client."""

import pytest

from containai.incus import client as client_module
from containai.incus import exec as execution
from containai.incus.certificate import fingerprint
from containai.incus.client import Incus
from containai.incus.tls import Address, Identity, Server
from harness.incus_server import incus_server


@pytest.fixture
def identity(certificates):
    """Who we are."""
    return Identity(*certificates["client"])


@pytest.fixture
def stranger(certificates, identity):
    """A server that may be connected to, and does not trust us yet."""
    with incus_server(certificates["server"]) as server:
        server.clients.append(identity.certificate)
        yield server


@pytest.fixture
def server(stranger, certificates, identity):
    """A server that trusts us."""
    stranger.trusted.add(fingerprint(identity))
    return stranger


@pytest.fixture
def incus(server, identity):
    """A client of it, which does not wait long for a server that starts."""
    where = (Address("127.0.0.1", server.port),)
    with Incus(Server(where, server.pin, identity), "boxes", patience=0.5) as client:
        yield client


@pytest.fixture(autouse=True)
def no_patience(monkeypatch):
    """What a fake server never ends is not waited for."""
    monkeypatch.setattr(execution, "_PATIENCE", 0.1)
    monkeypatch.setattr(client_module, "_PAUSE", 0.01)
