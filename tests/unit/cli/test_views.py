"""What a box, an image, a label, a package or a directory is called steers no terminal.

Every command is run over a machine on which all of that is called so.
"""

import io
import json
import os
import shlex

import pytest

from containai.attack import facts, report
from containai.attack.probe import INSIDE
from containai.boxes import archives
from containai.boxes.target import Target
from containai.cli import main, registry
from containai.cli.commands import (
    _preload,
    _trust,
    config,
    doctor,
    engine,
    image,
    ls,
    reclaim,
    restart,
    rm,
    setup,
    shell,
    start,
    stop,
    uninstall,
)
from containai.cli.commands import exec as exec_
from containai.cli.commands import run as run_
from containai.cli.output import Output
from containai.cli.terminal import Terminal
from containai.engine.container import Image, State
from containai.errors import EngineError
from containai.images import trust
from containai.images.labels import LABEL_IMAGE
from containai.images.trust import Trusted
from containai.layout import IMAGE_REPOSITORY, LABEL_RECIPE
from harness.app import ANOTHER, FakeApp, container
from harness.attack_facts import known
from unit.flows.steps import Switch

#: What would steer a terminal: controls of both sets, and a mark that turns the direction of
#: writing (UAX #9). A path can hold it.
EVIL = "a\x1b[2J\x9b1m\r\x07\u202e\x7fb"
#: The box that can be entered.
GOOD = f"{EVIL}-2"


def _exec(app):
    app.docker.fail("start", EngineError(EVIL))
    return exec_.run(app, Target(name=GOOD), [EVIL])


def _run(app):
    app.machine.answer("ssh", act=lambda: app.docker.by_id.clear())
    app.docker.outputs["logs"] = EVIL
    return run_.run(
        app, Target(), [EVIL], force=True, skip_mounts=False, dry_run=False, fresh=False
    )


def _dry_run(app):
    return run_.run(app, Target(), [EVIL], force=True, skip_mounts=False, dry_run=True, fresh=False)


def _shell(app):
    return shell.run(app, Target(name=EVIL), force=True, skip_mounts=False)


def _attack(app):
    rows = [{"probe": each.name, "status": "found", "seen": EVIL} for each in INSIDE]
    said = "".join(json.dumps(row) + "\n" for row in rows)
    app.machine.answer("ssh", out=said)
    app.machine.answer(*app.engine.argv("exec"), out=said)
    return doctor.run(app, fix=False, attack=GOOD)


def _of_another(act):
    """Have another dockerd answer, whose data is somewhere that is called so."""

    def done(app):
        app.machine.answer(*app.engine.argv("info"), out=f"/{EVIL}\n")
        return act(app)

    return done


def _logs(app):
    app.machine.answer("tail", out=f"{EVIL}\n")
    return engine.logs(app, lines=9)


def _reclaim(app):
    os.makedirs(app.layout.runtime_dir)
    os.mknod(app.layout.runtime_program)
    said = json.dumps({"changed": 1, "problems": [EVIL]})
    app.machine.answer(app.layout.runtime_program, "reclaim", out=said)
    return reclaim.run(app, path=None, dry_run=True)


def _refused(app):
    return reclaim.run(app, path=EVIL, dry_run=True)


def _setup(app, *, dry_run=False):
    return setup.run(app, dry_run=dry_run, image_archive=None, offline_dir=None)


def _uninstall(app, *, dry_run=False):
    with open(app.layout.install_record, "w", encoding="utf-8") as file:
        json.dump({"packages": [EVIL]}, file)
    return uninstall.run(
        app, dry_run=dry_run, containers=False, volumes=False, images=False, purge=False
    )


def _image(app):
    """Have another image with the label of one."""
    made = Image(EVIL, ((LABEL_RECIPE, EVIL), (EVIL, EVIL)), (f"{IMAGE_REPOSITORY}/{EVIL}:x",))
    app.docker.by_reference[EVIL] = made
    content = json.dumps({"name": EVIL, "versions": {EVIL: EVIL}, "left_out": [EVIL]})
    archive = archives.tar({"image/base.json": (content, 0o644)})
    app.machine.answer(*app.engine.argv("cp"), out=archive.decode())
    return app


def _prune(app):
    labels = ((LABEL_RECIPE, EVIL), (LABEL_IMAGE, "base"))
    app.docker.by_reference[EVIL] = Image(EVIL, labels)
    return image.prune(app, dry_run=False)


def _listed(app):
    """Have a value that is anything: a variable says it."""
    app.environ = {"CONTAINAI_NETWORK_CERTIFICATES": EVIL}
    vars(app).pop("settings", None)
    return config.list_all(app, changed=False)


def _edit(app):
    app.environ = {"EDITOR": shlex.quote(EVIL)}
    app.machine.missing.add(EVIL)
    return config.edit_(app)


#: The command, how it is done, and whether it says a name of somebody's at all.
def _preloaded(app):
    said = json.dumps({"names": [EVIL], "id": EVIL, "size": 1})
    app.docker.outputs["run"] = f"{said}\n"
    app.docker.named_volumes = {f"containai-preloaded-{app.layout.uid}"}
    return _preload.run(app, image=[], archive=None, list=True, remove=False)


def _trusted(app):
    trust.keep(app.layout, Trusted(f"/srv/{EVIL}", EVIL))
    return _trust.run(app, path=None, list=True, remove=False)


CASES = [
    ("ls", lambda app: ls.run(app, all=False), True),
    ("ls", lambda app: ls.run(app, all=True), True),
    ("stop", lambda app: stop.run(app, Target(name=GOOD), all=False), True),
    ("stop", lambda app: stop.run(app, Target(name=f"{EVIL}?"), all=False), True),
    ("rm", lambda app: rm.run(app, Target(name=EVIL), all=False), True),
    ("rm", lambda app: rm.run(app, Target(name=f"{EVIL}-3"), all=False), True),
    ("stop", lambda app: stop.run(app, Target(), all=True), False),
    ("rm", lambda app: rm.run(app, Target(), all=True), True),
    ("start", lambda app: start.run(app, Target(name=EVIL), all=False), True),
    ("restart", lambda app: restart.run(app, Target(name=EVIL)), True),
    ("exec", _exec, True),
    ("run", _run, True),
    ("run", _dry_run, True),
    ("shell", _shell, True),
    ("reclaim", _reclaim, True),
    ("reclaim", _refused, True),
    ("setup", _setup, True),
    ("setup", lambda app: _setup(app, dry_run=True), True),
    ("uninstall", _uninstall, True),
    ("uninstall", lambda app: _uninstall(app, dry_run=True), True),
    ("doctor", lambda app: doctor.run(app, fix=False, attack=None), True),
    ("doctor", lambda app: doctor.run(app, fix=True, attack=None), True),
    ("doctor", _attack, True),
    ("image ls", lambda app: image.ls(_image(app)), True),
    ("image show", lambda app: image.show(_image(app), image=EVIL), True),
    ("image show", lambda app: image.show(app, image=EVIL), True),
    ("image preload", _preloaded, True),
    ("image trust", _trusted, True),
    ("image trust", lambda app: _trust.run(app, path=EVIL, list=False, remove=True), True),
    ("image build", lambda app: image.build(app, layer=EVIL, no_cache=False), True),
    ("image pull", lambda app: image.pull(_image(app), reference=f"{EVIL}:b"), True),
    ("image push", lambda app: image.push(_image(app), reference="a/b:c", image=f"{EVIL}x"), True),
    ("image export", lambda app: image.export(app, file=f"/nowhere/{EVIL}"), True),
    ("image import", lambda app: image.import_(app, file=f"/nowhere/{EVIL}"), True),
    ("image prune", _prune, True),
    ("config list", _listed, True),
    ("config get", lambda app: config.get(app, key=EVIL), True),
    ("config set", lambda app: config.set_(app, key="box.memory", value=[EVIL]), True),
    ("config unset", lambda app: config.unset(app, key=EVIL), True),
    ("config edit", _edit, True),
    ("config path", config.path, False),
    ("engine start", _of_another(engine.start), True),
    ("engine stop", _of_another(engine.stop), True),
    ("engine status", _of_another(engine.status), True),
    ("engine logs", _logs, True),
    ("version", lambda app: registry.find(["version"])[0].run(app), False),
]


@pytest.fixture
def parts(layout, workspace, have_steps, monkeypatch):
    """An App that speaks through an Output, and the streams of that."""
    layout.uid = os.getuid()
    out, err = io.StringIO(), io.StringIO()
    output = Output(out, err, {})
    app = FakeApp(layout, ui=Terminal(output, agreed=True)).set_up()
    box = app.add_box(workspace, name=GOOD, state=State.EXITED)
    others = [
        container(f"/srv/{EVIL}", EVIL, layout.uid, State.UNKNOWN),
        container(f"/srv/{EVIL}", f"{EVIL}-3", ANOTHER),
    ]
    for each in (box, *others):
        labels = (*each.labels, (EVIL, EVIL))
        app.docker.add(each._replace(image=EVIL, created=EVIL, error=EVIL, labels=labels))
    rows = [Switch(EVIL, fails=EVIL), Switch(f"{EVIL}-2", right=True)]
    have_steps(*rows)
    monkeypatch.setattr(facts, "gather", lambda engine, name: known())
    monkeypatch.setattr(report, "from_host", lambda known: [])
    return app, output, out, err


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("case", CASES, ids=[f"{n}-{c[0]}" for n, c in enumerate(CASES)])
def test_no_command_lets_a_name_steer_the_terminal(parts, case, as_json):
    _, act, is_said = case
    app, output, out, err = parts
    main.caught(lambda: (act(app), as_json), output)
    shown = out.getvalue() + err.getvalue()
    assert not [c for c in shown if not c.isprintable() and c not in "\n\t"]
    # What has no view is told to machines alone.
    silent = case[0] in ("stop", "rm") and not as_json and not shown
    assert silent or ("[2J" in shown) == is_said


def test_every_command_is_among_them():
    assert {case[0] for case in CASES} == {row.path for row in registry.every()}
