"""Programs that read an ssh configuration, under the worst that it can say of every host."""

import asyncio
import os
import re
import shutil
import subprocess
import sys

import pytest

from harness import hostile_ssh

#: What asyncssh refuses for every host: it wants those files to be there.
NEEDED = {"CertificateFile", "IdentityFile"}


def every_host(*, but=()):
    both = hostile_ssh.DECIDING | hostile_ssh.OTHERS
    return hostile_ssh.every_host(*(keyword for keyword in both if keyword not in but))


@pytest.fixture
def config(site, shared, tmp_path):
    """Make an ssh configuration: boxes as cai has them, then what is given."""

    def make(rest):
        with open(site.layout.ssh_config, encoding="utf-8") as file:
            include = file.readline()
        path = tmp_path / "config"
        path.write_text(include + rest, encoding="utf-8")
        return str(path)

    return make


def output(argv, **words):
    done = subprocess.run(argv, capture_output=True, text=True, check=False, **words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_openssh(config, shared):
    argv = ["ssh", "-F", config(every_host()), shared.box, "id -un; tty"]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "agent\nnot a tty\n")
    # The ports of the user's own forwards are taken, which is said.
    assert "LocalForward" not in done.stderr
    argv[-1] = "tty >/dev/null || cat"
    assert output(argv, input="a\nb\n") == "a\nb\n"


def test_scp_and_sftp(config, shared, tmp_path):
    (tmp_path / "file").write_text("content", encoding="utf-8")
    path = config(every_host())
    output(["scp", "-F", path, str(tmp_path / "file"), f"{shared.box}:/tmp/by-scp"])
    output(["sftp", "-F", path, "-b", "-", shared.box], input=f"get /tmp/by-scp {tmp_path}/back\n")
    assert (tmp_path / "back").read_text(encoding="utf-8") == "content"


def test_an_agent_full_of_keys_for_every_host(config, shared, tmp_path):
    """They are offered before a key that is only in a file."""
    lines = []
    socket = str(tmp_path / "agent")
    with subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL) as agent:
        environ = {**os.environ, "SSH_AUTH_SOCK": socket}
        try:
            for number in range(8):
                key = str(tmp_path / f"key-{number}")
                output(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
                output(["sh", "-c", 'until ssh-add -q "$1"; do :; done', "sh", key], env=environ)
                lines.append(f"    IdentityFile {key}\n")
            argv = ["ssh", "-F", config("Host *\n" + "".join(lines)), shared.box, "id -un"]
            assert output(argv, env=environ) == "agent\n"
        finally:
            agent.terminate()


def test_asyncssh(config, shared):
    asyncssh = pytest.importorskip("asyncssh")

    async def run():
        path = config(every_host(but=NEEDED))
        async with asyncssh.connect(shared.box, config=[path]) as connection:
            return (await connection.run("id -un; tty")).stdout

    assert asyncio.run(run()) == "agent\nnot a tty\n"


def test_paramiko_with_the_pinned_key(site, shared):
    paramiko = pytest.importorskip("paramiko")
    host = paramiko.SSHConfig.from_path(site.layout.ssh_block(shared.box)).lookup(shared.box)
    with paramiko.SSHClient() as client:
        client.load_host_keys(host["userknownhostsfile"])
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        client.connect(
            host["hostname"],
            int(host["port"]),
            host["user"],
            key_filename=host["identityfile"],
            allow_agent=False,
            look_for_keys=False,
        )
        assert client.exec_command("id -un")[1].read() == b"agent\n"


def test_fabric(site, shared):
    fabric, paramiko = pytest.importorskip("fabric"), pytest.importorskip("paramiko")
    with open(site.layout.ssh_block(shared.box), encoding="utf-8") as file:
        block = file.read()
    # It goes through a jump whatever else is said, to the jump itself, too.
    text = block + every_host(but=["ProxyJump"])
    config = fabric.Config(ssh_config=paramiko.SSHConfig.from_text(text))
    with fabric.Connection(shared.box, config=config) as connection:
        assert connection.run("id -un", hide=True, in_stream=False).stdout == "agent\n"


def test_ansible(config, shared, tmp_path):
    pytest.importorskip("ansible")
    argv = [os.path.join(os.path.dirname(sys.executable), "ansible"), "all", "-i", f"{shared.box},"]
    argv += ["-m", "command", "-a", "id -un", "--ssh-common-args", f"-F {config(every_host())}"]
    environ = os.environ | {"ANSIBLE_HOME": str(tmp_path)}
    said = output([*argv, "-e", "ansible_python_interpreter=/usr/bin/python3"], env=environ)
    assert re.search(r"rc=0 >>\nagent$", said, re.MULTILINE)


@pytest.mark.skipif(not shutil.which("sshfs"), reason="needs sshfs")
def test_sshfs(config, shared, tmp_path):
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    output(["sshfs", "-F", config(every_host()), f"{shared.box}:workspace", str(mounted)])
    try:
        (mounted / "made").write_text("content", encoding="utf-8")
        assert shared.sh("cat ~/workspace/made; rm ~/workspace/made") == "content"
    finally:
        subprocess.run(["umount", str(mounted)], check=True)
