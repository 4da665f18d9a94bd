"""Commands on a box that runs and says what steers a terminal: cases of test_views.py."""

import json
import os

from containai.boxes.target import Target
from containai.cli.commands import forward, mount, ports, ssh, status
from containai.engine.container import State

#: What would steer a terminal: controls of both sets, and a mark that turns the direction of
#: writing (UAX #9). A path can hold it.
EVIL = "a\x1b[2J\x9b1m\r\x07\u202e\x7fb"
#: The box that can be entered.
GOOD = f"{EVIL}-2"


def running(app):
    """Return the App with the box running, and ports that steer a terminal."""
    box = app.docker.container(GOOD)
    app.docker.add(box._replace(state=State.RUNNING, running=True))
    app.machine.answer("ssh", out=f'LISTEN 0 5 *:80 *:* users:(("{EVIL}",pid=1,fd=3))\n', err=EVIL)
    return app


def _published(app):
    os.makedirs(app.layout.ssh_blocks, mode=0o700, exist_ok=True)
    with open(app.layout.ssh_block(f"{EVIL}-gone"), "w", encoding="utf-8"):
        return app


def _forward(app):
    app.machine.answer("setpriv", code=1, err=EVIL)
    return forward.run(running(app), box=[GOOD, "3000:80"], auto=False)


def _status(app):
    box = app.docker.container(GOOD)
    os.makedirs(app.layout.kills, exist_ok=True)
    row = {"time": 1, "process": EVIL, "below": EVIL, "limit": 0, "of_machine": False}
    with open(f"{app.layout.kills}/{box.id}", "w", encoding="utf-8") as file:
        json.dump([row], file)
    app.docker.add(box._replace(state=State.RUNNING, running=True))
    app.docker.outputs["top"] = f"HEAD\n1 2 3 4 {EVIL}\n"
    return status.run(app, Target(name=GOOD), watch=False, size=True, processes=True)


def _mounts(app):
    os.makedirs(app.layout.attached)
    with open(
        f"{app.layout.attached}/{app.docker.container(GOOD).id}", "w", encoding="utf-8"
    ) as to:
        json.dump([[f"/srv/{EVIL}", "/data", True]], to)
    return running(app)


def _mount_add(app):
    return mount.add(_mounts(app), box=GOOD, source=EVIL, target="/x", writable=False)


#: The command, how it is done, and whether it says a name of somebody's at all.
CASES = [
    ("ports", lambda app: ports.run(running(app), box=GOOD), True),
    ("forward", _forward, True),
    ("status", _status, True),
    ("mount ls", lambda app: mount.ls(_mounts(app), box=GOOD), True),
    ("mount add", _mount_add, True),
    ("mount rm", lambda app: mount.rm(_mounts(app), box=GOOD, target=EVIL), True),
    ("mount rm", lambda app: mount.rm(_mounts(app), box=GOOD, target="/data"), True),
    ("ssh list", lambda app: ssh.list_(_published(app)), True),
    ("ssh config", lambda app: ssh.config(app, box=GOOD), True),
    ("ssh cleanup", lambda app: ssh.cleanup(_published(app), dry_run=True), True),
    ("ssh cleanup", lambda app: ssh.cleanup(_published(app), dry_run=False), True),
]
