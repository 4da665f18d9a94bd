"""What is said of a server: right, wrong, and what nobody could see."""

import os
import re

import pytest

from containai.flows.remote_doctor import CLIENT, SERVER
from containai.incus import dangers, hardening, judge
from containai.incus.server import Project
from containai.incus.sight import MOUNTS_FILE, Inside, Unseen
from containai.work.actions import State

from .of_places import ABOUT, CONFIG, INSIDE, POOL, PROFILE, RIGHT, box, member

DOCS = os.path.join(os.path.dirname(__file__), "..", "..", "..", "docs")


def said(seen=RIGHT, **changes):
    """Return what was found, by title."""
    return {each.title: each.finding for each in judge.checks(seen._replace(**changes), "boxes")}


def only(state, **changes):
    """Return the one finding that is no more right, which is in this state."""
    before, after = said(), said(**changes)
    spoilt = [each for title, each in after.items() if before.get(title, each).ok and not each.ok]
    assert [each.state for each in spoilt] == [state], after
    return spoilt[0]


def project(**config):
    keys = {key.replace("__", ".").replace("_", "-"): text for key, text in config.items()}
    return Project("boxes", "", CONFIG | keys)


def test_all_is_right():
    assert {each.state for each in said().values()} == {State.OK}
    assert len(said()) == len(judge.ROWS) + 1


def test_what_has_no_finding_of_its_own_is_not_forgotten():
    assert all(each.means and each.title == each.title.strip() for each in judge.ROWS)
    assert all(finding.seen for finding in said().values())


def test_the_documentation_has_every_row():
    path = os.path.join(DOCS, "how-to", "incus-server.md")
    with open(path, encoding="utf-8") as file:
        rows = re.findall(r"^\| `([^`]+)` \|", file.read(), re.MULTILINE)
    titles = [each.title for each in judge.ROWS]
    titles.insert(titles.index("images"), "what boxes must not")
    start = rows.index(CLIENT)
    assert rows[start : start + 2 + len(titles)] == [CLIENT, SERVER, *titles]


def test_a_stranger_sees_nothing_and_is_told_so():
    no = Unseen("no")
    about = ABOUT._replace(is_trusted=False, version="", extensions=frozenset(), kind="", kernel="")
    seen = said(
        about=about, features={}, certificate=no, project=no, usage=no, profile=no, pool=no,
        space={}, network=no, members=no, boxes=no, inside=no,
    )  # fmt: skip
    assert seen.pop("your certificate").state is State.WRONG
    # What is seen without being known.
    for title in ("end of your certificate", "end of its certificate", "its clock"):
        assert seen.pop(title).ok
    assert {each.state for each in seen.values()} == {State.UNKNOWN}


@pytest.mark.parametrize(
    ("part", "title"),
    [
        ("ahead", "its clock"), ("certificate", "your certificate"),
        ("own_valid", "end of your certificate"), ("server_valid", "end of its certificate"),
        ("usage", "room in the project"), ("pool", "storage pool"), ("network", "network"),
        ("members", "members"), ("boxes", "ids of boxes"),
    ],
)  # fmt: skip
def test_what_may_not_be_seen_is_unknown_by_name(part, title):
    found = said(**{part: Unseen("Certificate is restricted")})
    assert found[title].state is State.UNKNOWN
    assert "Certificate is restricted" in found[title].seen
    assert {each.state for name, each in found.items() if name != title} == {State.OK}


def test_what_is_unseen_of_the_project_is_unknown_and_not_closed():
    found = said(project=Unseen("403"))
    # Which package of Debian's the server has is said by the project, too.
    unknown = {"project", "what boxes must not", "images", "snapshots and copies", "known holes"}
    assert {name for name, each in found.items() if each.is_unknown} == unknown


def test_no_project():
    found = said(project=None)
    assert found["project"].state is State.WRONG
    assert found["what boxes must not"].state is State.UNKNOWN


@pytest.mark.parametrize("restricted", ["false", ""])
def test_a_project_without_restrictions_gives_the_server_away(restricted):
    finding = said(project=project(restricted=restricted))["what boxes must not"]
    assert (finding.state, "root of the server" in finding.seen) == (State.WRONG, True)


@pytest.mark.parametrize("danger", dangers.DANGERS, ids=lambda each: each.key)
def test_what_must_not_be_allowed_is_said_by_name(danger):
    given = Project("boxes", "", CONFIG | {danger.key: "allow"})
    found = said(project=given)
    assert found[danger.key].state is State.WRONG
    assert danger.gives in found[danger.key].seen
    assert "what boxes must not" not in found
    assert f"unset boxes {danger.key}" in found[danger.key].hint


@pytest.mark.parametrize("value", ["full", "something-new"])
def test_a_value_that_is_not_known_to_be_harmless_is_none(value):
    given = Project("boxes", "", CONFIG | {"restricted.containers.interception": value})
    assert said(project=given)["restricted.containers.interception"].state is State.WRONG


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("restricted.containers.nesting", "block", "no Docker"),
        ("restricted.containers.privilege", "unprivileged", "share ids"),
        ("restricted.networks.access", "", "any network"),
        ("features.profiles", "false", "default project's"),
    ],
)
def test_what_a_project_lacks(key, value, says):
    given = Project("boxes", "", CONFIG | {key: value})
    assert says in only(State.WRONG, project=given).seen


def test_what_is_only_wanted_of_a_project():
    for key, value in {"features.images": "false", "restricted.snapshots": "block"}.items():
        only(State.NONE, project=Project("boxes", "", CONFIG | {key: value}))
    given = Project("boxes", "", CONFIG | {"restricted.cluster.target": "block"})
    assert said(project=given)["snapshots and copies"].ok
    clustered = ABOUT._replace(is_clustered=True)
    assert said(project=given, about=clustered)["snapshots and copies"].state is State.NONE


def test_a_full_project():
    assert only(State.WRONG, usage={"instances": (3, 3)}).seen == "instances 3 of 3"


@pytest.mark.parametrize(
    ("device", "change", "says"),
    [
        ("root", {"pool": ""}, "no root disk"),
        ("root", {"path": "/data"}, "no root disk"),
        ("eth0", {"network": ""}, "no interface"),
        ("eth0", {"network": "lan"}, "lan is not in restricted.networks.access"),
    ],
)
def test_a_profile_without_what_a_box_needs(device, change, says):
    devices = PROFILE["devices"] | {device: PROFILE["devices"][device] | change}
    assert says in only(State.WRONG, profile=PROFILE | {"devices": devices}).seen


def test_no_profile():
    assert said(profile=None)["profile"].state is State.WRONG


@pytest.mark.parametrize("key", ["limits.memory", "limits.cpu"])
def test_a_box_without_limits(key):
    config = {name: text for name, text in PROFILE["config"].items() if name != key}
    only(State.NONE, profile=PROFILE | {"config": config})


@pytest.mark.parametrize("key", [*hardening.settings(), *hardening.INTERFACE])
def test_a_profile_that_leaves_open_what_is_closed_here(key):
    config = {name: text for name, text in PROFILE["config"].items() if name != key}
    nic = {name: text for name, text in PROFILE["devices"]["eth0"].items() if name != key}
    profile = PROFILE | {"config": config, "devices": PROFILE["devices"] | {"eth0": nic}}
    assert key in only(State.NONE, profile=profile).seen


def test_pools():
    assert only(State.NONE, pool=POOL | {"driver": "dir"}).hint
    assert "Errored" in only(State.WRONG, pool=POOL | {"status": "Errored"}).seen
    assert only(State.WRONG, pool=None).seen


def test_space_of_each_member():
    room, full = (0, 100 << 30), (96 << 30, 100 << 30)
    assert "b" in only(State.WRONG, space={"a": room, "b": full}).seen
    assert only(State.UNKNOWN, space={"a": room, "b": Unseen("403")}).seen.endswith("on b: 403")
    assert only(State.WRONG, space={"a": full, "b": Unseen("403")})
    # A small pool is full before a share of it is.
    assert only(State.WRONG, space={"": (6 << 30, 10 << 30)})


def test_a_network_that_is_not_ready():
    for change in ({"managed": False}, {"status": "Pending"}):
        only(State.WRONG, network={"name": "br0", "managed": True, "status": "Created"} | change)
    only(State.WRONG, network=None)


def test_members():
    all_there = [member("a"), member("b")]
    assert said(members=all_there)["members"].seen == "a Online, b Online"
    away = member("b", "Offline", "No heartbeat for 25s")
    assert "No heartbeat" in only(State.WRONG, members=[member("a"), away]).seen
    only(State.WRONG, members=[member("a"), member("b", "Blocked")])
    only(State.NONE, members=[member("a"), member("b", "Evacuated")])


def test_the_root_of_a_box_says_whether_it_is_an_idmapped_mount():
    assert "root of api" in said(features={"idmapped_mounts": "false"})["idmapped mounts"].seen
    plain = INSIDE | {MOUNTS_FILE: ("1 0 0:44 / / rw,relatime shared:1 - zfs x rw",)}
    assert "other owners" in only(State.WRONG, inside=Inside("api", plain)).seen


def test_idmapped_mounts_where_no_box_runs():
    no = Unseen("none of yours runs there")
    found = said(inside=no, features={"idmapped_mounts": "false"})["idmapped mounts"]
    assert found.state is State.WRONG
    assert said(inside=no)["idmapped mounts"].ok
    # 7.0 says nothing of it.
    assert said(inside=no, features={})["idmapped mounts"].seen == "Linux 6.12.0 has them"
    for kernel in ("5.10.0", ""):
        about = ABOUT._replace(kernel=kernel)
        assert said(inside=no, features={}, about=about)["idmapped mounts"].is_unknown


@pytest.mark.parametrize("line", ["", "1 0 0:44 / /", "1 0 0:44 / /dev rw - tmpfs none rw", "\x1b"])
def test_a_box_that_says_nothing_of_its_root_proves_nothing(line):
    found = said(inside=Inside("api", INSIDE | {MOUNTS_FILE: (line,)}))["idmapped mounts"]
    assert found.seen == "the kernel has them"


def test_ids_of_boxes():
    assert "api, web" in only(State.WRONG, boxes=[box("api"), box("web")]).seen
    # Each member of a cluster gives ids for itself.
    there = [box("api")._replace(location="n1"), box("web")._replace(location="n2")]
    assert said(boxes=there)["ids of boxes"].ok
    there[1] = there[1]._replace(location="n1")
    assert "cai start" in only(State.WRONG, boxes=there).hint
    assert only(State.WRONG, boxes=[box("api", "0")])
    only(State.UNKNOWN, boxes=[])
    only(State.UNKNOWN, boxes=[box("api", "")])


def test_what_a_box_says():
    few = INSIDE | {"/proc/sys/fs/inotify/max_user_instances": ("1024",)}
    assert "1024" in only(State.WRONG, inside=Inside("api", few)).seen
    beyond = INSIDE | {"/etc/subgid": ("agent:100000:65536",)}
    assert "agent:100000:65536" in only(State.WRONG, inside=Inside("api", beyond)).seen
    nothing = said(inside=Inside("api", {}))
    assert {name for name, each in nothing.items() if each.is_unknown} == {
        "inotify", "subordinate ids",
    }  # fmt: skip
    lies = INSIDE | {
        "/proc/self/uid_map": ("x",),
        "/proc/sys/fs/inotify/max_user_instances": ("-",),
    }
    assert said(inside=Inside("api", lies))["inotify"].is_unknown
    assert said(inside=Inside("api", lies))["subordinate ids"].is_unknown


def test_no_box_to_ask():
    found = said(inside=Unseen("none of yours runs there"))
    assert {name for name, each in found.items() if each.is_unknown} == {
        "inotify", "subordinate ids",
    }  # fmt: skip
