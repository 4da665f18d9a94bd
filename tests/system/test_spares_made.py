"""Spare boxes come and go in the background, as the setting says."""

import json
import os
import select
import subprocess

from harness import spares
from harness.site import text
from harness.waiting import until

ONE, NONE = {"CONTAINAI_BOX_SPARES": "1"}, {"CONTAINAI_BOX_SPARES": "0"}
TOOK, MADE = "took a spare box for ", "making the box "


def test_they_are_made_beside_a_new_box_and_removed_when_none_is_wanted(site, make_space):
    first, second, third = (make_space(name) for name in ("first", "second", "third"))
    reading, writing = os.pipe()
    pipes = {"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE, "pass_fds": [writing]}
    run = site.start("run", first.path, "--", "true", env=ONE, **pipes)
    os.close(writing)
    assert MADE in run.communicate()[1].decode()
    # What keeps them holds nothing that somebody waits for.
    assert select.select([reading], [], [], 5)[0]
    os.close(reading)
    (row,) = until(lambda: [row for row in spares.listed(site) if row["is_ready"]], 120)
    # Whoever asks from below it has the same, and so has a session's directory.
    os.mkdir(os.path.join(second.path, "below"))
    done = site.cai("run", "--", "pwd", env=ONE, cwd=second.path)
    assert (TOOK in text(done), done.stdout) == (True, b"/home/agent/workspace\n")
    assert second.inspect()["Id"] == row["container"]
    assert second.sh("hostname; touch x; ls", env=ONE) == f"{second.box}\nbelow\nx"
    # In the place of what was taken, there is another.
    (other,) = until(lambda: [row for row in spares.listed(site) if row["is_ready"]], 120)
    assert other["container"] != row["container"]
    # What goes with the engine is there again with it.
    site.cai("engine", "stop")
    site.cai("engine", "start")
    first.run("true", env=ONE)
    until(lambda: [row["is_ready"] for row in spares.listed(site)] == [True], 120)
    assert MADE in text(third.run("true", env=NONE | {"TZ": "Asia/Tokyo"}))
    until(lambda: spares.listed(site) == [])
    until(lambda: not [n for n in site.container_names() if n.startswith("spare.")])
    names = {row["name"] for row in json.loads(site.cai("ls", "--json").stdout)}
    assert names >= {first.box, second.box, third.box}
