"""Sysbox as `cai setup` gets it: from a package of the tests' own making, served on loopback.

Its programs are no Sysbox; that was tried by hand (docs/explanation/sysbox.md).
"""

import functools
import hashlib
import http.server
import json
import os
import re
import subprocess
import threading

import pytest

from containai.boxes import probe
from containai.config.settings import Settings
from containai.engine import runtimes, sysbox
from containai.engine.client import Engine
from containai.errors import DownloadError, EngineError, NoSpaceError, UnsupportedError
from containai.host import download
from containai.host.machine import Machine
from containai.host.perform import perform
from containai.images import recipe
from containai.layout import Layout
from containai.provision import compat
from containai.provision.compat import Facts
from containai.provision.step import Scope
from containai.provision.steps import sysbox as sysbox_step
from containai.provision.steps.choice import RuntimeChoice
from containai.provision.steps.sysbox import SUBORDINATE, Attempt, Sysbox
from containai.work.actions import Pin
from harness.host import HOST
from harness.site import IMAGE

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="installs as root")

#: A daemon as the real ones look from outside: its pid file, its socket, its name in /proc.
DAEMON = """\
#!/bin/bash
exec -a "$0" /usr/bin/python3 -c '
import os, socket, time
short = {{"sysbox-mgr": "sysmgr", "sysbox-fs": "sysfs"}}[os.path.basename("'"$0"'")]
with open("{run}/" + short + ".pid", "w") as file:
    file.write(str(os.getpid()))
listener = socket.socket(socket.AF_UNIX)
listener.bind("{run}/" + short + ".sock")
time.sleep(600)' "$@"
"""
DIES = "#!/bin/sh\necho 'level=fatal msg=\"no FUSE here\"'\nexit 1\n"
CONTROL = (
    "Package: sysbox-ce\nVersion: 0.7.1\nArchitecture: all\n"
    "Maintainer: nobody <nobody@example.org>\nDescription: a package of a test\n"
)


def nothing(*_):
    pass


@pytest.fixture
def layout(tmp_path, monkeypatch):
    run = tmp_path / "sysbox-run"
    run.mkdir()
    monkeypatch.setattr(sysbox, "RUN_DIR", str(run))
    # What this machine is does not matter to a package of scripts.
    monkeypatch.setattr(
        compat, "gather", lambda host, version: Facts(kernel=(6, 8), sysbox=version)
    )
    made = Layout(str(tmp_path / "root"), str(tmp_path), 0)
    yield made
    sysbox.stop(Machine(made))


class Server:
    """Makes packages and serves them."""

    def __init__(self, directory):
        self.directory = directory
        self.marker = directory / "maintainer-script-ran"
        handler = functools.partial(Quiet, directory=str(directory))
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    def package(self, programs, links=()):
        """Return the pin of a package with these programs, and more that nobody asked for."""
        tree = self.directory / "tree"
        files = {f"usr/bin/{name}": text for name, text in programs.items()}
        files |= {
            "usr/bin/other": "#!/bin/sh\n",
            "lib/systemd/system/sysbox.service": "[Service]\n",
            "etc/docker/daemon.json": "{}\n",
            "DEBIAN/control": CONTROL,
            "DEBIAN/postinst": f"#!/bin/sh\ntouch {self.marker}\n",
        }
        for path, text in files.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text)
            (tree / path).chmod(0o755)
        for name in links:
            (tree / "usr/bin" / name).symlink_to("/bin/true")
        target = self.directory / "sysbox.deb"
        subprocess.run(
            ["dpkg-deb", "-Zgzip", "--build", str(tree), str(target)],
            check=True,
            capture_output=True,
        )
        return self.pin(target.read_bytes())

    def pin(self, content):
        digest = hashlib.sha256(content).hexdigest()
        return Pin(f"http://127.0.0.1:{self.http.server_port}/sysbox.deb", digest, 1 << 22)

    def close(self):
        if self.thread.is_alive():
            self.http.shutdown()
            self.thread.join()
            self.http.server_close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    directory = tmp_path / "served"
    directory.mkdir()
    made = Server(directory)
    yield made
    made.close()


def step(pin, asked="sysbox", **more):
    return Sysbox(Attempt(asked, releases={os.uname().machine: pin}, **more))


def apply(layout, wanted):
    for action in wanted.plan(Machine(layout), wanted.check(Machine(layout))):
        perform(HOST, action, nothing)


def daemons(script):
    return {"sysbox-runc": "#!/bin/sh\n"} | dict.fromkeys(sysbox.DAEMONS, script)


def left(layout):
    """Return every file below the root of a layout."""
    return sorted(
        os.path.relpath(os.path.join(parent, name), layout.root)
        for parent, _, names in os.walk(layout.root)
        for name in names
    )


def test_only_its_programs_are_installed_and_run(layout, server):
    wanted = step(server.package(daemons(DAEMON.format(run=sysbox.RUN_DIR))))
    found = wanted.check(Machine(layout))
    assert found[:2] == (False, "0.7.1 is not installed")
    described = [action.describe() for action in wanted.plan(Machine(layout), found)]
    assert any(wanted.attempt.releases[os.uname().machine].sha256 in each for each in described)

    apply(layout, wanted)
    assert wanted.check(Machine(layout)).ok
    assert sorted(os.listdir(layout.sysbox_dir)) == [
        "release",
        "sysbox-fs",
        "sysbox-mgr",
        "sysbox-runc",
    ]
    for name in (".", "sysbox-fs", "sysbox-mgr", "sysbox-runc"):
        seen = os.stat(os.path.join(layout.sysbox_dir, name))
        assert (seen.st_uid, seen.st_gid, seen.st_mode & 0o7777) == (0, 0, 0o755)
    assert not server.marker.exists()
    assert not os.path.exists(os.path.join(layout.root, "etc/docker"))
    for path in layout.subordinate_ids:
        with open(path, encoding="utf-8") as file:
            assert file.read() == SUBORDINATE + "\n"
    assert sysbox.running(layout)
    assert wanted.plan(Machine(layout), wanted.check(Machine(layout))) == []
    assert runtimes.programs(layout)["sysbox-runc"] == layout.sysbox_wrapper

    sysbox.stop(Machine(layout))
    assert wanted.check(Machine(layout))[:2] == (False, "its daemons do not run")
    apply(layout, wanted)
    assert sysbox.running(layout)

    for action in wanted.undo(Machine(layout), Scope()):
        perform(HOST, action, nothing)
    assert not sysbox.running(layout)
    assert left(layout) == ["etc/subgid", "etc/subuid"]
    assert wanted.undo(Machine(layout), Scope()) == []


def test_ids_of_others_stay_as_they_are(layout, server):
    mine = "# ids\nalice:100000:65536\nsysbox:165536:65536\n"
    for path in layout.subordinate_ids:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(mine)
    wanted = step(server.package(daemons(DAEMON.format(run=sysbox.RUN_DIR))))
    apply(layout, wanted)
    for action in wanted.undo(Machine(layout), Scope()):
        perform(HOST, action, nothing)
    for path in layout.subordinate_ids:
        with open(path, encoding="utf-8") as file:
            assert file.read() == mine


def other_checksum(server, pin):
    return pin._replace(sha256="0" * 64)


def broken_off(server, pin):
    path = server.directory / "sysbox.deb"
    path.write_bytes(path.read_bytes()[:-100])
    return pin


def not_there(server, pin):
    return pin._replace(url=pin.url + ".gone")


def nobody_listens(server, pin):
    server.close()
    return pin


def no_package(server, pin):
    content = b"this is no package"
    (server.directory / "sysbox.deb").write_bytes(content)
    return server.pin(content)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (other_checksum, "is not the file that ContainAI trusts"),
        (broken_off, "is not the file that ContainAI trusts"),
        (not_there, "404"),
        (nobody_listens, "cannot be had"),
        (no_package, "cannot be unpacked"),
    ],
)
def test_what_is_not_the_release_is_not_used(layout, server, harm, said, monkeypatch):
    pin = harm(server, server.package(daemons(DIES)))
    with pytest.raises(DownloadError, match=said):
        apply(layout, step(pin))
    auto = step(pin, "auto")
    # Nothing is known against it, though this root is not the machine's.
    monkeypatch.setattr(sysbox_step, "objection", lambda *_: ("", ""))
    apply(layout, auto)
    assert said in auto.attempt.trial.failed
    assert auto.check(Machine(layout))[:2] == (True, f"not used: {auto.attempt.trial.failed}")
    assert set(left(layout)) <= {"var/lib/containai/downloads/sysbox.deb"}


@pytest.mark.parametrize("name", ["sysbox-runc", "sysbox-fs"])
@pytest.mark.parametrize("links", [False, True])
def test_a_package_without_a_program_is_refused(layout, server, name, links):
    programs = daemons(DIES)
    del programs[name]
    pin = server.package(programs, links=[name] if links else [])
    with pytest.raises(DownloadError, match=name):
        apply(layout, step(pin))
    assert left(layout) == ["var/lib/containai/downloads/sysbox.deb"]


def test_a_daemon_that_dies_says_why(layout, server):
    with pytest.raises(EngineError, match=r"sysbox-mgr does not start: .*no FUSE here") as caught:
        apply(layout, step(server.package(daemons(DIES))))
    assert layout.sysbox_log in caught.value.hint


def test_another_sysbox_is_left_alone(layout, server):
    pin = server.package(daemons(DAEMON.format(run=sysbox.RUN_DIR)))
    path = os.path.join(sysbox.RUN_DIR, "sysmgr.pid")
    with open(path, "w", encoding="utf-8") as file:
        file.write(str(os.getpid()))
    with pytest.raises(EngineError, match="another Sysbox is running"):
        apply(layout, step(pin))
    with open(path, encoding="utf-8") as file:
        assert file.read() == str(os.getpid())
    assert not sysbox.running(layout)


@pytest.mark.parametrize("what", ["downloads", "programs"])
def test_a_full_disk_is_named_and_left_as_it_was(layout, server, what):
    pin = server.package(daemons("#!/bin/sh\n#" + os.urandom(200_000).hex() + "\n"))
    full = layout.downloads if what == "downloads" else os.path.dirname(layout.sysbox_dir)
    os.makedirs(full)
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", full]
    subprocess.run(mount, check=True)
    try:
        with pytest.raises(NoSpaceError, match=r"no room|no space") as caught:
            apply(layout, step(pin))
        assert full in str(caught.value)
        assert os.listdir(full) == []
    finally:
        subprocess.run(["umount", full], check=True)


def test_a_directory_instead_of_the_network(layout, server):
    pin = server.package(daemons(DAEMON.format(run=sysbox.RUN_DIR)))
    server.close()
    wanted = step(pin, offline=str(server.directory))
    apply(layout, wanted)
    assert wanted.check(Machine(layout)).ok
    assert download.kept(pin, layout.downloads)


def test_a_machine_that_is_known_to_break_it_is_told_so(layout, server, monkeypatch):
    monkeypatch.setattr(
        compat, "gather", lambda host, version: Facts(sysbox=version, modules=False)
    )
    with pytest.raises(UnsupportedError, match="a kernel without loadable modules"):
        step(server.package(daemons(DIES))).check(Machine(layout))


def test_a_probe_tells_what_does_not_work(site, monkeypatch):
    engine, reference = Engine(Machine(site.layout)), recipe.find(IMAGE, Settings()).reference
    good = probe.script()
    assert probe.probe(engine, reference, "cai-runc", nothing) == ""
    stop = "systemctl stop docker.service docker.socket\nfor unit in"
    for harm, said in (
        (
            good.replace("runuser -u agent --", ""),
            "a file of the agent is [0-9]+'s outside, not 0's",
        ),
        (good.replace("for unit in", stop), "docker.service is not running .*"),
        (good.replace("docker build", "docker build --nonsense"), "docker build.*nonsense.*"),
    ):
        monkeypatch.setattr(probe, "script", lambda harm=harm: harm)
        assert re.fullmatch(said, probe.probe(engine, reference, "cai-runc", nothing))
    nowhere = probe.probe(engine, reference, "no-such-runtime", nothing)
    assert "no-such-runtime" in nowhere
    assert not any("probe" in name for name in site.container_names())
    assert "probe" not in site.docker("volume", "ls", "--quiet")


def test_a_runtime_whose_box_does_not_work_is_not_chosen(site, server, monkeypatch):
    """The stand-in is cai-runc, which does not know what Sysbox is told."""
    layout = site.layout
    run = os.path.join(site.root, "sysbox-run")
    os.makedirs(run, exist_ok=True)
    monkeypatch.setattr(sysbox, "RUN_DIR", run)
    monkeypatch.setattr(
        compat, "gather", lambda host, version: Facts(kernel=(6, 8), sysbox=version)
    )
    programs = daemons(DAEMON.format(run=run))
    programs["sysbox-runc"] = f'#!/bin/sh\nexec {layout.runtime_program} "$@"\n'
    attempt = Attempt("sysbox", releases={os.uname().machine: server.package(programs)})
    choice = RuntimeChoice(attempt, Settings())
    before = runtimes.read_choice(layout)
    assert before is not None
    try:
        assert choice.check(Machine(layout))[:2] == (False, "to be probed")
        apply(layout, Sysbox(attempt))
        for action in choice_of_engine(layout):
            perform(HOST, action, nothing)
        told = json.loads(site.docker("info", "--format", "{{json .Runtimes}}"))
        assert told["sysbox-runc"]["path"] == layout.sysbox_wrapper

        with pytest.raises(UnsupportedError, match="a box does not work: "):
            apply(layout, choice)
        assert runtimes.read_choice(layout) == before

        attempt.asked = "auto"
        monkeypatch.setattr(sysbox_step, "objection", lambda *_: ("", ""))
        os.unlink(layout.runtime_choice)
        apply(layout, choice)
        chosen = runtimes.read_choice(layout)
        assert chosen.runtime == "cai-runc"
        assert "; sysbox-runc: " in chosen.why
        # What was not chosen is gone, and the engine knows.
        assert not sysbox.running(layout)
        assert not os.path.exists(layout.sysbox_dir)
        assert "sysbox-runc" not in json.loads(
            site.docker("info", "--format", "{{json .Runtimes}}")
        )
        assert not any("probe" in name for name in site.container_names())
        assert "probe" not in site.docker("volume", "ls", "--quiet")
    finally:
        with open(layout.runtime_choice, "w", encoding="utf-8") as file:
            file.write(runtimes.choice_text(before))


def choice_of_engine(layout):
    from containai.provision.steps.engine import EngineFiles, EngineRunning

    files, running = EngineFiles(), EngineRunning()
    yield from files.plan(Machine(layout), files.check(Machine(layout)))
    yield from running.plan(Machine(layout), running.check(Machine(layout)))
