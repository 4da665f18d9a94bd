import json
import os
import random
import shutil
import subprocess

import pytest

from containai.engine import daemon
from containai.errors import EngineError
from containai.layout import Layout

MACHINE = Layout("/", "/home/u", 1000)
SUBNET = "10.203.0.0/20"


def routes(*destinations):
    return json.dumps([{"dst": each} for each in destinations])


def programs(layout):
    return {"cai-runc": layout.runtime_program}


def test_daemon_json():
    config = json.loads(daemon.daemon_json(MACHINE, SUBNET, programs(MACHINE), "cai-runc"))
    assert config == {
        "hosts": ["unix:///var/run/containai-docker.sock"],
        "data-root": "/var/lib/containai-docker",
        "exec-root": "/var/run/containai-docker",
        "pidfile": "/var/run/containai-docker.pid",
        "group": "root",
        "bridge": "cai0",
        "fixed-cidr": SUBNET,
        "icc": False,
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
        json.loads(daemon.daemon_json(each, SUBNET, programs(each), "cai-runc"))
        for each in (Layout(str(tmp_path / name), "/h", 0) for name in "ab")
    )
    for key in ("hosts", "data-root", "exec-root", "pidfile", "bridge", "runtimes"):
        assert one[key] != other[key]


def test_subnet_avoids_routes():
    first, second = "10.203.0.0/20", "10.203.16.0/20"
    elsewhere, third = "172.29.240.0/20", "192.168.240.0/20"
    assert daemon.free_subnet("") == daemon.free_subnet("[]") == first
    assert daemon.free_subnet(routes("default", "192.0.2.7")) == first
    assert daemon.free_subnet(routes(first)) == second
    assert daemon.free_subnet(routes("10.0.0.0/8")) == elsewhere
    assert daemon.free_subnet(routes("10.203.3.1")) == second
    assert daemon.free_subnet(routes("10.0.0.0/8", "172.16.0.0/12")) == third


def test_no_subnet_left():
    with pytest.raises(EngineError) as caught:
        daemon.free_subnet(routes(*daemon.POOLS))
    assert daemon.POOLS[0] in caught.value.hint


def test_bridge_name_fits():
    source = random.Random(7)
    for _ in range(500):
        root = "/" + "".join(source.choices("abc/ü -", k=source.randrange(1, 80)))
        name = Layout(root, "/h", 0).bridge
        assert len(name) <= 15
        assert name.isascii()
        assert name.isalnum()


def test_bridge_script_is_valid():
    script = daemon.bridge_script(MACHINE, SUBNET)
    subprocess.run(["sh", "-n", "-c", script], check=True)
    assert "10.203.0.1/20 dev cai0" in script
    # The unit has it between single quotes, and systemd takes % and $ for its own.
    assert not set("'%$\\") & set(script)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_unit_is_valid(tmp_path):
    path = tmp_path / MACHINE.engine_unit
    path.write_text(daemon.unit(MACHINE, shutil.which("true"), SUBNET), encoding="utf-8")
    argv = ["systemd-analyze", "verify", "--recursive-errors=no", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    ours = [line for line in done.stderr.splitlines() if MACHINE.engine_unit in line]
    assert (done.returncode, ours) == (0, [])


def test_configuration(layout):
    assert daemon.configuration(layout) is None
    os.makedirs(os.path.dirname(layout.engine_config))
    with open(layout.engine_config, "w", encoding="utf-8") as file:
        file.write(daemon.daemon_json(layout, SUBNET, programs(layout), "cai-runc"))
    assert daemon.configuration(layout)["fixed-cidr"] == SUBNET
    with open(layout.engine_config, "w", encoding="utf-8") as file:
        file.write("{")
    with pytest.raises(EngineError, match="is damaged"):
        daemon.configuration(layout)


@pytest.mark.parametrize("text", ["", "x", "0", "-1", "99999999"])
def test_pid_file_alone_proves_nothing(layout, text):
    os.makedirs(os.path.dirname(layout.engine_pidfile))
    for content in (text, str(os.getpid())):
        with open(layout.engine_pidfile, "w", encoding="utf-8") as file:
            file.write(content)
        assert daemon.running_pid(layout) is None


def test_running_pid(layout):
    os.makedirs(os.path.dirname(layout.engine_pidfile))
    argv = ["sh", "-c", "echo up; read line", "dockerd", layout.engine_config]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe) as child:
        # Until then its command line may not be in /proc yet.
        assert child.stdout.readline() == b"up\n"
        with open(layout.engine_pidfile, "w", encoding="utf-8") as file:
            file.write(f"{child.pid}\n")
        assert daemon.running_pid(layout) == child.pid
        child.stdin.close()
    assert daemon.running_pid(layout) is None
