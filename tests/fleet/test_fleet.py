"""Two servers of Incus as a cluster, with the boxes of one user: what its nodes do to those.

The servers are real ones, prepared by the product, in namespaces of this machine (nodes.py says
what they are not). One story: each test goes on where the one before has ended.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import pytest

from containai.errors import BoxStartError, NotThereError, RemoteIdentityError
from harness.nested import NESTED
from harness.screen import Screen
from harness.site import refused, text
from harness.space import Space

from .fleet import PLACE, Fleet

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(1800)]

#: What of a box has to stay, wherever it is: work, data, root's files, what its Docker has.
FILL = f"""
{NESTED}
cd ~/workspace
echo mine >~/note
echo data >/mnt/agent-data/note
echo root | sudo tee /etc/note >/dev/null
echo news >>name
docker volume create kept >/dev/null
docker run --rm --volume kept:/kept nested bash -c 'echo inner >/kept/note'
"""
SEEN = """
cat name ~/note /mnt/agent-data/note /etc/note /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub
docker images --no-trunc --format '{{.Repository}} {{.ID}}'
docker run --rm --volume kept:/kept nested cat /kept/note
stat --format '%U %G' ~/note /etc/note
"""


@pytest.fixture(scope="module")
def spaces(fleet: Fleet) -> dict[str, Space]:
    """Workspaces, by their names."""
    return {name: fleet.space(name) for name in ("first", "second", "third")}


def run(fleet: Fleet, space: Space, script: str, **options: Any) -> str:
    """Run a script in a box on the servers, made where need be."""
    words = ("run", "--on", PLACE, space.path, "--", "sh", "-euc", script)
    return fleet.site.cai(*words, **options).stdout.decode().strip()


def pins(fleet: Fleet) -> str:
    """Return the certificate that the user's client believes."""
    (place,) = json.loads(fleet.site.cai("remote", "ls", "--json").stdout)["remotes"]
    return str(place["fingerprint"])


def on_screen(fleet: Fleet, answer: bytes) -> int:
    """Say at a terminal whether the server is the one that is meant; return the exit code."""
    words = ("remote", "add", PLACE)
    screen = Screen(fleet.site, sys.executable, "-m", "containai", *words)
    try:
        screen.shows(fleet.fingerprint().encode())
        screen.shows(b"Is that work?")
        screen.type(answer + b"\r")
        return screen.end()
    finally:
        screen.close()


def test_a_server_alone(fleet: Fleet, spaces: dict[str, Space]) -> None:
    """A bare server, prepared by the product; a box on it, whose image is brought there."""
    with fleet.timed("a bare server is prepared"):
        token = fleet.prepare(fleet.one)
    fleet.site.cai("remote", "add", PLACE, fleet.one.url, "--token", token)
    with fleet.timed("the first box, its image packed, sent and unpacked"):
        assert run(fleet, spaces["first"], "cat name; echo kept >~/kept") == "first"
    assert fleet.node_of(spaces["first"]) == ""


def test_another_certificate_is_asked_about(fleet: Fleet, spaces: dict[str, Space]) -> None:
    """A cluster is enabled: nothing is sent to who shows another certificate, until it is said."""
    first, before = spaces["first"], pins(fleet)
    with fleet.timed("a cluster is enabled"):
        fleet.enable()
    shown = fleet.fingerprint()
    assert shown != before
    first.close_connection()
    for words in (
        ("run", first.path, "--", "true"),
        ("run", "--yes", "--on", PLACE, spaces["second"].path, "--", "true"),
        ("stop", first.path),
        ("rm", "--yes", first.path),
        ("move", first.box, "--to", "two", "--yes"),
        ("remote", "show", PLACE),
        ("remote", "add", PLACE),
    ):
        done = fleet.site.cai(*words, check=False, env={"CAI_YES": "1"})
        said = "\n".join(refused(done, RemoteIdentityError))
        assert shown in said, words
        assert f"cai remote add {PLACE} --fingerprint" in said
    listed = fleet.site.cai("ls")
    assert shown in text(listed)
    assert b"unknown" in listed.stdout
    assert on_screen(fleet, b"n") == RemoteIdentityError.exit_code
    assert pins(fleet) == before
    assert on_screen(fleet, b"y") == 0
    assert pins(fleet) == shown
    assert run(fleet, first, "cat ~/kept") == "kept"
    assert fleet.node_of(first) == "one"


def test_boxes_are_placed(fleet: Fleet, spaces: dict[str, Space]) -> None:
    """A second server joins, and Incus chooses where boxes are; `cai ls` says it."""
    with fleet.timed("a second server joins"):
        fleet.join()
    # Its address, too: the first may be away.
    fleet.site.cai("remote", "add", PLACE)
    shown = fleet.site.cai("remote", "show", PLACE).stdout.decode()
    assert fleet.two.address in shown
    assert "member two" in shown
    for name in ("second", "third"):
        with fleet.timed(f"a new box of the cluster, {name}"):
            assert run(fleet, spaces[name], "cat name") == name
    placed = {name: fleet.node_of(space) for name, space in spaces.items()}
    fleet.note(f"placed by Incus: {placed}")
    assert set(placed.values()) == {"one", "two"}
    assert placed["second"] == "two"
    with fleet.timed("cai ls, three boxes on two nodes"):
        table = fleet.site.cai("ls").stdout.decode()
    assert f"{PLACE}/one" in table
    assert f"{PLACE}/two" in table


def test_a_box_moves_with_all_that_it_has(fleet: Fleet, spaces: dict[str, Space]) -> None:
    """Work, data, images and volumes of its Docker go along; ids are its own there."""
    first, second = spaces["first"], spaces["second"]
    run(fleet, second, FILL)
    before = run(fleet, second, SEEN)
    # Each node has given its first box the first ids.
    assert first.id_range() == second.id_range()
    with fleet.timed("a box that runs is moved, until it is entered"):
        fleet.move(second, "one")
    assert fleet.node_of(second) == "one"
    assert run(fleet, second, SEEN) == before
    assert fleet.ssh(second, "cat ~/note") == "mine"
    assert first.id_range() != second.id_range()
    for node, says in (("three", "has no node 'three'"), ("one", "is on one already")):
        done = fleet.move(second, node, check=False)
        assert says in "".join(refused(done, NotThereError))
    assert run(fleet, second, SEEN) == before


def test_ids_of_a_box_that_was_moved_past_us(fleet: Fleet, spaces: dict[str, Space]) -> None:
    """An administrator moves boxes as well: what they start gets ids that nobody has there."""
    third = spaces["third"]
    fleet.site.cai("stop", third.path)
    moves = ("two", "one") if fleet.node_of(third) == "one" else ("one",)
    if len(moves) == 2:
        fleet.move(third, "two")
    fleet.incus("move", third.box, "--target", moves[-1])
    fleet.site.cai("start", third.path)
    every = [space.id_range()[0] for space in spaces.values()]
    assert len(set(every)) == len(every)
    assert {fleet.node_of(space) for space in spaces.values()} == {"one"}
    found = fleet.site.cai("remote", "doctor", PLACE, check=False).stdout.decode().splitlines()
    (ids,) = (line for line in found if "ids of boxes" in line)
    assert ids.startswith("ok ")
    fleet.move(third, "two")
    run(fleet, third, "echo there >~/there; sync")


def test_a_node_that_is_switched_off(fleet: Fleet, spaces: dict[str, Space]) -> None:
    """Its boxes are said to be away, and clearly so by whoever wants one; others go on."""
    first, third = spaces["first"], spaces["third"]
    fleet.two.switch_off()
    begun = time.monotonic()
    with fleet.timed("cai ls, just after a node was switched off"):
        fleet.site.cai("ls")
    fleet.becomes(third, "broken")
    fleet.note(f"a node is noticed to be away after: {time.monotonic() - begun:.1f} s")
    with fleet.timed("cai ls, a node off"):
        listed = fleet.site.cai("ls")
    assert f"{third.box}: its node two is away" in text(listed)
    assert f"{PLACE}/two" in listed.stdout.decode()
    assert run(fleet, first, "cat ~/kept") == "kept"
    third.close_connection()
    for words in (
        ("run", third.path, "--", "true"),
        ("stop", third.path),
        ("rm", "--yes", third.path),
        ("logs", third.path),
        ("move", third.box, "--to", "one", "--yes"),
    ):
        with fleet.timed(f"cai {words[0]} of its box, refused"):
            done = fleet.site.cai(*words, check=False)
        assert "its node two is away" in "".join(refused(done, BoxStartError)), words
    done = fleet.move(first, "two", check=False)
    assert "no box can go to two" in "".join(refused(done, NotThereError))


def test_it_comes_back_with_its_boxes(fleet: Fleet, spaces: dict[str, Space]) -> None:
    """Switched on again, a node has its boxes as they were: what ran runs."""
    third = spaces["third"]
    with fleet.timed("a node is switched on, until its box runs"):
        fleet.two.switch_on()
        fleet.becomes(third, "running")
    assert run(fleet, third, "cat ~/there") == "there"
    assert fleet.node_of(third) == "two"


def test_nothing_is_left(fleet: Fleet, spaces: dict[str, Space]) -> None:
    """Boxes go without a trace on servers and client; the servers, without one on this machine."""
    for space in spaces.values():
        fleet.site.cai("rm", "--yes", space.path)
    assert fleet.incus("list", "--format", "csv", "--columns", "n") == ""
    assert fleet.boxes() == {}
    assert fleet.end() == []
