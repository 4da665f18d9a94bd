"""Commands on a box whose jobs steer a terminal: cases of test_views.py."""

import json

from containai.boxes.target import Target
from containai.cli.commands import attach, jobs, kill, logs
from unit.cli.of_running import EVIL, GOOD, running

ROW = {
    "name": "good", "status": EVIL, "code": 1, "when": 1, "created": 1, "restarts": 0,
    "command": [EVIL], "terminal": False, "restart": EVIL, "calendar": EVIL,
}  # fmt: skip


def _told(app, **more):
    said = json.dumps({"jobs": [ROW]} | more)
    app.machine.answer(*app.engine.argv("exec", "--interactive"), out=said)
    app.docker.outputs["exec"] = f"{EVIL} [2J\n"
    return running(app)


def _logs(app):
    app, target = _told(app), Target(name=GOOD)
    return logs.run(
        app,
        target,
        follow=False,
        job="good",
        since=None,
        lines=1,
        unit=None,
        boot=False,
        console=False,
    )


def _attach(app):
    return attach.run(_told(app), Target(name=GOOD), job=EVIL, read_only=False)


CASES = [
    ("jobs", lambda app: jobs.run(_told(app), Target(name=GOOD), all=False), True),
    ("jobs", lambda app: jobs.run(_told(app, failed=EVIL), Target(name=GOOD), all=False), True),
    ("logs", _logs, True),
    ("attach", _attach, True),
    ("kill", lambda app: kill.run(_told(app), Target(name=GOOD), job="good", signal=9), True),
]
