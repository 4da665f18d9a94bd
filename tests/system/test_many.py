"""Several boxes at once."""

import os
import random
import subprocess

import pytest

from containai.boxes import lookup
from containai.engine.client import Engine
from containai.errors import BoxNotFoundError, SshConnectError
from containai.host import files
from containai.host.machine import Machine
from containai.ssh import hosts
from harness.waiting import until

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


#: How many workspaces have five commands each, all started at once. CONTAINAI_MANY=20 makes 100.
MANY = int(os.environ.get("CONTAINAI_MANY", "4"))
SEED = int(os.environ.get("CONTAINAI_MANY_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)


def test_runs_and_removals_all_at_once_leave_what_fits_together(site, make_space):
    spaces = {each.box: each for each in (make_space(f"w{number}") for number in range(MANY))}
    before = site.container_names(), hosts.published(site.layout)
    commands = [(each, verb) for each in spaces.values() for verb in ("run",) * 3 + ("rm",) * 2]
    random.Random(SEED).shuffle(commands)
    print(f"CONTAINAI_MANY_SEED={SEED}")
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    tail = {"run": ["--", "true"], "rm": ["--yes"]}
    ends = [(verb, site.start(verb, each.path, *tail[verb], **pipes)) for each, verb in commands]
    codes = {(verb, end.wait()): (verb, end.communicate()[1]) for verb, end in ends}
    # A removal finds no box, or takes it away before or while a run has its session.
    fine = {("run", 0), ("run", SshConnectError.exit_code), ("run", 255)}
    fine |= {("rm", 0), ("rm", BoxNotFoundError.exit_code)}
    assert [codes[each] for each in codes.keys() - fine] == []
    there = site.container_names() - before[0]
    assert there <= spaces.keys()
    assert hosts.published(site.layout) - before[1] == there
    boxes = lookup.every(Engine(Machine(site.layout)))
    assert len({box.ssh_port for box in boxes}) == len(boxes)
    known = files.read(site.layout.known_hosts) or ""
    assert len(known.splitlines()) == len({line.split()[0] for line in known.splitlines()})
    for name in there:
        plain = ["ssh", "-F", site.layout.ssh_config, "-o", "BatchMode=yes", name, "hostname"]
        assert subprocess.run(plain, capture_output=True, check=True).stdout.split() == [
            name.encode()
        ]
    assert not [name for name in os.listdir(site.layout.engine_given) if name in there]


@pytest.mark.parametrize("by_name", [False, True], ids=["path", "name"])
def test_whoever_enters_a_box_while_it_is_made_anew_gets_in(site, make_space, by_name):
    space = make_space()
    space.run("true")
    container = space.inspect()["Id"]
    space.close_connection()
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    anew = site.start("run", "--fresh", "--yes", space.path, "--", "true", **pipes)
    target = ["--name", space.box] if by_name else [space.path]
    until(lambda: f"{space.box}.before" in site.container_names())
    while anew.poll() is None:
        site.cai("exec", *target, "--", "true")
    assert (anew.returncode, anew.communicate()[0]) == (0, b"")
    assert space.inspect()["Id"] != container
    assert not os.path.exists(site.layout.ssh_block(f"{space.box}.before"))
