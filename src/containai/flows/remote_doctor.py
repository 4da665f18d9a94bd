"""Whether a server of Incus is as boxes need it, as far as its user can see."""

from typing import Any, NamedTuple

from containai.app import App
from containai.errors import DamagedError, RemoteError, RemoteIdentityError
from containai.flows import remotes
from containai.incus import sight, store
from containai.incus.dangers import Check
from containai.incus.judge import ROWS, checks
from containai.incus.known import Remote
from containai.work.actions import Finding, unknown

#: What is looked at before all else.
SERVER = "server"
_MEANS = "No box there is reached."


class Looked(NamedTuple):
    """A place, and what was found of it."""

    remote: Remote
    rows: list[Check]

    @property
    def is_fine(self) -> bool:
        """Whether nothing has to be done, and everything could be looked at."""
        return all(each.finding.passes for each in self.rows)


def look(app: App, name: str | None) -> Looked:
    """Look at a place, and change nothing. Raises UsageError where there is no such place."""
    remote = store.find(app.layout, remotes.named(app, name))
    app.ui.say(f"looking at {remote.name}")
    try:
        with remotes.client(app, remote) as incus:
            seen = sight.look(incus)
            where = incus.dialler.where
    except (RemoteError, RemoteIdentityError, DamagedError) as failed:
        return Looked(remote, _unlooked(failed))
    text = f"{where} answers, with the pinned certificate"
    first: Finding[Any] = Finding(True, text)
    return Looked(remote, [Check(SERVER, first, _MEANS), *checks(seen, remote.project)])


def _unlooked(failed: RemoteError | RemoteIdentityError | DamagedError) -> list[Check]:
    first: Finding[Any] = Finding(False, str(failed), hint=failed.hint)
    rest = unknown("not looked at: the server was not reached")
    return [Check(SERVER, first, _MEANS), *(Check(row.title, rest, row.means) for row in ROWS)]
