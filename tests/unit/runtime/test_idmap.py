import array
import fcntl
import itertools
import os

import pytest

from containai.runtime import idmap
from containai.runtime.idmap import AGENT, owned, shifted

BASE, SIZE, STORED = 0x70000000, 262144, 0x7FF80000
NS_GET_OWNER_UID = 0xB704  # ioctl_nsfs(2)


def check_partition(extents, *, start):
    """Assert that what the kernel sees is the whole range, each id once."""
    at = start
    for each in sorted(extents, key=lambda extent: extent.seen):
        assert each.length > 0
        assert each.seen == at
        at += each.length
    assert at == start + SIZE


def check_disjoint(extents):
    spans = sorted((each.stored, each.stored + each.length) for each in extents)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))


def seen(extents, stored):
    for each in extents:
        if each.stored <= stored < each.stored + each.length:
            return each.seen + stored - each.stored
    return None


def test_shifted_covers_the_range():
    mapping = shifted(BASE, SIZE)
    for extents in mapping:
        check_partition(extents, start=BASE)
        check_disjoint(extents)
        assert seen(extents, 0) == BASE
        assert seen(extents, SIZE - 1) == BASE + SIZE - 1
        assert seen(extents, SIZE) is None


@pytest.mark.parametrize(
    "owner", [0, 999, 1000, 1001, 1234, 65534, 4000000, BASE, STORED - 1, STORED + SIZE]
)
def test_owned_covers_the_range(owner):
    for extents in owned(owner, owner, BASE, SIZE, STORED):
        check_partition(extents, start=BASE)
        check_disjoint(extents)
        assert seen(extents, owner) == BASE + AGENT
        for inside in (0, 999, 1001, SIZE - 1):
            assert seen(extents, STORED + inside) == BASE + inside


@pytest.mark.parametrize("owner", [1000, 1234, 4000000])
def test_other_ids_of_the_host_are_unmapped(owner):
    for extents in owned(owner, owner, BASE, SIZE, STORED):
        others = {0, 1, 999, 1000, 1001, 65534, BASE, BASE + AGENT, STORED - 1, STORED + SIZE}
        for other in others - {owner}:
            assert seen(extents, other) is None


@pytest.mark.parametrize("inside", [0, 1, 999, 1000, SIZE - 1])
def test_a_tree_that_a_box_made_has_the_owners_that_it_had_in_there(inside):
    mapping = owned(STORED + inside, 1234, BASE, SIZE, STORED)
    assert mapping.uids == (idmap.Extent(STORED, BASE, SIZE),)
    assert seen(mapping.gids, 1234) == BASE + AGENT


def test_user_and_group_may_differ():
    mapping = owned(1000, 100, BASE, SIZE, STORED)
    assert seen(mapping.uids, 1000) == seen(mapping.gids, 100) == BASE + AGENT
    assert seen(mapping.gids, 1000) is None


def test_text():
    assert idmap.text(shifted(7, 9).uids) == "0 7 9\n"
    lines = idmap.text(owned(5, 5, BASE, SIZE, STORED).uids).splitlines()
    assert len(lines) == 3
    assert lines[0] == f"5 {BASE + AGENT} 1"


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_a_user_namespace_that_cannot_be_made_says_why(tmp_path):
    # In a chroot the kernel gives none (unshare(2)). In a child, as there is no way back.
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.chroot(tmp_path)
            idmap.user_namespace(idmap.shifted(1 << 20, 65536), 1 << 20)
        except OSError as refused:
            os.write(write, str(refused).encode())
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read) as said:
        assert said.read() == (
            "a user namespace could not be made: this is a chroot, or something forbids it "
            "(unshare(2))"
        )


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_a_user_namespace_belongs_to_its_own_first_id():
    fd = idmap.user_namespace(shifted(BASE, SIZE), BASE)
    try:
        owner = array.array("I", [0])
        fcntl.ioctl(fd, NS_GET_OWNER_UID, owner)
        assert owner[0] == BASE
    finally:
        os.close(fd)
