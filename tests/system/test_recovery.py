"""What is in the way of a connection is recovered without a prompt where the engine can vouch."""

import os
import subprocess

import pytest

from containai.errors import HostKeyError, SshConnectError
from containai.host import files
from containai.ssh import hosts
from harness.waiting import until

KEY = "/etc/ssh/ssh_host_ed25519_key"


@pytest.fixture(scope="module")
def box(make_lasting):
    """Return a box whose ssh is broken and recovered again and again."""
    made = make_lasting("box")
    made.run("true")
    return made


def as_root(site, space, script):
    """Run a script in a box without ssh."""
    return site.docker("exec", space.box, "sh", "-c", script)


def pinned(site, space):
    return hosts.pinned_key(files.read(site.layout.known_hosts) or "", space.box)


def works(site, space):
    """Assert that cai gets in, without a word about that, and plain ssh too."""
    done = space.run("echo", "in")
    assert (done.stdout, done.stderr) == (b"in\n", b"")
    plain = ["ssh", "-F", site.layout.ssh_block(space.box), "-o", "BatchMode=yes"]
    subprocess.run([*plain, space.box, "true"], check=True)


def another_key(site, box):
    as_root(site, box, f"rm {KEY}*; ssh-keygen -qt ed25519 -N '' -f {KEY}; systemctl restart ssh")


def another_key_without_its_half(site, box):
    as_root(
        site, box, f"rm {KEY}*; ssh-keygen -qt ed25519 -N '' -f {KEY}; rm {KEY}.pub; "
        "systemctl restart ssh"
    )  # fmt: skip


def no_key(site, box):
    as_root(site, box, f"rm {KEY}*; systemctl restart ssh || true")


def a_key_that_is_none(site, box):
    as_root(site, box, f"echo x >{KEY}; systemctl restart ssh || true")


def another_pin(site, box):
    hosts.pin(site.layout, box.box, f"ssh-ed25519 {'A' * 68}")


def a_pin_that_is_none(site, box):
    hosts.pin(site.layout, box.box, "nonsense")


def sshd_stopped(site, box):
    as_root(site, box, "systemctl stop ssh")


def sshd_killed(site, box):
    as_root(site, box, "systemctl kill --signal KILL ssh; systemctl stop ssh")


def nobody_let_in(site, box):
    as_root(site, box, "rm -r /etc/containai/authorized_keys")


def anothers_key_let_in(site, box):
    as_root(site, box, "echo ssh-ed25519 AAAA >/etc/containai/authorized_keys/agent")


def key_of_the_user_lost(site, box):
    for suffix in ("", ".pub"):
        os.unlink(site.layout.ssh_key + suffix)


def key_of_the_user_open_to_all(site, box):
    os.chmod(site.layout.ssh_key, 0o644)


def key_of_the_user_broken(site, box):
    files.write(site.layout.ssh_key, "nonsense\n", 0o600)


def half_of_the_users_key_is_anothers(site, box):
    files.write(site.layout.ssh_key + ".pub", "ssh-ed25519 AAAA anothers\n")
    nobody_let_in(site, box)


def block_with_another_port(site, box):
    block = files.read(site.layout.ssh_block(box.box)) or ""
    files.write(site.layout.ssh_block(box.box), block.replace("Port ", "Port 1"), 0o600)


def block_that_is_none(site, box):
    files.write(site.layout.ssh_block(box.box), "nonsense\n", 0o600)


def socket_is_a_directory(site, box):
    os.makedirs(site.layout.control_socket(box.box) + "/not empty")


def socket_is_a_file(site, box):
    files.write(site.layout.control_socket(box.box), "")


def socket_is_a_link(site, box):
    os.symlink("/nowhere", site.layout.control_socket(box.box))


def box_restarted(site, box):
    site.docker("restart", "--time", "1", box.box)


BROKEN = [
    another_key,
    another_key_without_its_half,
    no_key,
    a_key_that_is_none,
    another_pin,
    a_pin_that_is_none,
    sshd_stopped,
    sshd_killed,
    nobody_let_in,
    anothers_key_let_in,
    key_of_the_user_lost,
    key_of_the_user_open_to_all,
    key_of_the_user_broken,
    half_of_the_users_key_is_anothers,
    block_with_another_port,
    block_that_is_none,
    socket_is_a_directory,
    socket_is_a_file,
    socket_is_a_link,
    box_restarted,
]


@pytest.mark.parametrize("broken", BROKEN)
def test_recovered(site, box, broken):
    box.close_connection()
    until(lambda: not os.path.exists(site.layout.control_socket(box.box)))
    broken(site, box)
    works(site, box)
    assert pinned(site, box) in as_root(site, box, f"ssh-keygen -yf {KEY}")


OURS = "/etc/ssh/sshd_config.d/00-test.conf"
UNIT = "/run/systemd/system/ssh.service.d"


def refused_at_once(site, space, error, script):
    """Have a script of the box's root be in the way; return what is said then, and take it away."""
    space.close_connection()
    until(lambda: not os.path.exists(site.layout.control_socket(space.box)))
    as_root(site, space, f"{script}; systemctl restart ssh || true")
    try:
        # Were it waited for, it would be for as long as nobody waits for a test.
        done = space.run("true", check=False, env={"CONTAINAI_SSH_TIMEOUT": "3600"})
        assert (done.returncode, done.stdout) == (error.exit_code, b"")
        return done.stderr.decode().splitlines()
    finally:
        undo = f"rm -rf {OURS} {UNIT}; systemctl unmask --runtime ssh; systemctl daemon-reload"
        as_root(site, space, f"{undo}; systemctl reset-failed ssh; systemctl restart ssh")
        works(site, space)


def test_who_answers_with_a_key_that_is_not_the_boxs_is_refused(site, box):
    other = f"ssh-keygen -qt ed25519 -N '' -f /run/other; echo HostKey /run/other >{OURS}"
    lines = refused_at_once(site, box, HostKeyError, other)
    assert "asked through the engine it has the pinned one" in lines[0]
    assert lines[1].startswith("  hint: ")


def test_an_sshd_that_cannot_start_says_why_at_once(site, box):
    lines = refused_at_once(site, box, SshConnectError, f"echo Nonsense yes >{OURS}")
    assert "does not run (failed, " in lines[0]
    assert any("Nonsense" in line for line in lines[1:])
    assert lines[-1].startswith("  hint: ")


def test_one_that_is_masked_is_left_so(site, box):
    lines = refused_at_once(site, box, SshConnectError, "systemctl --runtime mask --now ssh")
    assert "does not run (masked)" in lines[0]


def test_what_its_journal_says_steers_no_terminal(site, box):
    said = r"\033]0;title\a\033[2J" + "x" * 9000
    evil = f"[Service]\nExecStartPre=/bin/sh -c 'printf \"{said}\\n\" >&2; exit 1'\n"
    script = f"mkdir -p {UNIT}; cat >{UNIT}/evil.conf <<'E'\n{evil}E\nsystemctl daemon-reload"
    text = "\n".join(refused_at_once(site, box, SshConnectError, script))
    assert "xxx" in text
    assert "x" * 400 not in text
    assert text.replace("\n", "").isprintable()


def test_a_key_that_no_box_takes_is_not_tried_again_and_again(site, box):
    # By who said it: of a process that is gone already, the journal does not know the unit.
    said = "journalctl -b -t sshd -t sshd-session -t sshd-auth -o cat"
    count = f"{said} | grep -c 'by authenticating user agent' || true"

    def refusals():
        return int(as_root(site, box, count))

    before = refusals()
    lines = refused_at_once(site, box, SshConnectError, f"echo AuthorizedKeysFile none >{OURS}")
    assert "Permission denied (publickey)" in lines[0]
    # Once more when it was given to the box.
    until(lambda: before < refusals())
    assert refusals() <= before + 2


def test_a_penalty_is_waited_out(site, box):
    """An image of a workspace's own, or of old, may have those of OpenSSH 9.8 and newer."""
    box.close_connection()
    rule = "PerSourcePenalties authfail:2s min:1s max:3s"
    exempt = "sed -i '/^PerSourcePenalties/d' /etc/ssh/sshd_config.d/10-containai.conf"
    as_root(site, box, f"{exempt}; echo {rule} >{OURS}; systemctl restart ssh")
    try:
        wrong = ["ssh", "-F", "none", "-p", str(box.port), "-o", "StrictHostKeyChecking=no"]
        wrong += ["-o", "UserKnownHostsFile=/dev/null", "-o", "PubkeyAuthentication=no"]
        wrong += ["-o", "BatchMode=yes", "nobody@127.0.0.1"]
        for _ in range(4):
            assert subprocess.run(wrong, capture_output=True, check=False).returncode == 255
        works(site, box)
    finally:
        as_root(site, box, f"rm {OURS}; systemctl restart ssh")
