import glob
import hashlib
import os
import re
import subprocess

import pytest

from containai.host import packages
from harness.host import HOST

NAMES = ["docker.io", "runc"]


@pytest.fixture
def policy(tmp_path, monkeypatch):
    """Return where the administrator's policy would be, on a machine that has no Docker."""
    monkeypatch.setattr(packages, "POLICY", str(tmp_path / "policy-rc.d"))
    monkeypatch.setattr(packages, "_has_service", lambda name: False)
    return tmp_path / "policy-rc.d"


@pytest.fixture
def run(tmp_path, policy):
    """Return a function that really runs a script, with every program of the machine faked."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("apt-get", "apt-cache", "update-rc.d", "systemctl", "deb-systemd-helper"):
        (programs / name).write_text(
            f'#!/bin/sh\necho {name} "$@" >>"$LOG"\n'
            f'[ -x {policy} ] && echo guarded >>"$LOG"\n'
            f"[ {name} = apt-get ] && [ $1 = install ] && exit ${{CODE:-0}}\n"
            f"[ {name} = apt-get ] && [ $1 = update ] && exit ${{UPDATE:-0}}\n"
            f'[ {name} = apt-cache ] && [ "$2" = unknown ] && exit 100\nexit 0\n',
            encoding="utf-8",
        )
        (programs / name).chmod(0o755)

    def run(script, code=0, update=0):
        log = tmp_path / "log"
        log.touch()
        environ = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "LOG": str(log),
            "CODE": str(code),
            "UPDATE": str(update),
        }
        done = subprocess.run(["sh", "-c", script], env=environ, check=False)
        return done.returncode, log.read_text(encoding="utf-8").splitlines()

    return run


@pytest.mark.parametrize("systemd", [True, False])
def test_script_is_valid(host, policy, systemd):
    host.systemd = systemd
    script = packages.quiet_install_script(host, NAMES)
    assert ("systemctl" in script) is systemd
    subprocess.run(["sh", "-n", "-c", script], check=True)


def test_installation_is_guarded_and_the_guard_goes(run, policy):
    code, log = run(packages.quiet_install_script(HOST, NAMES))
    assert code == 0
    at = next(index for index, line in enumerate(log) if line.startswith("apt-get install"))
    assert log[at].endswith("docker.io runc")
    assert log[at + 1] == "guarded"
    assert not policy.exists()


def test_installs_what_the_archive_has_after_its_lists_are_fetched(run):
    code, log = run(packages.quiet_install_script(HOST, NAMES, ["docker-cli", "unknown"]))
    assert code == 0
    words = [line.split()[:2] for line in log if line.startswith("apt-")]
    assert words == [
        ["apt-get", "update"], ["apt-cache", "show"], ["apt-cache", "show"], ["apt-get", "install"],
    ]  # fmt: skip
    assert next(x for x in log if x.startswith("apt-get install")).endswith("runc docker-cli")


def test_guard_goes_when_the_installation_fails(run, policy):
    code, log = run(packages.quiet_install_script(HOST, NAMES), code=100)
    assert code == 100
    assert "guarded" in log
    assert not policy.exists()
    assert not any("disable" in line for line in log)


@pytest.mark.parametrize(
    ("update", "code", "said"), [(0, 100, False), (100, 100, True), (100, 0, False)]
)
def test_says_that_lists_were_not_fetched_where_that_mattered(run, capfd, update, code, said):
    assert run(packages.quiet_install_script(HOST, NAMES), code=code, update=update)[0] == code
    assert (packages.NO_LISTS in capfd.readouterr().err) is said


def test_policy_of_the_administrator_is_left_alone(run, policy):
    policy.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
    script = packages.quiet_install_script(HOST, NAMES)
    assert str(policy) not in script
    assert run(script)[0] == 0
    assert policy.read_text(encoding="utf-8") == "#!/bin/sh\nexit 101\n"


def test_what_came_is_disabled_and_what_was_there_is_not(run, monkeypatch):
    monkeypatch.setattr(packages, "_has_service", lambda name: name == "docker")
    _, log = run(packages.quiet_install_script(HOST, NAMES))
    assert "update-rc.d containerd disable" in log
    assert not any("docker disable" in line or "docker.service" in line for line in log)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("docker", 101),
        ("docker.socket", 101),
        ("containerd", 101),
        ("lxcfs", 101),
        ("ssh", 0),
        ("cron", 0),
    ],
)
def test_policy_forbids_only_the_engine(name, code):
    argv = ["sh", "-c", packages.POLICY_TEXT, "policy-rc.d", name, "start"]
    assert subprocess.run(argv, check=False).returncode == code


def test_install_argv():
    assert packages.install_argv(["a", "b"]) == [
        "env", "DEBIAN_FRONTEND=noninteractive",
        "apt-get", "install", "--yes", "--no-install-recommends",
        "--no-remove",
        "-o", "DPkg::Lock::Timeout=300",
        "a", "b",
    ]  # fmt: skip


@pytest.fixture
def debs(tmp_path):
    """Return a directory with a package file, and its digest by name."""
    directory = tmp_path / "it's debs"
    directory.mkdir()
    (directory / "x_1.deb").write_text("content", encoding="utf-8")
    return str(directory), {"x_1.deb": hashlib.sha256(b"content").hexdigest()}


def test_offline_installation_is_guarded_checked_and_leaves_nothing(run, policy, debs):
    code, log = run(packages.quiet_offline_script(HOST, *debs))
    assert code == 0
    assert log[0].startswith("apt-get install")
    assert re.search(r"SourceParts=/dev/null /var/tmp/cai-\w+/x_1\.deb$", log[0])
    assert log[1] == "guarded"
    assert not policy.exists()
    assert glob.glob("/var/tmp/cai-*/x_1.deb") == []


def test_offline_package_that_was_changed_is_not_installed(run, policy, debs):
    directory, sums = debs
    script = packages.quiet_offline_script(HOST, directory, sums)
    with open(os.path.join(directory, "x_1.deb"), "a", encoding="utf-8") as file:
        file.write("!")
    code, log = run(script)
    assert (code, log) == (1, [])
    assert not policy.exists()
    assert glob.glob("/var/tmp/cai-*/x_1.deb") == []
