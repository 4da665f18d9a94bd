"""A spare box gets the data volume that its workspace had before, or that was chosen."""

import json
import os
import subprocess

import pytest

from containai.boxes import design
from containai.layout import DATA_IN_BOX
from harness import spares
from harness.site import text

from .test_spares import MADE, TOOK, assert_same, data_of, with_git

NONE = {"CONTAINAI_BOX_SPARES": "0"}


@pytest.fixture(scope="module", autouse=True)
def undisturbed(site):
    with spares.undisturbed(site):
        yield


def used(space):
    """Have a workspace without a box whose data volume a box before had, and filled."""
    with_git(space).run("sh", "-c", "echo login >~/.claude.json; echo mine >>~/.zshrc")
    space.site.cai("rm", space.path)
    return space


def volumes(site):
    return {row["name"]: row for row in json.loads(site.cai("volume", "ls", "--json").stdout)}


def claimed(space, *flags):
    """Have a spare be a workspace's box; return what the engine knows of it."""
    made = spares.spare(space.site)
    said = text(space.site.cai("run", *flags, space.path, "--", "true"))
    assert (TOOK in said, MADE in said) == (True, False)
    assert spares.is_claimed(space, made)
    return made


def removable(site, volume):
    return site.docker("volume", "rm", volume, check=False) == volume


@pytest.fixture(scope="module")
def again(make_lasting, undisturbed):
    """A workspace whose second box was a spare, which has the volume of the first."""
    space = used(make_lasting("again"))
    claimed(space)
    return space


def test_it_is_what_one_made_on_that_volume_is(site, make_space, again):
    cold = used(make_space("cold-again"))
    assert MADE in text(site.cai("run", cold.path, "--", "true", env=NONE))
    assert_same(cold, again)
    for space in (cold, again):
        # What is here counts, not what is the image's.
        assert space.sh("cat ~/.claude.json; tail -n 1 ~/.zshrc") == "login\nmine"
        assert volumes(site)[data_of(space)]["workspace"] == space.path
        site.cai("stop", space.path)
    assert_same(cold, again)
    assert again.sh("cat ~/.claude.json") == "login"


def test_the_engine_knows_that_it_has_it(site, again):
    volume, container = data_of(again), again.inspect()["Id"]
    assert not removable(site, volume)
    # Whoever removes what holds it has it until the next start.
    site.docker("rm", design.holder(container))
    site.cai("restart", again.path)
    assert not removable(site, volume)
    assert again.sh("cat ~/.claude.json") == "login"


def test_what_a_spare_was_made_with_is_nobodys_and_goes_with_its_box(site, make_space):
    space = used(make_space("goes"))
    made = claimed(space)
    (own,) = [e["Name"] for e in made["Mounts"] if e["Destination"] == DATA_IN_BOX]
    assert own not in volumes(site)
    volume = data_of(space)
    assert own != volume
    site.cai("rm", "--data", "--yes", space.path)
    assert design.holder(made["Id"]) not in site.docker("ps", "--all", "--format", "{{.Names}}")
    left = site.docker("volume", "ls", "--quiet").split()
    assert not {own, volume}.intersection(left)


def test_one_that_is_new_has_what_is_the_images(site, make_space):
    one, other = make_space("new-cold"), make_space("new-claimed")
    chosen = ["--data-volume", "chosen-cold"], ["--data-volume", "chosen-claimed"]
    assert MADE in text(site.cai("run", *chosen[0], one.path, "--", "true", env=NONE))
    claimed(other, *chosen[1])
    look = f"cd {DATA_IN_BOX}; find . -printf '%p %y %u:%g %m %s\\n' | grep -v -e '^[.] ' | sort"
    assert one.sh(look) == other.sh(look) != ""
    assert one.sh(f"stat -c '%U %a' {DATA_IN_BOX}") == other.sh(f"stat -c '%U %a' {DATA_IN_BOX}")
    assert volumes(site)["chosen-claimed"]["workspace"] == other.path
    for space, (_, name) in zip((one, other), chosen, strict=True):
        site.cai("rm", "--data", "--yes", space.path)
        assert name not in site.docker("volume", "ls", "--quiet").split()


def test_another_boxs_is_shared_and_that_is_said(site, make_space, again):
    space, volume = make_space("shares"), data_of(again)
    made = spares.spare(site)
    said = text(site.cai("run", "--data-volume", volume, space.path, "--", "true"))
    assert TOOK in said
    assert f"{volume} is also that of {again.box}: each can run code" in said
    assert spares.is_claimed(space, made)
    assert space.sh("cat ~/.claude.json") == "login"
    site.cai("rm", space.path)
    assert again.sh("cat ~/.claude.json") == "login"


def test_what_is_no_data_volume_is_refused_and_costs_no_spare(site, make_space):
    space, made = make_space("refused"), spares.spare(site)
    site.docker("volume", "create", "theirs")
    try:
        done = site.cai("run", "--data-volume", "theirs", space.path, "--", "true", check=False)
        assert done.returncode != 0
        assert "'theirs' is no data volume of ContainAI's" in text(done)
        assert [row["container"] for row in spares.listed(site)] == [made["Id"]]
    finally:
        spares.discard(site, made["Id"])
    assert removable(site, "theirs")


def test_killed_after_the_claim_the_next_run_finds_it_whole(site, make_space):
    """By hand: recorded, and nobody goes on with it."""
    space = used(make_space("killed-again"))
    (volume,) = [name for name, row in volumes(site).items() if row["workspace"] == space.path]
    made = spares.spare(site)
    at = site.docker("volume", "inspect", "--format", "{{.Mountpoint}}", volume)
    mounts = [space.path, "/home/agent/workspace", False], [at, DATA_IN_BOX, False]
    assert spares.claim(site, made["Id"], space.box, *mounts) == ""
    assert space.sh("hostname; cat ~/.claude.json") == f"{space.box}\nlogin"
    assert spares.is_claimed(space, made)
    assert data_of(space) == volume
    site.cai("restart", space.path)
    assert not removable(site, volume)


def test_what_is_left_of_a_box_that_docker_removed(site, make_space):
    space = used(make_space("by-docker"))
    made, volume = claimed(space), data_of(space)
    site.docker("rm", "--force", made["Id"])
    assert not removable(site, volume)
    site.cai("volume", "rm", "--yes", volume)
    assert design.holder(made["Id"]) not in site.docker("ps", "--all", "--format", "{{.Names}}")
    assert volume not in site.docker("volume", "ls", "--quiet").split()
    # What ssh has of a box that is gone.
    spares.do(site, f"from containai.ssh import hosts; hosts.forget(app.host, {space.box!r})")


def test_a_claim_that_was_killed_before_holds_nothing_for_long(site, make_space):
    space = used(make_space("held"))
    (volume,) = [name for name, row in volumes(site).items() if row["workspace"] == space.path]
    made = spares.spare(site)
    words = "from containai.boxes import holding; "
    words += f"holding.hold(app.engine, {volume!r}, app.engine.container({made['Id']!r}))"
    spares.do(site, words)
    assert not removable(site, volume)
    spares.sweep(site)
    assert removable(site, volume)
    # As if nothing had been: for a workspace without a volume.
    assert TOOK in text(space.run("true"))
    assert spares.is_claimed(space, made)


def test_what_is_mounted_over_the_volume_is_in_the_way(site, make_space):
    space, made = used(make_space("over")), spares.spare(site)
    site.docker("exec", "--user", "0:0", made["Id"], "mount", "-t", "tmpfs", "x", DATA_IN_BOX)
    assert MADE in text(space.run("true"))
    assert space.sh("cat ~/.claude.json") == "login"
    assert made["Id"] not in site.docker("ps", "--all", "--quiet", "--no-trunc").split()


@pytest.fixture
def on_shared(make_space):
    """A workspace of which a mount namespace that is a copy of ours gets all new mounts."""
    space = make_space("on-shared")
    subprocess.run(["mount", "-t", "tmpfs", "x", space.path], check=True)
    try:
        subprocess.run(["mount", "--make-shared", space.path], check=True)
        yield space
    finally:
        subprocess.run(["umount", "--recursive", space.path], check=True)


@pytest.mark.parametrize("how", ["claimed", "added"])
def test_what_the_host_mounts_there_later_is_not_the_boxs(site, on_shared, make_space, how):
    later = os.path.join(on_shared.path, "later")
    os.mkdir(later)
    if how == "claimed":
        box, place = on_shared, "/home/agent/workspace"
        claimed(box)
    else:
        box, place = make_space("beside-shared"), "/mnt/there"
        box.run("true")
        site.cai("mount", "add", box.box, on_shared.path, place)
    subprocess.run(["mount", "-t", "tmpfs", "x", later], check=True)
    with open(os.path.join(later, "new"), "w", encoding="utf-8"):
        pass
    assert box.sh(f"ls {place}; ls {place}/later") == "later"
