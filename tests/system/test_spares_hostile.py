"""Who gets a spare box where several want it, and what becomes of one that is not to be trusted."""

import contextlib
import json
import os
import shutil
import subprocess
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from containai.boxes import claiming, volumes
from containai.boxes import spares as product
from containai.boxes.design import Order
from containai.boxes.workspace import Workspace
from containai.engine import lxcfs
from containai.engine.client import Engine
from containai.host import files
from containai.host.machine import Machine
from containai.layout import DATA_IN_BOX
from harness import spares
from harness.claims import is_mounted
from harness.site import text
from harness.waiting import until

from .test_mounts import FILL, SILENT
from .test_spares_claimed import CONNECT, MADE, TOOK, own_data, seen_by, taken
from .test_users import users  # noqa: F401


@pytest.fixture(scope="module", autouse=True)
def undisturbed(site):
    with spares.undisturbed(site):
        yield


def test_two_at_once_of_which_one_gets_it(site, make_space):
    made = spares.spare(site)
    two = [make_space(name) for name in ("one", "two")]
    pipes = {"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    runs = [site.start("run", each.path, "--", "true", **pipes) for each in two]
    said = [run.communicate()[1].decode() for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    assert sorted(TOOK in each for each in said) == [False, True], said
    assert [spares.is_claimed(space, made) for space in two] == [TOOK in each for each in said]
    for space in two:
        assert space.sh("hostname; touch x; ls") == f"{space.box}\nx"
        # Each has data of its own, which is known as that.
        assert seen_by(space) == [own_data(space)]
    assert own_data(two[0]) != own_data(two[1])


def test_who_lost_it_takes_no_data_from_who_got_it(site, make_space):
    """As above, at the one moment that counts: both were told of it, and then one came first."""
    made = spares.spare(site)
    engine = Engine(Machine(site.layout))
    (seen,) = [each for each in product.unclaimed(engine) if each.id == made["Id"]]
    first, second = make_space("first"), make_space("second")
    assert taken(first)
    boxes: Any = SimpleNamespace(engine=engine, layout=site.layout)
    assert not claiming._claim(boxes, Order(second.box, Workspace(second.path), ""), seen)
    assert spares.is_claimed(first, made)
    assert (seen_by(first), seen_by(second)) == ([own_data(first)], [])


def is_gone(site, made):
    """Whether nothing of a spare is left."""
    site.prune()
    there = [
        *site.docker("volume", "ls", "--quiet").split(),
        *site.docker("ps", "--all", "--quiet", "--no-trunc").split(),
        *volumes.adopted(site.layout),
        *(name.partition(".")[0] for name in os.listdir(site.layout.attached)),
    ]
    return not {made["Id"], *volume_of(made)}.intersection(there)


def volume_of(made):
    return [m["Name"] for m in made["Mounts"] if m["Destination"] == DATA_IN_BOX]


IN_THE_WAY = {
    "link": "cd /home/agent; rmdir workspace; ln -s /etc workspace",
    "file": "cd /home/agent; rmdir workspace; touch workspace",
    "mount": "mount -t tmpfs none /home/agent/workspace",
    "above": "mv /home/agent /home/other; ln -s other /home/agent",
    "names": "rm /etc/hosts; mkdir /etc/hosts",
}


@pytest.mark.parametrize("how", [*IN_THE_WAY, "silent", "full"])
def test_one_in_which_something_is_in_the_way_goes(site, make_space, how):
    """Its root may do that, though nobody has been in it: what a claim finds, it does not trust."""
    space = make_space("careful")
    made = spares.spare(site)
    if how == "silent":
        if lxcfs.missing() == lxcfs.DEVICE:
            pytest.skip("FUSE is not to be had here")
        above = os.path.dirname(space.path)
        argv = ["exec", "--detach", made["Id"], "python3", "-c", SILENT, above]
        site.docker(*argv)
        seen = ["exec", made["Id"], "grep", "fuse.*user_id=0", "/proc/self/mountinfo"]
        until(lambda: above in site.docker(*seen, check=False))
    elif how == "full":
        site.docker("exec", made["Id"], "python3", "-c", FILL)
    else:
        site.docker("exec", made["Id"], "sh", "-ec", IN_THE_WAY[how])
    begun = time.monotonic()
    assert not taken(space)
    assert time.monotonic() - begun < 90
    assert seen_by(space) == [own_data(space)]
    if how == "silent":
        # Docker gives up waiting for what such a file system holds; the next making removes it.
        spares.discard(site, made["Id"])
        site.docker("volume", "rm", "--force", *volume_of(made), check=False)
    until(lambda: is_gone(site, made))


def test_a_source_that_is_swapped(site, make_space):
    """A claim shows the right tree or none, while what is above it becomes a link to root's."""
    space = make_space("swapped")
    above = os.path.join(space.path, "above")
    secret = os.path.join(site.root, "secret")
    os.makedirs(os.path.join(above, "data", "right"))
    os.makedirs(os.path.join(secret, "wrong"))
    subprocess.run(["chown", "-R", "1000:1000", space.path], check=True)
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            os.rename(f"{above}/data", f"{above}/aside")
            os.symlink(secret, f"{above}/data")
            os.unlink(f"{above}/data")
            os.rename(f"{above}/aside", f"{above}/data")

    thread = threading.Thread(target=swap)
    thread.start()
    refused, shown = 0, []
    wanted = [f"{above}/data", "/home/agent/workspace", False]
    try:
        made = spares.spare(site)
        for number in range(60):
            if spares.claim(site, made["Id"], f"theirs{number}", wanted):
                refused += 1
                assert is_untouched_within(site, made)
                spares.listen(site, made["Id"])
                continue
            shown.append(site.docker("exec", made["Id"], "ls", "/home/agent/workspace"))
            spares.discard(site, made["Id"])
            if refused > 2 or len(shown) > 2:
                break
            made = spares.spare(site)
    finally:
        stop.set()
        thread.join()
        shutil.rmtree(secret)
        spares.discard(site, made["Id"])
    assert (refused > 0, set(shown)) == (True, {"right"})


def is_untouched_within(site, made):
    said = site.docker("exec", made["Id"], "sh", "-c", "hostname; ls -A /home/agent/workspace")
    return said == "spare"


def test_one_that_was_claimed_by_a_killed_cai_is_its_box(site, make_space):
    """Killed when the runtime has recorded it, and before it has a name and ssh knows it."""
    space, made = make_space("killed"), spares.spare(site)
    volume = next(m["Name"] for m in made["Mounts"] if m["Destination"] == DATA_IN_BOX)
    places = [[space.path, "/home/agent/workspace", False], [space.path, space.path, False]]
    assert spares.claim(site, made["Id"], space.box, *places) == ""
    assert spares.listed(site) == []
    assert space.sh("hostname; touch x; ls") == f"{space.box}\nx"
    assert spares.is_claimed(space, made)
    assert seen_by(space) == [volume]
    # Nor does ssh know of the spare any more.
    assert made["Name"].strip("/") not in (files.read(site.layout.known_hosts) or "")
    assert made["Name"].strip("/") not in os.listdir(site.layout.ssh_blocks)
    site.cai("stop", space.path)
    assert space.sh("hostname; ls") == f"{space.box}\nx"
    ssh = ["ssh", "-F", site.layout.ssh_config, space.box, "hostname"]
    assert subprocess.check_output(ssh).decode().strip() == space.box


def test_who_gave_up_waiting_gets_no_box(site, make_space):
    """A claim is not carried out when nobody waits for it any more."""
    space, made = make_space("late"), spares.spare(site)
    said = {"hostname": "late-1", "claimed": [[space.path, "/home/agent/workspace", False]]}
    with spares.connected(site, made["Id"]) as gone:
        gone.sendall(json.dumps(said).encode() + b"\n")
    until(lambda: not spares.is_heard(site, made["Id"]))
    assert files.read(os.path.join(site.layout.attached, made["Id"])) is None
    until(lambda: not is_mounted(made["State"]["Pid"], space.path))
    # What it has of the workspace goes with it.
    assert not taken(space)
    assert seen_by(space) == [own_data(space)]


def test_who_says_it_slowly_keeps_nobody_waiting(site, make_space):
    space, made = make_space("slow"), spares.spare(site)
    stop = threading.Event()

    def dribble():
        with spares.connected(site, made["Id"]) as slow, contextlib.suppress(OSError):
            while not stop.wait(1):
                slow.sendall(b" ")

    thread = threading.Thread(target=dribble)
    thread.start()
    try:
        assert taken(space)
    finally:
        stop.set()
        thread.join()


def keepers(uid):
    """Return the processes of a user's but the connections to boxes."""
    seen = subprocess.run(
        ["pgrep", "-u", str(uid), "-a"], capture_output=True, text=True, check=False
    )
    return [line for line in seen.stdout.splitlines() if "ssh" not in line.split(" ")[1]]


def test_two_users_have_spares_of_their_own(site, users):  # noqa: F811
    ann, bob = users
    made = spares.spare(site)
    argv = [*ann.argv()[:-2], "-c", spares.MAKE]
    done = subprocess.run(argv, env=ann.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    hers = site.inspect(done.stdout.strip())
    assert [e["container"] for e in json.loads(ann.cai("ls", "--spares", "--json").stdout)] == [
        hers["Id"]
    ]
    assert json.loads(bob.cai("ls", "--spares", "--json").stdout) == []
    assert hers["Id"] not in [row["container"] for row in spares.listed(site)]
    done = bob.cai("run", bob.workspace, "--", "true")
    assert (done.returncode, MADE in text(done)) == (0, True)
    path = os.path.join(site.layout.attached, hers["Id"] + ".claim")
    # Who may use the engine, and is its user.
    assert (os.stat(path).st_uid, os.stat(path).st_mode & 0o777) == (0, 0o660)
    words = ["setpriv", "--reuid", str(bob.uid), "--regid", str(bob.uid), "--clear-groups"]
    where = [site.layout.attached, f"{hers['Id']}.claim"]
    argv = [*words, "/usr/bin/python3", "-c", CONNECT, *where]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert "PermissionError" in done.stderr
    done = ann.cai("run", ann.workspace, "--", "stat", "-c", "%U", ".")
    assert (done.returncode, done.stdout, TOOK in text(done)) == (0, b"agent\n", True), text(done)
    (row,) = json.loads(ann.cai("ls", "--json").stdout)
    assert (row["container"], row["workspace"]) == (hers["Id"], ann.workspace)
    assert site.inspect(made["Id"])["State"]["Running"]
    # What keeps spares, which hers was, ends with the last of them.
    until(lambda: not keepers(ann.uid) + keepers(bob.uid))
    # It came before this one, which is heard after it, or by nobody any more.
    with contextlib.suppress(OSError):
        spares.ask(site, made["Id"], b"x\n")
    assert files.read(os.path.join(site.layout.attached, made["Id"])) is None
