"""Programs of the host are the system's, whatever a workspace and the environment hold."""

import os
import subprocess
import sys

import pytest

#: Everything that cai starts by a name, or that something it starts would.
NAMES = (
    *("ssh", "ssh-keygen", "sudo", "docker", "dockerd", "containerd", "runc", "docker-proxy"),
    *("sh", "bash", "env", "python3", "setsid", "rm", "mkdir", "mktemp", "cat", "tail", "umount"),
    *("ip", "nft", "iptables", "ps", "kill", "dpkg-query", "apt-get", "apt-cache", "systemctl"),
    *("runuser", "install", "lxcfs", "git", "less", "vi", "ssh-askpass", "getent", "modprobe"),
)


class Evil:
    """A workspace whose agent wrote programs and modules, and an environment that leads there."""

    def __init__(self, space):
        self.space = space
        self.bin = os.path.join(space.path, ".venv/bin")
        self.log = os.path.join(space.path, "executed")
        os.makedirs(self.bin)
        trap = f'#!/bin/sh\necho "$0 $*" >>{self.log}\nexit 1\n'
        for name in NAMES:
            for path in (f"{self.bin}/{name}", f"{space.path}/{name}"):
                self.write(path, trap)
        module = f"open({self.log!r}, 'a').write(__file__ + chr(10))\n"
        names = ("sitecustomize", "usercustomize", "json", "rich", "argparse", "containai")
        for name in names:
            self.write(f"{space.path}/{name}.py", module)
        for name in ("bash_env", "openssl.cnf"):
            self.write(f"{space.path}/{name}", f"echo {name} >>{self.log}\n")
        self.environment = {
            "PATH": f"{self.bin}:.::{os.environ['PATH']}",
            "PYTHONPATH": space.path,
            "PYTHONSTARTUP": f"{space.path}/json.py",
            "PYTHONUSERBASE": space.path,
            "VIRTUAL_ENV": os.path.join(space.path, ".venv"),
            "BASH_ENV": f"{space.path}/bash_env",
            "ENV": f"{space.path}/bash_env",
            "OPENSSL_CONF": f"{space.path}/openssl.cnf",
            "SHELL": f"{self.bin}/bash",
            "TMPDIR": space.path,
            "DOCKER_HOST": f"unix://{space.path}/docker.sock",
            "DOCKER_CONFIG": space.path,
            "DOCKER_CONTEXT": "evil",
            "SSH_ASKPASS": f"{self.bin}/ssh-askpass",
            "SSH_ASKPASS_REQUIRE": "force",
            "SSH_SK_HELPER": f"{self.bin}/ssh-askpass",
            "GIT_SSH_COMMAND": f"{self.bin}/ssh",
            "PAGER": f"{self.bin}/less",
            "EDITOR": f"{self.bin}/vi",
        }
        plugins = os.path.join(space.path, "cli-plugins")
        os.mkdir(plugins)
        self.write(f"{plugins}/docker-buildx", trap)

    @staticmethod
    def write(path, text):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o755)

    def cai(self, *words, check=True):
        """Run cai in the workspace, as install.sh has it started; return how it ended."""
        done = subprocess.run(
            [sys.executable, "-I", "-m", "containai", *words],
            cwd=self.space.path,
            env=self.space.site.environment | self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            start_new_session=True,
        )
        assert not check or done.returncode == 0, done
        return done

    def executed(self):
        """Return what of the workspace was executed."""
        if not os.path.exists(self.log):
            return []
        with open(self.log, encoding="utf-8") as file:
            return file.read().splitlines()


@pytest.fixture
def evil(space):
    return Evil(space)


def test_nothing_of_a_workspace_is_executed(site, evil):
    site.cai("engine", "stop")  # so that it is started from here
    evil.cai("run", ".", "--", "true")
    evil.cai("run", ".", "--", "true")
    evil.space.close_connection()
    evil.cai("exec", "--", "true")
    evil.cai("setup", "--yes")
    assert evil.cai("doctor", check=False).returncode in (0, 1)
    evil.cai("doctor", "--fix", check=False)
    evil.cai("ls")
    evil.cai("engine", "status")
    evil.cai("engine", "logs", "--lines", "1")
    evil.cai("uninstall", "--dry-run", "--purge", "--containers")
    evil.cai("stop")
    evil.cai("rm")
    assert evil.executed() == []
    with open(site.layout.engine_pidfile, encoding="utf-8") as file:
        pid = int(file.read())
    with open(f"/proc/{pid}/environ", encoding="utf-8") as file:
        assert evil.space.path not in file.read()


def test_the_trap_bites(evil):
    """The test above would see it."""
    ours = os.environ | evil.environment
    subprocess.run("ssh x; sudo x; docker ps", shell=True, env=ours, check=False, cwd="/")
    script = [sys.executable, "-c", "pass"]
    subprocess.run(script, cwd=evil.space.path, env=ours, check=False)
    said = "\n".join(evil.executed())
    for name in ("ssh", "sudo", "docker", "sitecustomize.py"):
        assert name in said


def test_nothing_temporary_is_in_a_workspace(site, evil):
    """A new key would be the agent's to read there."""
    before = set(os.listdir(evil.space.path))
    seen = set()
    words = [sys.executable, "-I", "-m", "containai", "run", ".", "--", "true"]
    ours = site.environment | evil.environment
    with subprocess.Popen(words, cwd=evil.space.path, env=ours, stdin=subprocess.DEVNULL) as child:
        while child.poll() is None:
            seen |= set(os.listdir(evil.space.path))
    assert child.returncode == 0
    assert seen - before == set()
