"""Spare boxes of a site: made at once instead of in the background, and claimed by hand."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from containai.boxes import claims, spares, volumes
from containai.host import files

from .site import Site
from .space import Space

_APP = """
import os
from containai.app import App
from containai.boxes import spares
from containai.images import recipe
from containai.layout import Layout

class Nobody:
    def say(self, text): pass

app = App(Layout.from_environment(), Nobody(), environ=os.environ)
"""
#: What the keeper of spares does to make one (flows/keeper.py)
MAKE = f"""{_APP}
order, digest = spares.ordered(app.boxes, recipe.wanted(app.settings).reference)
spares.make(app.boxes, order._replace(spare=digest), app.ui.say)
print(order.name)
"""
#: What it does to one that is not good enough.
_DISCARD = f"""{_APP}
import sys
app.boxes.discard(sys.argv[1])
"""
#: And to all that are nobody's yet.
_END = f"""{_APP}
for each in spares.unclaimed(app.engine):
    app.boxes.discard(each.id)
"""


def spare(site: Site, env: dict[str, str] | None = None) -> dict[str, Any]:
    """Make a spare of the site's user; return what the engine knows of it."""
    argv = [sys.executable, "-c", MAKE]
    environment = site.environment | (env or {})
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return site.inspect(done.stdout.strip())


def do(site: Site, words: str) -> None:
    """Do something in Python with the `app` of the site's user."""
    subprocess.run([sys.executable, "-c", f"{_APP}\n{words}\n"], env=site.environment, check=True)


def sweep(site: Site) -> None:
    """Remove what is left of spares that are gone, as the keeper does before it makes one."""
    do(site, "spares.sweep(app.boxes)")


def discard(site: Site, container: str) -> None:
    """Remove a spare, whoever has it by now."""
    subprocess.run([sys.executable, "-c", _DISCARD, container], env=site.environment, check=True)


def listed(site: Site, **options: Any) -> list[dict[str, Any]]:
    """Return the rows of `cai ls --spares`."""
    rows: list[dict[str, Any]] = json.loads(site.cai("ls", "--spares", "--json", **options).stdout)
    return rows


@contextlib.contextmanager
def undisturbed(site: Site) -> Iterator[None]:
    """Have spares that no keeper makes, gives away or removes; none is left."""
    claims.ask(site.layout, claims.END)
    lock = os.path.join(site.layout.state_dir, "spares.lock")
    with files.lock(lock, wait=120, what="spare boxes"):
        _end(site)
        yield
        _end(site)
        for name in volumes.adopted(site.layout):
            site.docker("volume", "rm", name, check=False)
            os.unlink(os.path.join(site.layout.spares, name))


def _end(site: Site) -> None:
    subprocess.run([sys.executable, "-c", _END], env=site.environment, check=True)


def connected(site: Site, container: str) -> socket.socket:
    """Return a connection to what waits for a claim."""
    connection = spares.connected(site.layout, container)
    connection.settimeout(60)
    return connection


def is_heard(site: Site, container: str) -> bool:
    """Whether something waits there for a claim."""
    try:
        connected(site, container).close()
    except OSError:
        return False
    return True


def ask(site: Site, container: str, raw: bytes, *, is_whole: bool = True) -> bytes:
    """Send something to what waits for a claim; return what it says until it hangs up."""
    with connected(site, container) as asking:
        with contextlib.suppress(BrokenPipeError):
            asking.sendall(raw)
            # Who has said it all, and waits for an answer, keeps the connection.
            if is_whole and not raw.endswith(b"\n"):
                asking.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            return asking.recv(1 << 16)
    return b""


def claim(site: Site, container: str, name: str, *mounts: Sequence[Any], start: str = "") -> str:
    """Claim a spare by hand; return why it cannot be."""
    said = {"hostname": name, "claimed": mounts, "start": start}
    answer = ask(site, container, json.dumps(said).encode() + b"\n")
    assert answer[:1] == b"."
    return answer[1:].decode()


def listen(site: Site, container: str) -> None:
    """Have a spare that refused a claim wait for another."""
    site.docker("exec", "--user", "0:0", container, ":await", str(os.getuid()))


def is_claimed(space: Space, made: dict[str, Any]) -> bool:
    """Whether a workspace's box is what was that spare, and of nobody else."""
    return bool(space.inspect()["Id"] == made["Id"])
