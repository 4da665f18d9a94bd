"""Snapshots, copies and moves on a server of Incus, as the driver asks for them."""

import pytest

from containai.away.incus import KEY
from containai.away.place import Node, Order, Snapshot, Twin
from containai.boxes.box import Status
from containai.errors import NameTakenError, NotThereError
from containai.incus.errors import IncusError, NotFoundError
from harness.incus_server import Fault

ORDER = Order("api", "api", "/srv/api", "f" * 64, "full", "ssh-ed25519 KEY", {"limits.cpu": "2"})
TWIN = Twin("api-2", "api-2", "ssh-ed25519 ANOTHER", "api", "now")


def quiet(text, share):
    pass


@pytest.fixture
def box(place, there):
    """A box `api` that runs."""
    place.create(ORDER, quiet)
    place.finish("api")
    place.start("api")
    there.known["api"]["config"] |= {
        "volatile.uuid": "1", "volatile.base_image": "f" * 64, "volatile.eth0.hwaddr": "aa"
    }  # fmt: skip
    there.known["api"]["architecture"] = "x86_64"
    return there.known["api"]


@pytest.fixture
def pool(box, server):
    """The pool of the box's disk, of a driver that is to be set."""
    box["expanded_devices"] = {"root": {"type": "disk", "path": "/", "pool": "fast"}}
    made = {"driver": "btrfs"}
    server.handlers["GET /1.0/storage-pools/fast"] = lambda _: made
    return made


def asked(server, method, end):
    return [e for e in server.asked if e.method == method and e.path.endswith(end)]


def test_snapshots(place, box):
    place.take("api", "before", quiet)
    assert place.snapshots("api") == [Snapshot("before", "2026-11-29T00:00:00Z", -1)]
    with pytest.raises(NameTakenError, match="there is 'before' on work"):
        place.take("api", "before", quiet)
    assert place.drop("api", "before") is True
    assert place.drop("api", "before") is False


def test_a_project_that_allows_none_says_what_would(place, box, server):
    text = 'Project "boxes" doesn\'t allow for snapshot creation'
    server.faults["POST /1.0/instances/api/snapshots"] = Fault("status", 500, text)
    with pytest.raises(NotThereError, match="a snapshot is not allowed on work") as raised:
        place.take("api", "before", quiet)
    assert "incus project set boxes restricted.snapshots=allow" in raised.value.hint


def test_a_fork_takes_all_but_what_is_its_own(place, box, there, server):
    box["devices"] = {"web": {"type": "proxy", "listen": "tcp:0.0.0.0:80"}, "more": {"type": "x"}}
    place.take("api", "now", quiet)
    place.copy(TWIN, quiet)
    made = there.known["api-2"]
    config = made["config"]
    assert config["limits.cpu"] == "2"
    assert config["security.idmap.isolated"] == "true"
    assert config[KEY + "owner"] == place.owner
    assert config[KEY + "workspace"] == "/srv/api"
    assert (config[KEY + "box"], config[KEY + "host-key"]) == ("api-2", "ssh-ed25519 ANOTHER")
    assert [key for key in config if key.startswith("volatile.")] == ["volatile.base_image"]
    assert made["description"] == "ContainAI box api-2"
    assert made["source"]["source"] == "api/now"
    assert made["source"]["instance_only"] is True
    assert made["devices"] == {"web": {"type": "none"}, "more": {"type": "x"}}
    seen = place.find("api-2")
    assert (seen.status, seen.is_whole, seen.origin) == (Status.UNFINISHED, False, "api")
    assert "target" not in asked(server, "POST", "/instances")[-1].query
    with pytest.raises(NameTakenError):
        place.copy(TWIN, quiet)


def test_a_fork_of_what_is_gone(place, box):
    with pytest.raises(NotFoundError, match=r"^work: .*now"):
        place.copy(TWIN, quiet)


@pytest.mark.parametrize(
    ("config", "target"),
    [
        ({"restricted": "true", "restricted.cluster.target": "allow"}, "n1"),
        ({"restricted": "true"}, None),
        ({"restricted": "true", "restricted.cluster.target": "block"}, None),
        ({"restricted": "false"}, "n1"),
    ],
)
def test_a_fork_is_on_the_node_of_its_source_where_that_may_be_said(
    place, box, server, config, target
):
    box["location"] = "n1"
    server.projects["boxes"] = config
    place.take("api", "now", quiet)
    place.copy(TWIN, quiet)
    assert asked(server, "POST", "/instances")[-1].query.get("target") == target


def test_what_was_set_since_a_snapshot_stays(place, box, there, server):
    place.take("api", "before", quiet)
    place.limit("api", {"limits.cpu": "8", "limits.memory": "1"})
    place.restore("api", "before", quiet)
    config = there.known["api"]["config"]
    assert (config["limits.cpu"], config["limits.memory"]) == ("8", "1")
    assert there.known["api"]["description"] == "ContainAI box api"
    changed = asked(server, "PATCH", "/api")[-1].value["config"]
    assert not [key for key in changed if key.startswith("volatile.")]
    assert not [e for e in asked(server, "POST", "/instances") if "refresh" in e.value["source"]]


@pytest.mark.parametrize("runs", [True, False])
@pytest.mark.parametrize("driver", ["btrfs", "dir"])
def test_where_the_server_restores_none_the_disk_is_made_the_same(
    place, box, there, server, pool, runs, driver
):
    there.restores, pool["driver"] = False, driver
    place.take("api", "before", quiet)
    if not runs:
        place.stop("api")
    place.restore("api", "before", quiet)
    said = asked(server, "POST", "/instances")[-1]
    assert (said.value["name"], said.value["source"]["source"]) == ("api", "api/before")
    assert said.value["source"]["refresh"] is said.value["source"]["instance_only"] is True
    assert not [key for key in said.value["config"] if key.startswith("volatile.")]
    assert place.find("api").status is (Status.RUNNING if runs else Status.STOPPED)
    assert ("api", "before") in there.snapshots


def test_a_restoring_that_is_cut_off_is_said_until_it_is_ended(place, box, there, server, pool):
    there.restores = False
    place.take("api", "before", quiet)
    server.faults["POST /1.0/instances"] = Fault("status", 500, "rsync failed")
    with pytest.raises(IncusError, match="rsync failed"):
        place.restore("api", "before", quiet)
    seen = place.find("api")
    assert (seen.status, seen.restoring) == (Status.BROKEN, "before")
    assert "half put back to the snapshot before" in seen.problem
    server.faults.clear()
    place.restore("api", "before", quiet)
    seen = place.find("api")
    assert (seen.status, seen.restoring) == (Status.STOPPED, "")


@pytest.mark.parametrize("driver", ["zfs", "lvm", "ceph"])
def test_no_disk_is_risked_that_would_lose_its_snapshots(place, box, there, server, pool, driver):
    there.restores, pool["driver"] = False, driver
    place.take("api", "before", quiet)
    with pytest.raises(NotThereError, match=f"box on {driver} back") as raised:
        place.restore("api", "before", quiet)
    assert "cai fork" in raised.value.hint
    assert place.find("api").status is Status.RUNNING


def test_in_a_cluster_it_is_done_on_the_boxs_own_node(place, box, there, server, pool):
    there.restores = False
    box["location"] = "n1"
    place.take("api", "before", quiet)
    server.projects["boxes"] = {"restricted": "true"}
    with pytest.raises(NotThereError, match="choice of a node"):
        place.restore("api", "before", quiet)
    assert place.find("api").status is Status.RUNNING
    server.projects["boxes"] = {"restricted": "true", "restricted.cluster.target": "allow"}
    place.restore("api", "before", quiet)
    assert asked(server, "POST", "/instances")[-1].query["target"] == "n1"


def test_another_failure_of_a_restoring_is_said(place, box, server):
    server.faults["PUT /1.0/instances/api"] = Fault("status", 500, "the pool is broken")
    with pytest.raises(IncusError, match="the pool is broken"):
        place.restore("api", "before", quiet)


def test_nodes(place, server):
    server.about["server_clustered"] = True
    members = [("n1", "Online"), ("n2", "Offline"), ("n3", "Evacuated")]
    server.handlers["GET /1.0/cluster/members"] = lambda _: [
        {"server_name": name, "status": status} for name, status in members
    ]
    assert place.nodes() == [
        Node("n1"), Node("n2", "it is Offline there"), Node("n3", "it is Evacuated there")
    ]  # fmt: skip


def test_one_server_has_no_nodes(place):
    assert place.nodes() == []


def test_a_move(place, box, server):
    place.stop("api")
    place.move("api", "n2", quiet)
    said = asked(server, "POST", "/api")[-1]
    assert said.value == {"name": "api", "migration": True, "live": False}
    assert place.find("api").node == "n2"


def test_a_project_that_lets_nobody_choose_a_node(place, box, server):
    text = "This project doesn't allow cluster member targeting"
    server.faults["POST /1.0/instances/api"] = Fault("status", 403, text)
    with pytest.raises(NotThereError, match="the choice of a node is not allowed") as raised:
        place.move("api", "n2", quiet)
    assert "restricted.cluster.target=allow" in raised.value.hint
