"""A user's boxes on a place in memory."""

from containai.away import record
from containai.away.lifecycle import AwayBoxes, Making
from containai.boxes.workspace import Workspace
from containai.host import files
from containai.ssh import connect, hosts
from harness.place import FakePlace

MAKING = Making("f" * 64, "full", {"limits.cpu": "2"})


class Doing:
    """A user's boxes on a place in memory; ssh's connections are noted, and not made."""

    def __init__(self, app, workspace, monkeypatch):
        self.app, self.layout = app, app.layout
        self.workspace = Workspace(str(workspace))
        self.place = FakePlace()
        self.said = []
        self.connected = []
        self.stands = True
        monkeypatch.setattr(connect, "open_master", self._connect)
        monkeypatch.setattr(connect, "stands", lambda layout, box: self.stands)

    def _connect(self, host, box, still_alive, address="", seconds=0.0):
        self.connected.append(box)
        self.watch = still_alive

    @property
    def did(self):
        """What the place was asked to do, and not only for."""
        return [each[0] for each in self.place.asked if each[0] not in ("find", "every")]

    def boxes(self, **words):
        return AwayBoxes(self.app.host, self.place, **words)

    def up(self, name="api", *, make=lambda: MAKING, boxes=None, **words):
        boxes = boxes or self.boxes()
        progress = lambda: lambda text, share: None  # noqa: E731
        return boxes.bring_up(name, self.workspace, self.said.append, make, progress, **words)

    def entry(self, name="api"):
        return record.every(self.layout).get(name)

    def pinned(self, name="api"):
        return hosts.pinned_key(files.read(self.layout.known_hosts) or "", name)
