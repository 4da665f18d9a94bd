import pytest

from containai.away.incus import KEY
from containai.away.place import Order
from containai.boxes.box import Status
from containai.errors import (
    NameTakenError,
    NoSpaceError,
    NotThereError,
    RemoteError,
    RemoteIdentityError,
)
from containai.incus.errors import ForbiddenError, ForgottenError, UnreachableError
from containai.incus.known import Remote
from containai.incus.tls import Address
from harness.incus_server import Fault, Operation

ORDER = Order(
    "api-1", "api", "/srv/api", "f" * 64, "full", "ssh-ed25519 KEY",
    {"limits.cpu": "2", "limits.memory": ""},
)  # fmt: skip


def made(place):
    place.create(ORDER, lambda text, share: None)


def test_a_new_box_is_isolated_and_says_whose_it_is(place, there):
    made(place)
    config = there.known["api-1"]["config"]
    assert config["security.nesting"] == config["security.idmap.isolated"] == "true"
    assert config["limits.cpu"] == "2"
    assert "limits.memory" not in config
    assert there.known["api-1"]["source"] == {"type": "image", "fingerprint": "f" * 64}
    assert there.known["api-1"]["profiles"] == ["default"]
    assert there.known["api-1"]["start"] is False
    assert config[KEY + "owner"] == place.owner
    assert not any("PRIVATE" in text for text in config.values())


def test_it_is_unfinished_until_it_got_all(place, there):
    made(place)
    assert place.find("api-1").status is Status.UNFINISHED
    place.finish("api-1")
    seen = place.find("api-1")
    assert (seen.status, seen.is_whole) == (Status.STOPPED, True)
    assert (seen.name, seen.workspace, seen.host_key) == ("api", "/srv/api", "ssh-ed25519 KEY")
    assert there.known["api-1"]["description"] == "ContainAI box api"
    assert place.find("none") is None


def test_a_name_that_is_taken(place, there):
    made(place)
    with pytest.raises(NameTakenError):
        made(place)


def test_files_are_roots_with_their_modes_and_directories_are_made(place, there):
    made(place)
    given = {
        "etc/ssh/key": ("PRIVATE", 0o600),
        "etc/containai/authorized_keys/agent": ("KEY\n", 0o644),
        "etc/a": ("", 0o644),
    }
    place.put("api-1", given)
    assert there.files["api-1", "/etc/ssh/key"] == (b"PRIVATE", 0, 0, "0600")
    assert there.files["api-1", "/etc/containai/authorized_keys/agent"][0] == b"KEY\n"
    assert there.files["api-1", "/etc/a"] == (b"", 0, 0, "0644")


def test_a_life(place, there):
    made(place)
    place.finish("api-1")
    place.start("api-1")
    assert place.find("api-1").status is Status.RUNNING
    place.stop("api-1")
    assert place.find("api-1").status is Status.STOPPED
    place.start("api-1")
    place.remove("api-1")
    place.remove("api-1")
    assert there.known == {}


@pytest.mark.parametrize(
    ("status", "location", "expected", "problem"),
    [
        ("Ready", "none", Status.RUNNING, ""),
        ("Frozen", "none", Status.PAUSED, ""),
        ("Error", "n2", Status.BROKEN, "its node n2 is away"),
        ("Error", "none", Status.BROKEN, "it is Error there"),
    ],
)
def test_how_a_box_is(place, there, status, location, expected, problem):
    made(place)
    place.finish("api-1")
    there.known["api-1"] |= {"status": status, "location": location}
    (seen,) = place.every(timeout=5.0)
    assert (seen.status, seen.problem) == (expected, problem)
    assert seen.node == location.replace("none", "")


def test_of_a_node_that_is_away_only_the_name_is_known(place, there):
    there.known["api-1"] = {
        "name": "api-1", "status": "Error", "location": "n2", "config": None, "devices": None,
    }  # fmt: skip
    (seen,) = place.every(timeout=5.0)
    assert (seen.instance, seen.status, seen.owner) == ("api-1", Status.BROKEN, "")


@pytest.mark.parametrize(
    "text",
    [
        "Missing event connection with target cluster member",
        'Get "https://10.0.0.3:8443/1.0": Unable to connect to: 10.0.0.3:8443 (no route to host)',
    ],
)
def test_one_whose_node_is_away_is_found_in_the_list(place, there, server, text):
    made(place)
    there.known["api-1"] = {
        "name": "api-1", "status": "Error", "location": "n2", "config": None, "devices": None,
    }  # fmt: skip
    server.faults["GET /1.0/instances/api-1"] = Fault("status", 500, text)
    seen = place.find("api-1")
    assert (seen.status, seen.problem) == (Status.BROKEN, "its node n2 is away")
    server.faults["GET /1.0/instances/api-1/console"] = Fault("status", 500, text)
    with pytest.raises(RemoteError, match="work: the node that has it is away") as raised:
        place.log("api-1")
    assert "cai ls" in raised.value.hint


def test_a_size_takes_the_profiles_disk_along(place, there, server):
    root = {"type": "disk", "path": "/", "pool": "fast"}
    server.handlers["GET /1.0/profiles/default"] = lambda _: {"devices": {"root": root}}
    place.create(ORDER._replace(disk=5 << 30), lambda text, share: None)
    assert there.known["api-1"]["devices"] == {"root": root | {"size": str(5 << 30)}}


def test_a_full_pool_is_said_as_such(place, there, server):
    text = "Failed creating instance: write /x: no space left on device"
    server.faults["POST /1.0/instances"] = Fault("status", 500, text)
    with pytest.raises(NoSpaceError, match="work has no room") as raised:
        made(place)
    assert "cai ls" in raised.value.hint


def test_a_certificate_that_was_taken_back(place, there, server):
    server.trusted.clear()
    with pytest.raises(ForbiddenError, match=r"^work: ") as raised:
        place.find("api-1")
    assert "cai remote add" in raised.value.hint


def test_a_server_with_another_certificate(place, server):
    place._remote = place._remote._replace(pin="0" * 64)
    with pytest.raises(RemoteIdentityError, match=r"^work: .* another certificate"):
        place.find("api-1")


def test_a_server_that_is_away(place):
    place._remote = Remote("work", (Address("127.0.0.1", 1),), "0" * 64, "boxes")
    with pytest.raises(UnreachableError, match=r"^work: ") as raised:
        place.find("api-1")
    assert isinstance(raised.value, RemoteError)


def test_what_leads_to_its_sshd(place, layout):
    words = place.stream("api-1")
    assert words[1] == "-IS"
    assert words[3:6] == [layout.config_dir, "work", "api-1"]


def test_another_name_is_noted_there(place, there):
    made(place)
    place.rename("api-1", "web")
    assert place.find("api-1").name == "web"


def test_an_image_that_only_the_administrator_may_bring(place, server, tmp_path):
    for name in ("m", "r"):
        (tmp_path / name).write_bytes(b"x")
    server.faults["POST /1.0/images"] = Fault("status", 403, "not authorized")
    with pytest.raises(NotThereError, match="an image that is brought there") as raised:
        place.add_image(
            str(tmp_path / "m"), str(tmp_path / "r"), "e" * 64, lambda text, share: None
        )
    assert "features.images" in raised.value.hint


def test_a_removal_that_the_server_forgot_is_none(place, there, server):
    made(place)
    forgotten = Operation()
    server.faults[f"GET /1.0/operations/{forgotten.id}/wait"] = Fault("status", 404, "not found")
    server.faults[f"GET /1.0/operations/{forgotten.id}"] = Fault("status", 404, "not found")
    one = there._one
    there._one = lambda asked, *rest: forgotten if asked.method == "DELETE" else one(asked, *rest)
    with pytest.raises(ForgottenError, match=r"^work: the server was started again"):
        place.remove("api-1")
