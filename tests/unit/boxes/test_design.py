import pytest

from containai import kept
from containai.boxes import design
from containai.boxes.box import Box, Status
from containai.boxes.design import Order, Scene
from containai.boxes.limits import Limits
from containai.boxes.workspace import Workspace
from containai.config.values import PortRange
from containai.engine.container import Mount
from containai.errors import PortsExhaustedError
from harness.app import container

PORTS = PortRange(2300, 2303)
ORDER = Order("api", Workspace("/srv/api"), "i:t")
SCENE = Scene(processors=(0, 1, 2, 3), boxes=(), owner=1000, runtime="cai-runc")
BOX = Box("api", "id", "/srv/api", 2301, 1000, Status.RUNNING, "i:t", "")


def new(order=ORDER, scene=SCENE, taken=(), busy=()):
    return design.new(order, scene, PORTS, taken=taken, is_free=lambda port: port not in busy)


def test_a_new_box_is_what_was_ordered_on_the_machine_that_there_is():
    made = new()
    assert (made.name, made.workspace, made.image) == ("api", "/srv/api", "i:t")
    assert (made.owner, made.runtime, made.ipv6) == (1000, "cai-runc", False)
    assert (made.ssh_port, made.limits, made.cpuset) == (2300, Limits(), "")
    other = new(scene=SCENE._replace(runtime="sysbox-runc", ipv6=True, owner=7))
    assert (other.owner, other.runtime, other.ipv6) == (7, "sysbox-runc", True)


def test_what_is_mounted_in_the_workspace_is_left_out_where_it_says_so():
    assert not new().skip_mounts
    assert new(ORDER._replace(workspace=Workspace("/srv/api", skip_mounts=True))).skip_mounts


def test_a_port_is_nobodys():
    scene = SCENE._replace(boxes=[BOX._replace(ssh_port=2300, status=Status.STOPPED)])
    assert new(scene=scene).ssh_port == 2301
    assert new(scene=scene, taken={2301}).ssh_port == 2302
    assert new(scene=scene, taken={2301}, busy={2302}).ssh_port == 2303
    with pytest.raises(PortsExhaustedError):
        new(scene=scene, taken={2301, 2303}, busy={2302})


def test_processors_are_those_that_the_fewest_have():
    scene = SCENE._replace(boxes=[BOX._replace(cpuset="0-1")])
    assert new(ORDER._replace(limits=Limits(None, 2.0)), scene).cpuset == "2,3"
    assert new(ORDER._replace(limits=Limits(1 << 30, None)), scene).cpuset == ""


def test_files_of_a_new_box():
    files = design.files({"a": ("b", 0o600)}, authorized="mine", pools="{}")
    assert files | design.host_key("secret", "public") == {
        "a": ("b", 0o600),
        "etc/ssh/ssh_host_ed25519_key": ("secret", 0o600),
        "etc/ssh/ssh_host_ed25519_key.pub": ("public\n", 0o644),
        "etc/containai/authorized_keys/agent": ("mine\n", 0o644),
        "etc/containai/docker-pools.json": ("{}", 0o644),
        "etc/containai/kept": (kept.table(), 0o644),
    }


def test_what_a_new_box_is_told_of_the_network():
    files = design.files({}, authorized="", pools="", told="http_proxy=x\n")
    assert files["etc/containai/network"] == ("http_proxy=x\n", 0o600)


@pytest.mark.parametrize("status", Status)
def test_only_what_was_never_finished_is_left_over(status):
    left = (Status.UNFINISHED, Status.BROKEN)
    assert design.is_left_over(BOX._replace(status=status)) == (status in left)


@pytest.mark.parametrize(
    ("status", "same", "steps"),
    [
        (Status.RUNNING, True, ()),
        (Status.RUNNING, None, ()),
        (Status.RUNNING, False, ("stop", "start")),
        (Status.PAUSED, True, ("unpause",)),
        (Status.PAUSED, None, ("unpause",)),
        (Status.PAUSED, False, ("unpause", "stop", "start")),
        (Status.STOPPED, True, ("start",)),
        (Status.STOPPED, False, ("start",)),
        (Status.RESTARTING, True, ("stop", "start")),
        (Status.RESTARTING, False, ("stop", "start")),
    ],
)
def test_what_has_a_box_run(status, same, steps):
    assert design.waking(BOX._replace(status=status), same=same) == steps


def test_a_box_gets_the_limits_that_it_has_not():
    assert design.limiting(BOX, Limits(), (0, 1), [BOX]) == []
    # Its own processors do not count as another's.
    mine, other = BOX._replace(cpuset="0"), BOX._replace(container="other", cpuset="1")
    words = ("update", "--cpus", "1", "--cpuset-cpus", "0", "id")
    assert design.limiting(mine, Limits(None, 1.0), (0, 1), [mine, other]) == [words]


def test_processes_of_an_early_box_are_bounded_too():
    early = BOX._replace(is_bounded=False)
    bounded = ("update", "--pids-limit", "16384", "id")
    limited = ("update", "--pids-limit", "16384", "--memory", "9", "--memory-swap", "9", "id")
    assert design.limiting(early, Limits(), (0,), []) == [bounded]
    assert design.limiting(early, Limits(9, None), (0,), []) == [limited]


def test_a_box_is_removed_with_the_volume_that_an_early_version_named():
    made = container("/srv/api", "api", 1000)
    assert design.removing(made) == [("rm", "--force", "--volumes", "api-id")]
    mounts = (*made.mounts[:1], Mount("volume", "api-docker", "/var/lib/docker"))
    assert design.removing(made._replace(mounts=mounts)) == [
        ("rm", "--force", "--volumes", "api-id"),
        ("volume", "rm", "api-docker"),
    ]
