"""What a box, an image, a label, a package or a directory is called steers no terminal.

Every command is run over a machine on which all of that is called so.
"""

import importlib
import io
import json
import os
import shlex
from typing import Any

import pytest

from containai import trust
from containai.attack import facts, report
from containai.attack.probe import INSIDE
from containai.boxes import archives, saved
from containai.boxes.spec import data_labels
from containai.boxes.target import Target
from containai.cli import main, registry
from containai.cli.commands import (
    _preload,
    code,
    completion,
    config,
    cp,
    docker,
    doctor,
    engine,
    export,
    image,
    keep,
    limit,
    logs,
    ls,
    pull,
    push,
    reclaim,
    rename,
    restart,
    restore,
    rm,
    setup,
    shell,
    start,
    stop,
    uninstall,
    update,
    volume,
)
from containai.cli.commands import exec as exec_
from containai.cli.commands import help as help_command
from containai.cli.commands import prune as prune_
from containai.cli.commands import run as run_
from containai.cli.commands import trust as trust_command
from containai.cli.output import Output
from containai.cli.terminal import Terminal
from containai.engine.container import Image, Mount, State
from containai.errors import EngineError
from containai.flows import update as update_flow
from containai.host import releases
from containai.images.labels import LABEL_IMAGE
from containai.layout import DATA_IN_BOX, IMAGE_REPOSITORY, LABEL_PART_OF, LABEL_RECIPE
from containai.trust import Trusted
from harness.app import ANOTHER, FakeApp, container
from harness.attack_facts import known
from unit.cli import of_away, of_jobs, of_remotes, of_running, of_servers
from unit.cli.of_running import EVIL, GOOD
from unit.flows.steps import Switch

#: How a box is made.
MADE: dict = {"force": True, "skip_mounts": False}


def _update(app):
    release = releases.Release("9.9", "0" * 64, b"", EVIL)
    seen = update_flow.Update("0.1", "9.9", True, EVIL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(update_flow, "look", lambda app, **words: (seen, release))
        return update.run(app, check=False, dry_run=True, version=None, releases=None)


def _completion(app):
    app.environ = {"XDG_DATA_HOME": f"{app.layout.home}/{EVIL}"}
    return completion.run(app, shell="zsh", install=True, remove=False)


def _said(app, **options):
    app.docker.outputs |= {"exec": f"{EVIL}\n", "logs": f"{EVIL}\n"}
    nothing: dict[str, Any] = {"since": None, "lines": 1, "unit": None, "boot": False}
    return logs.run(app, Target(name=GOOD), **nothing | options)


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


def _cp(app):
    """Have a box say something that is called so."""
    app.machine.beside = ["sh", "-c", 'printf %s "$1" >&2; exit 3', "sh", EVIL]
    return cp.run(app, src=":x", dst="y", follow_links=False)


def _pruned(app, *, dry_run):
    """Have parts of boxes that are gone."""
    found = (f"label={LABEL_PART_OF}", "dangling=true")
    app.docker.by_filters[found] = [EVIL]
    app.docker.named_volumes = {EVIL}
    app.docker.volume_labels[EVIL] = {LABEL_PART_OF: f"{app.layout.uid}:{EVIL}"}
    return prune_.run(app, older_than=None, all=True, data=True, dry_run=dry_run)


def _attack(app):
    rows = [{"probe": each.name, "status": "found", "seen": EVIL} for each in INSIDE]
    said = "".join(json.dumps(row) + "\n" for row in rows)
    app.machine.answer("ssh", out=said)
    app.machine.answer(*app.engine.argv("exec"), out=said)
    return doctor.run(app, fix=False, attack=GOOD)


def _import(app):
    """Have a link called so, and what a box says."""
    from containai import layout as layouts
    from containai.engine import container as engine_container

    os.makedirs(f"{app.layout.home}/.vim")
    os.symlink("nowhere", f"{app.layout.home}/.vim/x")
    with open(f"{app.layout.home}/.gitconfig", "w", encoding="utf-8") as file:
        file.write("[user]\nname = x\n")
    mount = engine_container.Mount("volume", "data", layouts.DATA_IN_BOX)
    box = app.docker.container(GOOD)
    app.docker.add(box._replace(state=State.RUNNING, running=True, mounts=(*box.mounts, mount)))
    said = json.dumps({"new": [], "replaced": [], "same": [], "failed": [[EVIL, EVIL]]})
    app.machine.answer(*app.engine.argv("exec"), out=said)
    given = {"from_": None, "include": None, "exclude": None, "no_secrets": False}
    run = importlib.import_module("containai.cli.commands.import").run
    return run(app, Target(name=GOOD), **given, with_rotating=False, dry_run=False)


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


def _volumes(app):
    app.docker.make_volume(EVIL, data_labels(app.layout.uid, f"/{EVIL}"))
    return volume.ls(app, sizes=True)


def _volume_rm(app):
    app.docker.make_volume(EVIL, data_labels(app.layout.uid, f"/{EVIL}"))
    return volume.rm(app, volume=[EVIL])


def _file(app):
    return f"{app.layout.home}/{EVIL}"


def _export(app):
    _have_data(app)
    return export.run(app, Target(name=GOOD), output=_file(app))


def _backup(app):
    _have_data(app)
    return volume.backup(app, volume="data", file=_file(app))


def _have_data(app):
    """Have a data volume of the box, and a file of one."""
    app.docker.make_volume("data", data_labels(app.layout.uid, f"/{EVIL}"))
    box = app.docker.container(GOOD)
    mounts = (*box.mounts, Mount("volume", "data", DATA_IN_BOX))
    app.docker.add(box._replace(mounts=mounts, state=State.RUNNING, running=True))
    with open(_file(app), "w+b") as file:
        box = {"name": EVIL, "image": EVIL, "limits": {EVIL: EVIL}}
        saved.Packer(file, print).finish(saved.Manifest(EVIL, EVIL, "data", EVIL, box))


def _restore_volume(app):
    _have_data(app)
    return volume.restore(app, file=_file(app), volume="data")


def _restore(app):
    _have_data(app)
    return restore.run(app, Target(name=GOOD), file=_file(app))


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
    return image.prune(app, on=None, dry_run=False)


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
    return trust_command.run(app, path=None, list=True, remove=False)


CASES = [
    *of_jobs.CASES,
    *of_running.CASES,
    *of_remotes.CASES,
    *of_away.CASES,
    *of_servers.CASES,
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
    ("ls", lambda app: ls.run(app, all=True, size=True, load=True), True),
    ("limit", lambda app: limit.run(app, Target(name=EVIL)), True),
    ("exec", _exec, True),
    ("run", _run, True),
    ("run", _dry_run, True),
    ("shell", lambda app: shell.run(app, Target(name=EVIL), **MADE), True),
    ("code", lambda app: code.run(app, Target(name=EVIL), **MADE, show=True), True),
    ("cp", _cp, True),
    ("keep", lambda app: keep.run(app, Target(name=EVIL), off=False), True),
    ("prune", lambda app: _pruned(app, dry_run=False), True),
    ("prune", lambda app: _pruned(app, dry_run=True), True),
    ("rename", lambda app: rename.run(app, Target(name=EVIL), new="api"), True),
    ("push", lambda app: push.run(app, Target(name=EVIL), ignored=None), True),
    ("pull", lambda app: pull.run(app, Target(name=EVIL), merge=True), True),
    ("reclaim", _reclaim, True),
    ("reclaim", _refused, True),
    ("completion", _completion, True),
    ("help", lambda app: help_command.run(app, topic=[EVIL], install=False, remove=False), True),
    ("update", lambda app: _update(app), True),
    ("docker", _of_another(lambda app: docker.run(app, [EVIL])), True),
    ("logs", lambda app: _said(app, follow=False, console=False), True),
    ("logs", lambda app: _said(app, follow=True, console=False), True),
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
    ("trust", _trusted, True),
    ("trust", lambda app: trust_command.run(app, path=EVIL, list=False, remove=True), True),
    ("image build", lambda app: image.build(app, layer=EVIL, no_cache=False), True),
    ("image pull", lambda app: image.pull(_image(app), reference=f"{EVIL}:b"), True),
    ("image push", lambda app: image.push(_image(app), reference="a/b:c", image=f"{EVIL}x"), True),
    ("image export", lambda app: image.export(app, file=f"/nowhere/{EVIL}"), True),
    ("image import", lambda app: image.import_(app, file=f"/nowhere/{EVIL}"), True),
    ("image prune", _prune, True),
    ("volume ls", _volumes, True),
    ("volume rm", _volume_rm, True),
    ("volume backup", _backup, True),
    ("volume restore", _restore_volume, True),
    ("export", _export, True),
    ("restore", _restore, True),
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
    ("import", _import, True),
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
    monkeypatch.setattr(facts, "gather", lambda engine, name, asked: known())
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
    silent = case[0] in ("stop", "rm", "keep", "kill") and not as_json and not shown
    assert silent or ("[2J" in shown) == is_said


def test_every_command_is_among_them():
    assert {case[0] for case in CASES} == {row.path for row in registry.every()}
