"""A server of Incus that keeps instances and files as tables, and the driver of it."""

import re

import pytest

from containai.away.incus import IncusPlace
from containai.incus.certificate import fingerprint
from containai.incus.known import Remote
from containai.incus.tls import Address, Identity
from harness.incus_server import Operation, Refused, incus_server, make_certificate

from .doing import Doing

ISOLATED, FIRST = "security.idmap.isolated", "volatile.idmap.base"


class Instances:
    """What the server has. `files` are by instance and path: (content, uid, gid, mode)."""

    def __init__(self, server):
        self.server = server
        self.known = {}
        self.files = {}
        self.images = {}
        #: Snapshots by instance and name, as the server has them.
        self.snapshots = {}
        #: Whether it restores, or takes what is a snapshot's own for a forbidden change.
        self.restores = True
        #: The first of the ids that are given to all; "" for what is free.
        self.gives = ""
        answer = server.answer
        server.answer = lambda asked, client: self._answer(asked, client, answer)

    def _answer(self, asked, client, otherwise):
        path = asked.path.removeprefix("/1.0/instances")
        if path == asked.path or client not in self.server.trusted or path.endswith("/exec"):
            return otherwise(asked, client)
        if not path:
            return self._create(asked) if asked.method == "POST" else [*self.known.values()]
        name, part = re.fullmatch("/([^/]+)(/.*)?", path).groups()
        if name not in self.known:
            raise Refused(404, "Instance not found")
        if part == "/files":
            return self._file(asked, name, asked.query["path"])
        if part and part.startswith("/snapshots"):
            return self._snapshots(asked, name, part[11:])
        return self._one(asked, name, part)

    def _snapshots(self, asked, name, snapshot):
        if asked.method == "GET":
            return [each for (box, _), each in self.snapshots.items() if box == name]
        if asked.method == "DELETE":
            if self.snapshots.pop((name, snapshot), None) is None:
                raise Refused(404, "Instance snapshot not found")
            return Operation()
        snapshot = asked.value["name"]
        if (name, snapshot) in self.snapshots:
            raise Refused(409, f'Instance snapshot "{name}/{snapshot}" already exists')
        self.snapshots[name, snapshot] = {
            "name": snapshot, "created_at": "2026-11-29T00:00:00Z", "size": -1,
            "config": dict(self.known[name]["config"]), "devices": self.known[name]["devices"],
            "profiles": self.known[name]["profiles"],
        }  # fmt: skip
        return Operation()

    def _create(self, asked):
        name = asked.value["name"]
        if asked.value["source"].get("refresh"):
            assert self.known[name]["status"] == "Stopped"
            return Operation()
        if name in self.known:
            return Operation(
                err=f'Failed creating instance record: Instance "{name}" already exists'
            )
        self.known[name] = asked.value | {
            "status": "Stopped", "location": "none", "created_at": "2026-11-29T00:00:00Z",
            "expanded_config": asked.value["config"], "expanded_devices": {},
        }  # fmt: skip
        return Operation()

    def _one(self, asked, name, part):
        found = self.known[name]
        if asked.method == "PUT" and "restore" in asked.value:
            if not self.restores:
                text = f'Changing "volatile.idmap.next" on container "{name}" in project "boxes"'
                return Operation(err=f"{text} is forbidden")
            found["config"] = dict(self.snapshots[name, asked.value["restore"]]["config"])
            return Operation()
        if asked.method == "POST" and asked.value.get("migration"):
            found["location"] = asked.query["target"]
            return Operation()
        if (asked.method, part) == ("PUT", "/state"):
            found["status"] = "Running" if asked.value["action"] == "start" else "Stopped"
            return Operation()
        if asked.method == "DELETE":
            if found["status"] == "Running":
                raise Refused(400, "Instance is running")
            del self.known[name]
            return Operation()
        if asked.method == "PATCH":
            given = asked.value["config"]
            if given.get(ISOLATED, found["config"].get(ISOLATED)) != found["config"].get(ISOLATED):
                self._choose(found)
            found["config"] |= given
            found["expanded_config"] |= given
            found["description"] = asked.value["description"]
            return {}
        return found

    def _choose(self, found):
        """Give an instance ids that no other on its node has, or what the test wants."""
        others = [each for each in self.known.values() if each["location"] == found["location"]]
        taken = {each["config"].get(FIRST) for each in others if each is not found}
        free = next(text for text in map(str, range(65536, 1 << 32, 65536)) if text not in taken)
        found["config"][FIRST] = self.gives or free

    def _file(self, asked, name, path):
        if asked.method == "DELETE":
            if self.files.pop((name, path), None) is None:
                raise Refused(404, "not found")
            return {}
        above = path.rpartition("/")[0]
        if above not in ("", "/etc") and (name, above) not in self.files:
            raise Refused(404, "not found")
        said = asked.headers
        owner = int(said["x-incus-uid"]), int(said["x-incus-gid"]), said["x-incus-mode"]
        self.files[name, path] = (asked.body, *self.files.get((name, path), (b"", *owner))[1:])
        return {}


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("certificates"))
    return {name: make_certificate(directory, name) for name in ("server", "client")}


@pytest.fixture
def server(certificates):
    with incus_server(certificates["server"]) as made:
        identity = Identity(*certificates["client"])
        made.clients.append(identity.certificate)
        made.trusted.add(fingerprint(identity))
        yield made


@pytest.fixture
def there(server):
    return Instances(server)


@pytest.fixture
def place(server, host, certificates, monkeypatch):
    remote = Remote("work", (Address("127.0.0.1", server.port),), server.pin, "boxes")
    made = IncusPlace(host, remote)
    made._identity = Identity(*certificates["client"])
    return made


@pytest.fixture
def doing(app, workspace, monkeypatch):
    return Doing(app, workspace, monkeypatch)
