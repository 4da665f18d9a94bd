"""sshd in a box: who gets in and where to, what it offers, and what it leads to."""

import contextlib
import json
import os
import re
import subprocess
import sys
import threading

import pytest

from containai.engine.network import RESOLVER_PORT
from containai.host import files

#: What is to hold, as sshd itself says it (`sshd -T`).
PROMISED = """
allowagentforwarding yes
allowstreamlocalforwarding yes
allowtcpforwarding yes
authenticationmethods publickey
gatewayports no
kbdinteractiveauthentication no
passwordauthentication no
permitrootlogin no
permittunnel no
persourcepenalties no
permituserenvironment no
pubkeyauthentication yes
usepam yes
x11forwarding no
"""


def ssh_argv(space, *options):
    """Return the words of plain ssh, with a connection of its own."""
    file = space.site.layout.ssh_config
    return ["ssh", "-F", file, "-S", "none", "-o", "BatchMode=yes", *options, space.box]


def ssh(space, command, *options, **popen):
    argv = [*ssh_argv(space, *options), command]
    return subprocess.run(argv, capture_output=True, text=True, check=False, **popen)


def test_sshd_is_as_promised(shared):
    said = set(shared.sh("sudo sshd -T").splitlines())
    assert set(PROMISED.split("\n")) - {""} - said == set()


def test_an_audit_finds_nothing_to_fail(shared):
    argv = [sys.executable, "-m", "ssh_audit", "--json", "--skip-rate-test"]
    argv += ["--port", str(shared.port), "127.0.0.1"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)
    notes = {
        f"{row['algorithm']}: {text}": level
        for kind in ("kex", "key", "enc", "mac")
        for row in found[kind]
        for level, texts in row["notes"].items()
        for text in texts
    }
    assert [note for note, level in notes.items() if level == "fail"] == []
    # For clients that know no better; whoever does, chooses another.
    assert {note for note, level in notes.items() if level == "warn"} == {
        "curve25519-sha256: does not provide protection against post-quantum attacks",
        "curve25519-sha256@libssh.org: does not provide protection against post-quantum attacks",
        "hmac-sha2-256: using encrypt-and-MAC mode",
        "hmac-sha2-512: using encrypt-and-MAC mode",
    }
    assert found["cves"] == []


#: What a client may ask for in vain, and what it is told.
REFUSED = {
    "root": (["-l", "root"], "Permission denied (publickey)"),
    "a password": (["-o", "PubkeyAuthentication=no"], "Permission denied (publickey)"),
    "a weak exchange": (["-o", "KexAlgorithms=ecdh-sha2-nistp256"], "no matching key exchange"),
    "a weak MAC": (["-o", "MACs=hmac-sha1", "-c", "aes128-ctr"], "no matching MAC"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused(shared, what):
    options, said = REFUSED[what]
    done = ssh(shared, "true", *options, "-o", "LogLevel=INFO")
    assert done.returncode == 255
    assert said in done.stderr


def test_a_display_is_not_forwarded(shared):
    done = ssh(shared, 'echo "[$DISPLAY]"', "-X", env=os.environ | {"DISPLAY": ":7"})
    assert (done.stdout, done.returncode) == ("[]\n", 0)


def test_a_forward_into_a_box_is_its_loopback_s(shared):
    command = 'ss --listening --numeric --tcp "sport = :7171" | tail -n +2'
    done = ssh(shared, command, "-R", "*:7171:127.0.0.1:9", "-o", "ExitOnForwardFailure=yes")
    found = [line.split()[3] for line in done.stdout.splitlines()]
    assert found
    assert set(found) <= {"127.0.0.1:7171", "[::1]:7171"}


def test_a_session_of_plain_ssh_is_one_of_systemd(shared):
    script = "systemctl --user is-system-running; echo $XDG_RUNTIME_DIR; loginctl show-user $USER"
    lines = ssh(shared, script).stdout.splitlines()
    assert lines[:2] == ["running", "/run/user/1000"]
    assert "Linger=yes" in lines


WORKSPACE, HOME = "/home/agent/workspace\n", "/home/agent\n"


def test_plain_ssh_begins_in_the_workspace(shared):
    assert ssh(shared, "pwd").stdout == WORKSPACE
    assert ssh(shared, "cd /; pwd").stdout == "/\n"
    argv = ssh_argv(shared)
    done = subprocess.run(argv, input="pwd\n", capture_output=True, text=True, check=False)
    assert done.stdout == WORKSPACE


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_who_logs_in_at_a_terminal_is_in_the_workspace(shared, shell):
    """And stays in the home, whoever starts a shell there."""
    start = f"cd; exec env BASH_ENV=/usr/local/lib/containai/session SHLVL=1 {shell} -l"
    assert shared.sh(f"{start} -c pwd", check=False).splitlines()[-1:] == [WORKSPACE.strip()]
    assert shared.sh(f"cd; {shell} -l -c pwd").splitlines()[-1:] == [HOME.strip()]


def test_files_are_named_from_the_home(site, shared, tmp_path):
    (tmp_path / "sent").write_text("sent\n")
    file, sent = site.layout.ssh_config, str(tmp_path / "sent")
    quiet = ["-q", "-F", file]
    for argv in (
        ["scp", *quiet, sent, f"{shared.box}:by-sftp"],
        ["scp", "-O", *quiet, sent, f"{shared.box}:by-scp"],
        ["rsync", "--rsh", f"ssh -F {file}", sent, f"{shared.box}:by-rsync"],
    ):
        subprocess.run(argv, check=True)
    assert shared.sh("cd; ls by-* && rm by-*").split() == ["by-rsync", "by-scp", "by-sftp"]
    # Some tools send their other half, and start it by that name.
    shared.sh("mkdir -p ~/.tool/bin && ln -sf /bin/pwd ~/.tool/bin/half")
    assert ssh(shared, ".tool/bin/half").stdout == HOME
    shared.sh("rm -r ~/.tool; git init -q --bare ~/from-home.git")
    url, through = f"{shared.box}:from-home.git", {"GIT_SSH_COMMAND": f"ssh -F {file}"}
    subprocess.run(["git", "ls-remote", url], env=os.environ | through, check=True)
    shared.sh("rm -rf ~/from-home.git")


def listeners(pids):
    """Return the addresses that processes listen on, "address:port", as the kernel writes them."""
    inodes = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            for fd in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    inodes.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
    found = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        with open(f"/proc/net/{table}", encoding="ascii") as file:
            for row in (line.split() for line in file.readlines()[1:]):
                # 0A listens; a socket for datagrams that is bound has 07.
                if row[3] in ("0A", "07") and f"socket:[{row[9]}]" in inodes:
                    found.add((table, row[1]))
    return found


def test_nothing_of_ours_listens_outside_loopback(site, shared):
    ours = [
        pid
        for pid in filter(str.isdigit, os.listdir("/proc"))
        if _is_ours(site, pid) and os.readlink(f"/proc/{pid}/ns/net") == _own_network()
    ]
    found = listeners(ours)
    assert ("tcp", f"0100007F:{shared.port:04X}") in found
    outside = {row for row in found if not row[1].startswith(("0100007F", "0" * 24 + "01000000"))}
    # What boxes resolve names with, on their bridge's address.
    gateway = shared.inspect()["NetworkSettings"]["Gateway"]
    little = "".join(f"{int(part):02X}" for part in reversed(gateway.split(".")))
    assert {row for row in outside if row[1] != f"{little}:{RESOLVER_PORT:04X}"} == set()


def _own_network():
    return os.readlink("/proc/self/ns/net")


def _is_ours(site, pid):
    """Whether a process is one of this site's, by its command line, environment or ancestors."""
    with contextlib.suppress(OSError):
        while pid not in ("0", "1"):
            for name in ("cmdline", "environ"):
                with open(f"/proc/{pid}/{name}", "rb") as file:
                    if re.search(re.escape(site.root.encode()) + rb"(?![\w-])", file.read()):
                        return True
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                pid = file.read().rpartition(")")[2].split()[1]
    return False


# Keys of a box.

#: Tries every private key that a box has, and one that is made, at an sshd.
TRY = r"""
[ -e /root/made ] || ssh-keygen -q -t ed25519 -N '' -f /root/made
for key in $(grep -rlsI -e '-----BEGIN OPENSSH PRIVATE KEY' /etc /root /home /mnt /run); do
    chmod 600 "$key"
    echo "$key: $(ssh -i "$key" -o IdentitiesOnly=yes -o BatchMode=yes -o ConnectTimeout=3 \
        -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
        -p "$2" "$3@$1" echo in 2>&1 | tail -n 1)"
done
"""


def tried(space, address, port, user):
    """Return what root of a box is told with each key that it has."""
    said = space.run("sudo", "bash", "-c", TRY, "try", address, str(port), user).stdout.decode()
    rows = dict(line.split(": ", 1) for line in said.splitlines())
    assert "/etc/ssh/ssh_host_ed25519_key" in rows
    assert "/root/made" in rows
    return rows


@pytest.fixture
def two(make_space):
    """Two boxes."""
    spaces = make_space("one"), make_space("other")
    for space in spaces:
        space.run("true")
    return spaces


def test_a_key_of_a_box_opens_no_other_box(site, two, tmp_path):
    one, other = two
    address = other.inspect()["NetworkSettings"]["IPAddress"]
    said = tried(one, address, 22, "agent")
    assert not any(text == "in" for text in said.values())
    # Were there a way, they would not be let in.
    keys = {path: one.run("sudo", "cat", path).stdout for path in said}
    for path, key in keys.items():
        (tmp_path / "key").write_bytes(key)
        (tmp_path / "key").chmod(0o600)
        own = ["ssh", "-F", "none", "-i", str(tmp_path / "key"), "-o", "IdentitiesOnly=yes"]
        own += ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o"]
        own += ["UserKnownHostsFile=/dev/null", "-p", str(other.port), "agent@127.0.0.1", "echo in"]
        done = subprocess.run(own, capture_output=True, text=True, check=False)
        assert "Permission denied (publickey)" in done.stderr, path
        # Where somebody lets it in, it is in: the key is a key.
        public = subprocess.run(
            ["ssh-keygen", "-y", "-f", str(tmp_path / "key")], capture_output=True, check=True
        ).stdout
        other.run("sh", "-c", "mkdir -p ~/.ssh; cat >~/.ssh/authorized_keys", input=public)
        done = subprocess.run(own, capture_output=True, text=True, check=False)
        assert done.stdout == "in\n"
        other.run("rm", "/home/agent/.ssh/authorized_keys")


class HostSshd:
    """An sshd of the host, for whoever is in some files of authorized keys."""

    def __init__(self, *authorized):
        import asyncio

        import asyncssh

        self.loop = asyncio.new_event_loop()
        keys = asyncssh.import_authorized_keys(
            "".join(files.read(path) or "" for path in authorized)
        )

        class Server(asyncssh.SSHServer):
            def begin_auth(self, username):
                self.connection.set_authorized_keys(keys)
                return True

            def connection_made(self, connection):
                self.connection = connection

        async def answer(process):
            process.stdout.write("in\n")
            process.exit(0)

        async def listen():
            return await asyncssh.listen(
                "0.0.0.0",
                0,
                server_factory=Server,
                process_factory=answer,
                server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
            )

        self.server = self.loop.run_until_complete(listen())
        self.port = self.server.get_port()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    def stop(self):
        self.loop.call_soon_threadsafe(self.server.close)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture
def host_sshd():
    started = []

    def start(*authorized):
        started.append(HostSshd(*authorized))
        return started[-1]

    yield start
    for each in started:
        each.stop()


def test_a_key_of_a_box_does_not_open_the_host(site, shared, host_sshd, tmp_path):
    homes = {site.home, os.path.expanduser("~")}
    server = host_sshd(*(f"{home}/.ssh/authorized_keys" for home in homes))
    with site.opened(server.port):
        said = tried(shared, "host.docker.internal", server.port, "root")
    assert {text.split(": ")[-1] for text in said.values()} == {"Permission denied (publickey)."}
    # One that its user lets in would be.
    public = shared.run("sudo", "cat", "/root/made.pub").stdout
    (tmp_path / "authorized").write_bytes(public)
    server = host_sshd(str(tmp_path / "authorized"))
    with site.opened(server.port):
        said = tried(shared, "host.docker.internal", server.port, "root")
    shared.run("sudo", "rm", "-f", "/root/made", "/root/made.pub")
    assert said["/root/made"] == "in"
