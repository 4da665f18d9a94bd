"""Faults of what a user has: ssh, images, boxes, volumes, home; each seen by name, and mended."""

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator

import pytest

from containai.config.settings import Settings
from containai.host import files
from containai.images import recipe
from harness.faults import AGREED, Fault, checks, try_out
from harness.site import IMAGE, Site
from harness.space import MakeSpace, Space
from harness.waiting import until

#: No id of a box (runtime/ranges.py), and none of this machine.
NOBODY = 4_000_000
SLOW = ("--all",)
BLOCKS = ("home/.ssh/containai.d/*.conf",)
KEYS = ("home/.config/containai/*",)

Undo = Callable[[], object]


class Owner:
    """What is broken: a site with a running box, and one of another user's workspace that is off.

    Rows are made before there is a site.
    """

    running: Space
    off: Space


def inside(site: Site, script: str) -> None:
    """Run a script in the running box as its root, without ssh."""
    site.docker("exec", Owner.running.box, "sh", "-c", script)


def block(site: Site) -> str:
    return site.layout.ssh_block(Owner.running.box)


def key_deleted(site: Site) -> None:
    for path in (site.layout.ssh_key, f"{site.layout.ssh_key}.pub"):
        os.unlink(path)


def include_elsewhere(site: Site) -> None:
    text = files.read(site.layout.ssh_config) or ""
    files.write(site.layout.ssh_config, f"Host other\n{text}{text}", 0o600)


def block_edited(site: Site) -> None:
    text = files.read(block(site)) or ""
    files.write(block(site), text.replace("StrictHostKeyChecking yes", "LogLevel DEBUG"), 0o600)


def block_gone(site: Site) -> None:
    os.unlink(block(site))


def pins_lost(site: Site) -> None:
    os.unlink(site.layout.known_hosts)


def another_key_inside(site: Site) -> None:
    key = "/etc/ssh/ssh_host_ed25519_key"
    inside(site, f"rm {key}*; ssh-keygen -qt ed25519 -N '' -f {key}; systemctl restart ssh")


def sshd_stopped(site: Site) -> None:
    inside(site, "systemctl stop ssh")


def nobody_let_in(site: Site) -> None:
    inside(site, "rm -r /etc/containai/authorized_keys")


def socket_left(site: Site) -> None:
    """As a machine leaves it that lost its power."""
    Owner.running.close_connection()
    path = site.layout.control_socket(Owner.running.box)
    until(lambda: not os.path.exists(path))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)


def socket_is_a_directory(site: Site) -> None:
    Owner.running.close_connection()
    path = site.layout.control_socket(Owner.running.box)
    until(lambda: not os.path.exists(path))
    os.makedirs(f"{path}/not empty")


def connection_hangs(site: Site) -> None:
    """As one does whose other side was cut off, or is starved."""
    Owner.running.run("true")
    inside(site, "pkill -STOP -f '^sshd-session: agent'")


def memory_used_up(site: Site) -> Undo:
    name = ("--name", Owner.running.box)
    site.cai("limit", *name, "--memory", "256m")
    more = ("python3", "-c", "bytearray(1 << 30)")
    assert site.cai("run", Owner.running.path, "--", *more, check=False).returncode == 137
    until(lambda: any(os.scandir(site.layout.kills)))
    return lambda: site.cai("limit", *name, "--memory", "none")


def port_stolen(site: Site) -> Undo:
    port = Owner.running.port
    site.cai("stop", "--name", Owner.running.box)
    thief = socket.socket()
    thief.bind(("127.0.0.1", port))
    thief.listen()
    return thief.close


def image_deleted(site: Site) -> None:
    site.docker("rmi", "--force", recipe.find(IMAGE, Settings()).reference)


def workspace_moved(site: Site) -> None:
    os.rename(Owner.running.path, f"{Owner.running.path} of old")


def data_of_nobody(site: Site) -> None:
    path = site.docker("volume", "inspect", "--format", "{{.Mountpoint}}", Owner.running.box)
    os.chown(path, NOBODY, NOBODY)
    os.chown(os.path.join(path, ".claude"), NOBODY, NOBODY)


def labels_damaged(site: Site) -> None:
    labels = ("containai.managed=true", "containai.kind=data", "containai.owner=nobody's")
    words = [word for label in labels for word in ("--label", label)]
    site.docker("volume", "create", *words, "damaged")


def box_forgotten(site: Site) -> None:
    """As by who removes a container behind cai's back."""
    part = f"containai.part-of={os.getuid()}:gone"
    site.docker("volume", "create", "--label", part, "part")


def home_read_only(site: Site) -> Undo:
    subprocess.run(["mount", "--bind", site.home, site.home], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", site.home], check=True)
    return lambda: subprocess.run(["umount", "--lazy", site.home], check=True)


def unit_failed(site: Site) -> None:
    inside(site, "systemd-run --unit broken false; until systemctl is-failed broken; do :; done")


def docker_stopped(site: Site) -> None:
    inside(site, "systemctl stop docker.socket docker.service")


def left_by_root(site: Site) -> None:
    """As root of a box makes it: on disk it has an id that is nobody's."""
    root = site.layout.stored_ids[0]
    path = os.path.join(Owner.off.path, "made")
    os.makedirs(os.path.join(path, "by root"))
    for each in (path, os.path.join(path, "by root")):
        os.chown(each, root, root)


FAULTS = (
    Fault("key deleted", key_deleted, "ssh", "id_containai is missing", changes=KEYS),
    Fault("Include twice and not first", include_elsewhere, "ssh", "begin with our Include",
          changes=("home/.ssh/config",)),
    Fault("block edited", block_edited, "host blocks", "that was changed"),
    Fault("block gone", block_gone, "host blocks", "has none", changes=(*BLOCKS, *KEYS)),
    Fault("pinned keys lost", pins_lost, "pinned keys", "has none", changes=KEYS),
    Fault("host key changed inside", another_key_inside, "host keys", "another than the pinned",
          changes=KEYS, words=SLOW),
    Fault("sshd stopped", sshd_stopped, "sshd in boxes", "sshd is inactive", words=SLOW),
    Fault("nobody let in", nobody_let_in, "sshd in boxes", "your key", words=SLOW),
    Fault("stale control socket", socket_left, "control sockets", "nobody listens on"),
    Fault("socket is a directory", socket_is_a_directory, "control sockets", "is no socket"),
    Fault("connection hangs", connection_hangs, "connections", "does not answer", words=SLOW,
          changes=BLOCKS),
    Fault("memory used up", memory_used_up, "memory of boxes", "'python3' in the box",
          mended="cai limit --name [^ ]* --memory [0-9]+m"),
    Fault("image deleted", image_deleted, "image base", "not built yet"),
    Fault("workspace moved", workspace_moved, "workspaces", "of old' now",
          mended="mv '[^']*' [^ ;]*"),
    Fault("data of nobody", data_of_nobody, "owner of data", f"user {NOBODY}'s on disk"),
    Fault("labels damaged", labels_damaged, "data volumes", "damaged: ",
          mended="cai docker volume rm [^ ]*"),
    Fault("part of a box that is gone", box_forgotten, "parts of boxes", "gone",
          mended="cai prune"),
    Fault("home read-only", home_read_only, "home", "cannot be written",
          mended="sudo mount -o remount,rw .*"),
    Fault("unit failed", unit_failed, "units in boxes", "broken.service failed", words=SLOW,
          mended="cai exec [^;]* reset-failed", changes=BLOCKS),
    Fault("Docker stopped", docker_stopped, "Docker in boxes", "does not answer", words=SLOW,
          mended="cai exec [^;]* restart docker", changes=BLOCKS),
    Fault("left by root of a box", left_by_root, "files in workspaces", "made", words=SLOW,
          mended="cai reclaim .*", changes=("ws/*",)),
    Fault("port stolen", port_stolen, "ports of boxes", "somebody has port", stops=True,
          mended="cai start --name [^ ]*", changes=(*BLOCKS, *KEYS)),
)  # fmt: skip


@pytest.fixture(scope="module")
def broken(site: Site, make_lasting: MakeSpace) -> Site:
    """A site with a running box and one that is off, for all faults one after the other."""
    Owner.running, Owner.off = make_lasting("box"), make_lasting("off", 1234)
    for space in (Owner.running, Owner.off):
        space.run("true")
    site.cai("stop", "--name", Owner.off.box)
    return site


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_seen_and_mended(broken: Site, fault: Fault) -> None:
    assert try_out(broken, fault).what == fault.name


def test_plain_ssh_gets_in_after_all_that(broken: Site) -> None:
    plain = ["ssh", "-F", broken.layout.ssh_config, "-o", "BatchMode=yes", Owner.running.box]
    subprocess.run([*plain, "true"], env=broken.environment, check=True)
    assert Owner.running.sh("touch ~/.claude/x && echo in") == "in"


@contextlib.contextmanager
def without(path: str) -> Iterator[None]:
    """Have no such directory."""
    shutil.move(path, f"{path}.away")
    try:
        yield
    finally:
        shutil.move(f"{path}.away", path)


def test_a_lost_layer_is_seen(broken: Site) -> None:
    """To mend it the image is built anew, which takes minutes."""
    reference = recipe.find(IMAGE, Settings()).reference
    form = "{{.GraphDriver.Data.LowerDir}}"
    layer = broken.docker("image", "inspect", "--format", form, reference).split(":")[0]
    with without(layer):
        row = checks(broken)[f"image {IMAGE}"]
        assert not row["ok"]
        assert layer in row["seen"]
    assert checks(broken)[f"image {IMAGE}"]["ok"]


def test_a_box_of_another_version_is_made_anew(broken: Site, make_space: MakeSpace) -> None:
    """With its data."""
    old = "example.com/containai/old:1"
    recipe_of_old = f"FROM {recipe.find(IMAGE, Settings()).reference}\nLABEL containai.recipe=old\n"
    subprocess.run(
        ["docker", "--host", f"unix://{broken.layout.engine_socket}", "build", "--tag", old, "-"],
        input=recipe_of_old.encode(), capture_output=True, check=True,
    )  # fmt: skip
    space = make_space("old")
    space.run("touch", "/home/agent/.claude/kept", env={"CONTAINAI_IMAGE_NAME": old})
    row = checks(broken)["versions of boxes"]
    assert row["state"] == "none"
    assert f"{space.box}: of another image base" in row["seen"]
    broken.cai(*row["hint"].partition("cai ")[2].split(), "--", "true", env=AGREED)
    assert checks(broken)["versions of boxes"]["ok"]
    assert space.sh("ls /home/agent/.claude/kept")
    broken.docker("rmi", old)
