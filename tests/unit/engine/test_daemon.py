import json
import os
import random
import shutil
import signal
import stat
import subprocess

import pytest

from containai.engine import cache, configuration, daemon, forward, shims
from containai.engine.network import Network
from containai.errors import DamagedError
from containai.host import processes, service
from containai.host.machine import Machine
from containai.host.processes import Process
from containai.layout import Layout
from harness.waiting import until

MACHINE = Layout("/", "/home/u", 1000)
NETWORK = Network("10.203.0.0/20")


def golden(name):
    path = os.path.join(os.path.dirname(os.path.dirname(__file__)), "golden", name)
    with open(path, encoding="utf-8") as file:
        return file.read()


def programs(layout):
    return {"cai-runc": layout.runtime_program}


def test_daemon_json():
    config = json.loads(configuration.text(MACHINE, NETWORK, programs(MACHINE), "cai-runc"))
    assert config == {
        "hosts": ["unix:///var/run/containai-docker.sock"],
        "data-root": "/var/lib/containai-docker",
        "exec-root": "/var/run/containai-docker",
        "pidfile": "/var/run/containai-docker.pid",
        "group": "containai",
        "bridge": "cai0",
        "fixed-cidr": "10.203.0.0/21",
        "default-address-pools": [{"base": "10.203.8.0/21", "size": 26}],
        "iptables": False,
        "ip6tables": False,
        "ip-forward": False,
        "userland-proxy-path": "/usr/local/lib/containai/docker-proxy",
        "default-runtime": "cai-runc",
        "runtimes": {"cai-runc": {"path": "/usr/local/lib/containai/cai-runc"}},
        "default-cgroupns-mode": "private",
        "storage-driver": "overlay2",
        "features": {"containerd-snapshotter": False},
        "log-driver": "local",
        "live-restore": True,
        "shutdown-timeout": 100,
    }


def test_engines_of_two_roots_share_nothing(tmp_path):
    one, other = (
        json.loads(configuration.text(each, NETWORK, programs(each), "cai-runc"))
        for each in (Layout(str(tmp_path / name), "/h", 0) for name in "ab")
    )
    own = (
        "hosts",
        "data-root",
        "exec-root",
        "pidfile",
        "bridge",
        "runtimes",
        "userland-proxy-path",
    )
    for key in own:
        assert one[key] != other[key]


def test_bridge_name_fits():
    source = random.Random(7)
    for _ in range(500):
        root = "/" + "".join(source.choices("abc/ü -", k=source.randrange(1, 80)))
        name = Layout(root, "/h", 0).bridge
        assert len(name) <= 15
        assert name.isascii()
        assert name.isalnum()


def units(dockerd):
    engine, network = (
        service.unit(each)
        for each in (
            daemon.service(Machine(MACHINE), NETWORK, dockerd),
            daemon.network_service(MACHINE, NETWORK),
        )
    )
    return {MACHINE.engine_unit: engine, MACHINE.network_unit: network}


def test_units():
    for name, text in units("/usr/sbin/dockerd").items():
        assert text == golden(name)


def test_units_of_what_the_engine_wants():
    texts = {
        part.unit: service.unit(part) for part in daemon.parts(Machine(MACHINE), NETWORK, "/d")
    }
    assert set(texts) == {
        MACHINE.engine_unit,
        MACHINE.network_unit,
        MACHINE.lxcfs_unit,
        MACHINE.resolver_unit,
        forward.UNIT,
        cache.UNIT,
    }
    for name in (MACHINE.lxcfs_unit, MACHINE.resolver_unit, forward.UNIT, cache.UNIT):
        assert texts[name] == golden(name)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="./test.sh installs it")
def test_units_are_valid(tmp_path):
    """The programs that the units name are replaced by one that is here."""
    true = shutil.which("true")
    for name, text in units(true).items():
        path = tmp_path / name
        path.write_text(text.replace(MACHINE.runtime_dir + "/", f"{true} "), encoding="utf-8")
        argv = ["systemd-analyze", "verify", "--recursive-errors=no", str(path)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        ours = [line for line in done.stderr.splitlines() if name in line]
        assert (done.returncode, ours) == (0, [])


def test_engine_script_is_valid():
    subprocess.run(["sh", "-n", "-c", daemon.script()], check=True)


UNIT = "containai-docker.service"
#: What systemd is about to do with a unit, as systemctl says it, whether it is that which stops
#: dockerd; and whether boxes are to live on.
STOPS = [
    pytest.param([], None, False, id="no systemd"),
    pytest.param([UNIT], f"243 {UNIT} stop running", False, id="stop"),
    pytest.param([UNIT], f"191 {UNIT} restart running", True, id="restart"),
    pytest.param([UNIT], "", False, id="nothing to do"),
    pytest.param([], f"191 {UNIT} restart running", False, id="the unit of an earlier version"),
]


@pytest.mark.parametrize(("words", "said", "live_on"), STOPS)
def test_a_stop_switches_live_restore_off_and_a_restart_does_not(
    tmp_path, monkeypatch, words, said, live_on
):
    """dockerd is a shell here: it says what its configuration is when it is asked to read it."""
    if said is not None:
        asked = f'[ "$*" = "list-jobs --no-legend {UNIT}" ] && echo "{said}"'
        executable(tmp_path / "bin/systemctl", f"#!/bin/sh\n{asked}\n")
        monkeypatch.setenv("MAINPID", "1")
    before, after, dockerd = stopped(tmp_path, words)
    assert before["live-restore"] is True
    assert after == before | {"live-restore": live_on}
    assert dockerd == (["end"] if live_on else ['"live-restore":', "false,", "end"])


def executable(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def stopped(tmp_path, words):
    """Return the configuration before a stop, and its copy after; and what dockerd says."""
    config, copy, script = (
        tmp_path / each for each in ("daemon.json", "run/daemon.json", "engine")
    )
    text = configuration.text(MACHINE, NETWORK, programs(MACHINE), "cai-runc")
    # However it is spaced.
    config.write_text(json.dumps(json.loads(text)).replace(": ", " :\n"), encoding="utf-8")
    # It looks for programs in the system's directories only.
    own_path = daemon.script().replace("PATH=", f"PATH={tmp_path}/bin:", 1)
    script.write_text(own_path, encoding="utf-8")
    prepare = ["sh", str(script), "prepare", str(config), str(copy), str(tmp_path / "data")]
    subprocess.run([*prepare, "10.203.0.0/21", str(os.getgid()), str(tmp_path / "b")], check=True)
    assert stat.S_IMODE(os.stat(tmp_path / "run" / "given").st_mode) == 0o770
    assert copy.read_text(encoding="utf-8") == config.read_text(encoding="utf-8")
    said = "trap 'grep live-restore \"$0\"' HUP; trap 'echo end; exit' TERM; echo ready"
    fake = said + "; while :; do sleep .05; done"
    with subprocess.Popen(
        ["sh", "-c", fake, str(copy)],
        stdout=subprocess.PIPE,
        text=True,
        # Below nohup it is ignored, and a shell cannot trap what was ignored when it began.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    ) as dockerd:
        assert dockerd.stdout is not None
        assert dockerd.stdout.readline() == "ready\n"
        stop = ["sh", str(script), "stop", str(copy), str(tmp_path / "none")]
        subprocess.run([*stop, str(dockerd.pid), *words], check=True)
        heard = dockerd.communicate()[0].split()
    before, after = (json.loads(path.read_text(encoding="utf-8")) for path in (config, copy))
    return before, after, heard


def test_networks_of_another_subnet_are_forgotten(tmp_path):
    """dockerd would give the bridge the address that is stored with them."""
    config, stored = tmp_path / "daemon.json", tmp_path / "data/network/files/local-kv.db"
    config.touch()
    argv = ["sh", "-c", daemon.script(), "engine", "prepare", str(config)]
    argv += [str(tmp_path / "run/daemon.json"), str(tmp_path / "data")]
    stored.parent.mkdir(parents=True)
    bundles = tmp_path / "moby"
    for name in (".deadbeef", "deadbeef"):
        (bundles / name).mkdir(parents=True)
    for subnet, kept in (("a", False), ("a", True), ("b", False), ("b", True)):
        stored.touch()
        subprocess.run([*argv, subnet, str(os.getgid()), str(bundles)], check=True)
        assert stored.exists() == kept
    # What was half removed goes.
    assert os.listdir(bundles) == ["deadbeef"]


def test_a_port_that_is_to_be_another_is_before_dockerd_starts(tmp_path):
    config, run, data = tmp_path / "daemon.json", tmp_path / "run", tmp_path / "data"
    config.touch()
    run.mkdir()
    said = '{"Env":["X=\\"HostPort\\":\\"2300\\""],"HostPort":"2300","Other":"2300"}'
    names = ("hostconfig.json", "config.v2.json")
    for container in ("a" * 64, "b" * 64):
        (data / "containers" / container).mkdir(parents=True)
        for name in names:
            (data / "containers" / container / name).write_text(said, encoding="utf-8")
    moved = run / "moved"
    lines = ["../x 2300 2301", f"{'a' * 64} 2300 2301", f"{'c' * 64} 2300 2301", "x", "* 2300 1"]
    moved.write_text("\n".join(lines) + "\n", encoding="utf-8")
    argv = ["sh", "-c", daemon.script(), "engine", "prepare", str(config)]
    subprocess.run([*argv, str(run / "daemon.json"), str(data), "a", str(os.getgid())], check=True)
    seen = {
        (container, name): (data / "containers" / (container * 64) / name).read_text("utf-8")
        for container in "ab"
        for name in names
    }
    other = said.replace('"HostPort":"2300",', '"HostPort":"2301",')
    assert seen == {(each, name): said if each == "b" else other for each, name in seen}
    assert not moved.exists()


def test_stop_of_nothing(tmp_path):
    argv = ["sh", "-c", daemon.script(), "engine", "stop", str(tmp_path / "x"), "/none"]
    for pid in ([], [""], ["99999999"]):
        subprocess.run([*argv, *pid], check=True)
        subprocess.run([*argv, UNIT, *pid], check=True)


def test_configuration(layout):
    assert configuration.read(layout) is None
    os.makedirs(os.path.dirname(layout.engine_config))
    with open(layout.engine_config, "w", encoding="utf-8") as file:
        file.write(configuration.text(layout, NETWORK, programs(layout), "cai-runc"))
    assert (configuration.read(layout) or {})["fixed-cidr"] == NETWORK.boxes
    with open(layout.engine_config, "w", encoding="utf-8") as file:
        file.write("{")
    with pytest.raises(DamagedError, match="is damaged"):
        configuration.read(layout)


@pytest.mark.parametrize("text", ["", "x", "0", "-1", "99999999"])
def test_pid_file_alone_proves_nothing(layout, text):
    os.makedirs(os.path.dirname(layout.engine_pidfile))
    for content in (text, str(os.getpid())):
        with open(layout.engine_pidfile, "w", encoding="utf-8") as file:
            file.write(content)
        assert daemon.running_pid(layout) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="the engine is root's")
def test_running_pid(layout, tmp_path):
    os.makedirs(os.path.dirname(layout.engine_pidfile))
    dockerd = str(shutil.copy("/bin/sh", tmp_path / "dockerd"))
    argv = [dockerd, "-c", "echo up; read line", "sh", layout.engine_running_config]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe) as child:
        # Until then its command line may not be in /proc yet.
        assert child.stdout.readline() == b"up\n"
        with open(layout.engine_pidfile, "w", encoding="utf-8") as file:
            file.write(f"{child.pid}\n")
        assert daemon.running_pid(layout) == child.pid
        assert daemon.frozen(layout) == []
        child.send_signal(signal.SIGSTOP)
        until(lambda: daemon.frozen(layout))
        child.send_signal(signal.SIGCONT)
        until(lambda: not daemon.frozen(layout))
        # Who cleans /run does not end it.
        os.unlink(layout.engine_pidfile)
        assert daemon.running_pid(layout) == child.pid
        child.stdin.close()
    assert daemon.running_pid(layout) is None


def test_only_shims_whose_bundles_root_does_not_see_are_ended(layout, host, monkeypatch):
    kept, lost = (Process(pid, 1, "containerd-shim", ()) for pid in (7, 8))
    monkeypatch.setattr(shims, "alive", lambda layout: {kept: "kept", lost: "lost"})
    host.answer("test", "-d", f"{layout.engine_bundles}/lost", code=1)
    ended = []
    monkeypatch.setattr(processes, "send", lambda host, number, which, **_: ended.extend(which))
    monkeypatch.setattr(processes, "runs", lambda process: False)
    shims.end_lost(host)
    assert ended == [lost]
    asked = [argv[-1] for argv in host.ran if argv[:2] == ("#", "test")]
    assert asked == [f"{layout.engine_bundles}/{name}" for name in ("kept", "lost")]


def test_boxes_are_told_of_the_resolver_where_there_is_one():
    there = programs(MACHINE)
    with_one = json.loads(configuration.text(MACHINE, NETWORK, there, "cai-runc", resolves=True))
    without = json.loads(configuration.text(MACHINE, NETWORK, there, "cai-runc"))
    assert with_one == without | {"dns": [NETWORK.host]}
    assert f"{NETWORK.host}/" in NETWORK.address
