"""Several boxes at once."""

import os
import subprocess

KNOCK = "exec 3<>/dev/tcp/$0/22 && read -r line <&3 && echo $line"


def test_two_boxes_are_apart(make_space):
    one, two = make_space("one"), make_space("two")
    two.run("true")
    address = two.sh("hostname -I").split()[0]
    # The knock itself works: the box reaches itself by that address.
    assert two.run("timeout", "60", "bash", "-c", KNOCK, address).stdout.startswith(b"SSH-2.0-")
    done = one.run("timeout", "60", "bash", "-c", KNOCK, address, check=False)
    assert (done.stdout, done.returncode) == (b"", 1)
    # Nobody answers its ARP.
    assert b"No route to host" in done.stderr
    assert one.port != two.port
    assert one.host_key() != two.host_key()
    (first, count), (second, other) = one.id_range(), two.id_range()
    assert first + count <= second or second + other <= first
    assert first > 0
    assert second > 0


def test_ten_runs_started_together_all_succeed(site, make_space):
    spaces = [make_space(f"w{number}") for number in range(10)]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    runs = [site.start("run", each.path, "--", "hostname", **pipes) for each in spaces]
    outcomes = [(*run.communicate(), run.returncode) for run in runs]
    wrong = [outcome for outcome in outcomes if outcome[2] != 0]
    assert wrong == []
    assert [out.decode().strip() for out, _, _ in outcomes] == [each.box for each in spaces]
    assert len({each.port for each in spaces}) == 10


def test_ten_runs_of_one_workspace_make_one_box(site, space):
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    runs = [site.start("run", space.path, "--", "hostname", **pipes) for _ in range(10)]
    outcomes = [(*run.communicate(), run.returncode) for run in runs]
    assert [outcome for outcome in outcomes if outcome[2] != 0] == []
    assert {out.decode().strip() for out, _, _ in outcomes} == {space.box}
    assert os.path.exists(site.layout.ssh_block(space.box))
