"""Whether a server of Incus is as boxes need it, as far as its user can see."""

import ssl
from typing import Any, NamedTuple

from containai import __version__
from containai.app import App
from containai.errors import DamagedError, RemoteError, RemoteIdentityError, SshSetupError
from containai.flows import remotes
from containai.host.machine import Machine
from containai.host.proc import ProcessError
from containai.incus import sight, store
from containai.incus.judge import ROWS, checks
from containai.incus.known import Remote
from containai.incus.verdicts import Check
from containai.ssh import client
from containai.work.actions import Finding, unknown

#: What is looked at before all else.
CLIENT, SERVER = "this machine", "server"
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
        return Looked(remote, [_client(app), *_unlooked(failed)])
    text = f"{where} answers, with the pinned certificate"
    first: Finding[Any] = Finding(True, text)
    rows = [_client(app), Check(SERVER, first, _MEANS), *checks(seen, remote.project)]
    return Looked(remote, rows)


def _client(app: App) -> Check:
    """Look at what boxes are reached with from here."""
    try:
        client.check(app.host)
        finding: Finding[Any] = Finding(True, _versions(app.host))
    except (SshSetupError, ProcessError) as wrong:
        finding = Finding(False, str(wrong), hint=wrong.hint)
    return Check(CLIENT, finding, _MEANS)


def _versions(host: Machine) -> str:
    ssh = ".".join(map(str, host.ssh_version()))
    return f"cai {__version__}, OpenSSH {ssh}, {ssl.OPENSSL_VERSION}"


def _unlooked(failed: RemoteError | RemoteIdentityError | DamagedError) -> list[Check]:
    first: Finding[Any] = Finding(False, str(failed), hint=failed.hint)
    rest = unknown("not looked at: the server was not reached")
    return [Check(SERVER, first, _MEANS), *(Check(row.title, rest, row.means) for row in ROWS)]
