"""Commands on remote places whose servers say what steers a terminal: cases of test_views.py."""

import pytest

from containai.cli.commands import remote
from containai.flows import remotes
from containai.incus import store
from containai.incus.known import Remote
from containai.incus.server import About, Member
from containai.incus.tls import Address
from unit.cli.of_running import EVIL


def _known(app):
    place = Remote(EVIL, (Address("127.0.0.1", 1),), "f" * 64, EVIL, EVIL)
    store.keep(app.layout, place)
    return app


def _show(app):
    about = About(
        True, (), frozenset(), "incus", EVIL, EVIL, True, EVIL, EVIL, (), EVIL, EVIL, (EVIL,)
    )
    member = Member(EVIL, EVIL, EVIL, EVIL, EVIL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remotes, "ask", lambda *words: (about, {EVIL: (1, 1)}, [member]))
        return remote.show(_known(app), name=EVIL)


def _add(app, url=None, token=None):
    return remote.add(app, name="work", url=url, token=token, project=None, fingerprint=None)


CASES = [
    ("remote add", lambda app: _add(app, url=EVIL), True),
    ("remote add", lambda app: _add(app, token=EVIL), False),
    ("remote ls", lambda app: remote.ls(_known(app)), True),
    ("remote rm", lambda app: remote.rm(_known(app), name=EVIL, force=True), True),
    ("remote rm", lambda app: remote.rm(_known(app), name=EVIL, force=False), True),
    ("remote use", lambda app: remote.use(_known(app), name=EVIL), True),
    ("remote show", _show, True),
    ("remote show", lambda app: remote.show(_known(app), name=f"{EVIL}-2"), True),
]
