"""What nobody uses goes, and nothing else."""

import json
import os
import shutil

from containai import errors
from harness.site import refused


def pruned(site, *words):
    return json.loads(site.cai("prune", "--json", *words).stdout)


def test_what_is_off_goes_and_what_runs_or_is_kept_stays(site, shared, make_space):
    kept, old = make_space("kept"), make_space("old")
    kept.run("true")
    old.run("true")
    site.cai("keep", kept.path)
    site.cai("stop", kept.path)
    site.cai("stop", old.path)
    (volume,) = (
        mount["Name"]
        for mount in old.inspect()["Mounts"]
        if mount["Destination"] == "/var/lib/docker"
    )
    assert old.box not in {row["name"] for row in pruned(site, "--dry-run")["removed"]}
    seen = pruned(site, "--dry-run", "--all")
    boxes = {row["name"]: row for row in seen["removed"] if row["kind"] == "box"}
    assert set(boxes) == {old.box}
    assert boxes[old.box]["size"] > 0
    refused(site.cai("prune", "--all", check=False), errors.ContainAIError)
    assert old.box in site.container_names()
    done = pruned(site, "--all", "--yes")
    assert old.box in {row["name"] for row in done["removed"]}
    assert {kept.box, shared.box} <= site.container_names()
    assert old.box not in site.container_names()
    assert volume not in site.docker("volume", "ls", "-q").split()
    assert not os.path.exists(site.layout.ssh_block(old.box))


def test_a_box_whose_workspace_is_gone_and_a_part_of_one(site, make_space):
    gone, lost = make_space("gone"), make_space("lost")
    gone.run("true")
    lost.run("true")
    site.cai("stop", gone.path)
    shutil.rmtree(gone.path)
    (volume,) = (
        mount["Name"]
        for mount in lost.inspect()["Mounts"]
        if mount["Destination"] == "/var/lib/docker"
    )
    site.docker("rm", "--force", lost.box)
    found = {(row["kind"], row["name"]) for row in pruned(site, "--dry-run")["removed"]}
    assert {("box", gone.box), ("volume", volume)} <= found
    pruned(site, "--yes")
    assert gone.box not in site.container_names()
    assert volume not in site.docker("volume", "ls", "-q").split()
    # What ssh knows of it goes with its next box.
    lost.run("true")
    site.cai("rm", lost.path)
