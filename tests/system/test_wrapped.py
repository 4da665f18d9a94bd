"""What Sysbox gets from cai-sysbox-runc: a stand-in looks at it, and starts the container."""

import json
import os
import shutil

import pytest

from containai.boxes import spec
from containai.config.settings import Settings
from containai.engine import daemon
from containai.host.machine import Machine
from containai.host.perform import perform
from containai.images import recipe
from containai.provision.step import AnyStep
from containai.provision.steps.engine import EngineFiles, EngineRunning
from harness.host import HOST
from harness.runtimes import STAND_IN
from harness.site import IMAGE

REFERENCE = recipe.find(IMAGE, Settings()).reference
FILL = "mkdir -p /var/lib/k0s && echo of the image >/var/lib/k0s/x"


def configure(site):
    machine = Machine(site.layout)
    steps: tuple[AnyStep, ...] = (EngineFiles(), EngineRunning())
    for step in steps:
        for action in step.plan(machine, step.check(machine)):
            perform(HOST, action, lambda *_: None)
    assert daemon.answering(machine)


@pytest.fixture(scope="module")
def wrapped(site):
    """A site whose engine knows the runtime sysbox-runc."""
    layout = site.layout
    shutil.copytree(STAND_IN, layout.sysbox_dir)
    configure(site)
    yield site
    shutil.rmtree(layout.sysbox_dir)
    configure(site)


class Container:
    """A container made as a box is, that runs a script in its place."""

    def __init__(self, site, workspace, script, image):
        self.site, self.name = site, "wrapped"
        made = spec.BoxSpec(
            name=self.name,
            workspace=str(workspace),
            image=image,
            ssh_port=site.ports[1],
            owner=0,
            runtime="sysbox-runc",
        )
        words = [word for word in spec.create_arguments(made) if word not in (*spec.INIT, "--tty")]
        site.docker(*words, "sh", "-c", script)
        # A box comes back when it has ended by itself.
        site.docker("update", "--restart", "no", self.name)

    def run(self):
        """Start it; return what it says until it ends."""
        return self.site.docker("start", "--attach", self.name).splitlines()

    def remove(self):
        if self.name not in self.site.container_names():
            return
        self.site.inspect(self.name)
        self.site.docker("rm", "--force", "--volumes", self.name)
        self.site.prune()


@pytest.fixture
def make(wrapped, tmp_path):
    made = []
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    os.chown(workspace, 1234, 1234)
    os.chmod(tmp_path, 0o755)

    def make_one(script, image=REFERENCE):
        made.append(Container(wrapped, workspace, script, image))
        return made[-1], workspace

    yield make_one
    for each in made:
        each.remove()


def seen(site):
    with open(os.path.join(site.layout.sysbox_dir, "seen.json"), encoding="utf-8") as file:
        return json.load(file)


IDS = "read -r inside outside size </proc/self/uid_map; echo $inside $outside $size"


def test_it_has_nothing_to_shift_and_nothing_to_make(make, wrapped):
    script = f"{IDS}; runuser -u agent touch /home/agent/workspace/a; id -u agent; cat /etc/given"
    box, workspace = make(script)
    given = os.path.join(wrapped.layout.engine_given, wrapped.inspect("wrapped")["Id"])
    with open(given, "w", encoding="utf-8") as file:
        json.dump({"etc/given": ["a present\n", 0o644]}, file)
    ids, agent, present = box.run()
    told = seen(wrapped)
    assert (told["problems"], told["served"]) == ([], False)
    base = told["spec"]["linux"]["uidMappings"][0]["hostID"]
    assert ids.split() == ["0", str(base), "262144"]
    assert (agent, present) == ("1000", "a present")
    assert (workspace / "a").stat().st_uid == 1234
    # A second start has the same ids, and starts from what the engine wrote.
    assert box.run()[0] == ids


def test_what_sysbox_mgr_would_lose_is_kept_until_the_box_goes(make, wrapped):
    box, _ = make("cat /var/lib/k0s/x 2>/dev/null || echo kept >/var/lib/k0s/x")
    assert box.run() == []
    assert box.run() == ["kept"]
    volume = next(
        mount["Source"]
        for mount in wrapped.inspect("wrapped")["Mounts"]
        if mount["Destination"] == spec.DOCKER_IN_BOX
    )
    kept = os.path.join(os.path.dirname(volume), "places", "var-lib-k0s", "x")
    assert os.stat(kept).st_uid == 0
    box.remove()
    assert not os.path.exists(os.path.dirname(volume))


def test_what_the_image_has_at_such_a_place_is_not_hidden(make, wrapped):
    wrapped.docker("run", "--name", "filled", REFERENCE, "sh", "-c", FILL)
    try:
        wrapped.docker("commit", "filled", "filled:1")
        box, _ = make("cat /var/lib/k0s/x", image="filled:1")
        assert box.run() == ["of the image"]
        assert seen(wrapped)["problems"] == []
        box.remove()
        wrapped.docker("image", "rm", "filled:1")
    finally:
        wrapped.docker("rm", "--force", "filled")


#: What root in a box makes of a file that Sysbox reads as the host's root; and what of it the box
#: has to have again.
READ = {
    "a link to a device of the host": "ln -s /dev/watchdog daemon.json",
    "a pipe": "mkfifo daemon.json",
    "a path": """printf '{\\n"data-root": "/escape/etc"\\n}\\n' >daemon.json""",
    "a link to its directory": "cd ..; mv docker elsewhere; ln -s elsewhere docker",
    "k3s": "mkdir -p /etc/rancher; ln -s / /etc/rancher/k3s",
}
LOOK = (
    "find /etc/docker /etc/docker/ /etc/elsewhere /etc/rancher -printf '%p %y %l %s\\n' 2>&1 || :"
)


@pytest.mark.parametrize("what", READ)
def test_nothing_of_a_box_is_read_as_the_hosts_root(make, wrapped, what):
    again = (
        f"[ ! -e /made ] || {{ {LOOK}; exit; }}; touch /made; ln -s / /escape; mkdir -p /etc/docker"
    )
    box, _ = make(f"{again}; cd /etc/docker; rm -f daemon.json; {READ[what]}; {LOOK}")
    made = box.run()
    assert len(made) > 1
    assert box.run() == made
    assert seen(wrapped)["problems"] == []
    assert not [line for line in made if "aside" in line]


def test_two_boxes_have_two_ranges(make, wrapped, tmp_path):
    box, _ = make(IDS)
    first = box.run()[0].split()[1]
    words = ["run", "--rm", "--name", "second", "--runtime", "sysbox-runc", "--network", "none"]
    second = wrapped.docker(*words, *spec.RIGHTS, REFERENCE, "sh", "-c", IDS).split()[1]
    assert abs(int(second) - int(first)) >= 262144
    wrapped.prune()
