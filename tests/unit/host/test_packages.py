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
            f"[ -x {policy} ] && for service in $ASK; do\n"
            f'    {policy} $service start || echo "$service is forbidden" >>"$LOG"\ndone\n'
            f"[ {name} = apt-get ] && [ $1 = install ] && exit ${{CODE:-0}}\n"
            f"[ {name} = apt-get ] && [ $1 = update ] && exit ${{UPDATE:-0}}\n"
            f'[ {name} = apt-cache ] && [ "$2" = unknown ] && exit 100\nexit 0\n',
            encoding="utf-8",
        )
        (programs / name).chmod(0o755)

    def run(argv, code=0, update=0, ask=""):
        log = tmp_path / "log"
        log.touch()
        environ = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "LOG": str(log),
            "CODE": str(code),
            "UPDATE": str(update),
            "ASK": ask,
        }
        done = subprocess.run(argv, env=environ, check=False)
        return done.returncode, log.read_text(encoding="utf-8").splitlines()

    return run


@pytest.mark.parametrize(
    ("systemd", "helper"),
    [(True, "systemctl disable --now"), (False, "deb-systemd-helper disable")],
)
def test_what_manages_services_disables_them(host, run, systemd, helper):
    host.systemd = systemd
    _, log = run(packages.quiet_install_argv(host, NAMES))
    disabled = [line for line in log if " disable" in line and "update-rc.d" not in line]
    assert all(line.startswith(helper) for line in disabled)
    for service in packages.SERVICES:
        for unit in (f"{service}.service", f"{service}.socket"):
            assert any(unit in line.split() for line in disabled)


def test_installation_is_guarded_and_the_guard_goes(run, policy):
    code, log = run(packages.quiet_install_argv(HOST, NAMES))
    assert code == 0
    at = next(index for index, line in enumerate(log) if line.startswith("apt-get install"))
    assert log[at].endswith("docker.io runc")
    assert log[at + 1] == "guarded"
    assert not policy.exists()


def test_installs_what_the_archive_has_after_its_lists_are_fetched(run):
    code, log = run(packages.quiet_install_argv(HOST, NAMES, ["docker-cli", "unknown"]))
    assert code == 0
    words = [line.split()[:2] for line in log if line.startswith("apt-")]
    assert words == [
        ["apt-get", "update"], ["apt-cache", "show"], ["apt-cache", "show"], ["apt-get", "install"],
    ]  # fmt: skip
    assert next(x for x in log if x.startswith("apt-get install")).endswith("runc docker-cli")


def test_guard_goes_when_the_installation_fails(run, policy):
    code, log = run(packages.quiet_install_argv(HOST, NAMES), code=100)
    assert code == 100
    assert "guarded" in log
    assert not policy.exists()
    assert not any("disable" in line for line in log)


@pytest.mark.parametrize(
    ("update", "code", "said"), [(0, 100, False), (100, 100, True), (100, 0, False)]
)
def test_says_that_lists_were_not_fetched_where_that_mattered(run, capfd, update, code, said):
    assert run(packages.quiet_install_argv(HOST, NAMES), code=code, update=update)[0] == code
    assert ("package lists could not be fetched" in capfd.readouterr().err) is said


def test_policy_of_the_administrator_is_left_alone(run, policy):
    policy.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
    argv = packages.quiet_install_argv(HOST, NAMES)
    assert str(policy) not in argv
    assert run(argv)[0] == 0
    assert policy.read_text(encoding="utf-8") == "#!/bin/sh\nexit 101\n"


def test_what_came_is_disabled_and_what_was_there_is_not(run, monkeypatch):
    monkeypatch.setattr(packages, "_has_service", lambda name: name == "docker")
    _, log = run(packages.quiet_install_argv(HOST, NAMES))
    assert "update-rc.d containerd disable" in log
    assert not any("docker disable" in line or "docker.service" in line for line in log)


def test_policy_forbids_only_the_engine(run):
    ours = {"docker", "docker.socket", "containerd", "lxcfs"}
    ask = " ".join([*ours, "ssh", "cron"])
    _, log = run(packages.quiet_install_argv(HOST, NAMES), ask=ask)
    assert {line.split()[0] for line in log if line.endswith("is forbidden")} == ours


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
    code, log = run(packages.quiet_offline_argv(HOST, *debs))
    assert code == 0
    assert log[0].startswith("apt-get install")
    assert re.search(r"SourceParts=/dev/null /var/tmp/cai-\w+/x_1\.deb$", log[0])
    assert log[1] == "guarded"
    assert not policy.exists()
    assert glob.glob("/var/tmp/cai-*/x_1.deb") == []


def test_offline_package_that_was_changed_is_not_installed(run, policy, debs):
    directory, sums = debs
    argv = packages.quiet_offline_argv(HOST, directory, sums)
    with open(os.path.join(directory, "x_1.deb"), "a", encoding="utf-8") as file:
        file.write("!")
    code, log = run(argv)
    assert (code, log) == (1, [])
    assert not policy.exists()
    assert glob.glob("/var/tmp/cai-*/x_1.deb") == []
