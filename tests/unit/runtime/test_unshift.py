"""Trees that a Sysbox which was killed left half shifted: made as its box makes them."""

import os
import socket
import stat
import struct

import pytest

from containai.runtime import owners, unshift

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs root")

FIRST = 2147221504
TWICE = 2 * FIRST
#: Taken off what had not been added to.
BELOW = (1 << 32) - FIRST
#: cap_net_raw, for any root; and for a user namespace whose root follows.
PLAIN = bytes.fromhex("0100000200200000000000000000000000000000")
OWN = bytes.fromhex("0100000300200000000000000000000000000000")
RULES = unshift.Rules(unshift.rule(FIRST), unshift.rule(FIRST))
OUTSIDE = 1000


def access_list(user):
    entries = ((0x01, 6, 0xFFFFFFFF), (0x02, 4, user), (0x04, 4, 0xFFFFFFFF), (0x08, 4, 7))
    more = ((0x10, 4, 0xFFFFFFFF), (0x20, 0, 0xFFFFFFFF))
    packed = b"".join(struct.pack("<HHI", *entry) for entry in (*entries, *more))
    return struct.pack("<I", 2) + packed


@pytest.fixture
def tree(tmp_path):
    """Return what a box wrote, of which a part was shifted, a part twice, a part too low."""
    top = tmp_path / "upper"
    (top / "d" / "e").mkdir(parents=True)
    for name in ("d/e/f", "plain", "suid", "sgid", "caps", "own-caps", "listed"):
        (top / name).write_text(name, encoding="utf-8")
    (tmp_path / "outside").touch()
    os.chown(tmp_path / "outside", OUTSIDE, OUTSIDE)
    (top / "link").symlink_to(tmp_path / "outside")
    (top / "loop").symlink_to("loop")
    os.link(top / "suid", top / "d" / "hard")
    os.mkfifo(top / "fifo")
    os.mknod(top / "gone", stat.S_IFCHR | 0o000, os.makedev(0, 0))
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(top / "socket"))
    for hostile in ("a\nb", "\x1b[2J", "-rf", os.fsdecode(b"\xff\xfe")):
        (top / hostile).touch()
        os.chown(top / hostile, FIRST, FIRST)
    for name in (".", "d", "d/e/f", "link", "loop", "fifo", "gone", "socket", "suid"):
        os.lchown(top / name, FIRST, FIRST + 7)
    os.chown(top / "sgid", TWICE + 1000, TWICE + 65535)
    os.chown(top / "caps", BELOW, BELOW + 5)
    os.chown(top / "own-caps", FIRST + 12, 12)
    os.chmod(top / "suid", 0o6711)
    os.chmod(top / "sgid", 0o2755)
    os.setxattr(top / "caps", owners.CAPABILITIES, PLAIN)
    os.setxattr(top / "own-caps", owners.CAPABILITIES, OWN + FIRST.to_bytes(4, "little"))
    os.setxattr(top / "listed", "system.posix_acl_access", access_list(FIRST + 33))
    os.setxattr(top / "d" / "e", "system.posix_acl_default", access_list(FIRST + 33))
    return top


def ids(path):
    seen = os.lstat(path)
    return seen.st_uid, seen.st_gid


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def is_right(top):
    for name in (".", "d", "d/e/f", "link", "loop", "fifo", "gone", "socket", "suid", "d/hard"):
        assert ids(top / name) == (0, 7), name
    assert ids(top / "sgid") == (1000, 65535)
    assert ids(top / "caps") == (0, 5)
    assert ids(top / "own-caps") == (12, 12)
    for hostile in ("a\nb", "\x1b[2J", "-rf", os.fsdecode(b"\xff\xfe")):
        assert ids(top / hostile) == (0, 0)
    assert mode(top / "suid") == 0o6711
    assert mode(top / "sgid") == 0o2755
    assert os.getxattr(top / "caps", owners.CAPABILITIES) == PLAIN
    assert os.getxattr(top / "own-caps", owners.CAPABILITIES) in (OWN + bytes(4), PLAIN)
    assert os.getxattr(top / "listed", "system.posix_acl_access") == access_list(33)
    assert os.getxattr(top / "d" / "e", "system.posix_acl_default") == access_list(33)
    assert ids(top.parent / "outside") == (OUTSIDE, OUTSIDE)
    assert not [
        name
        for parent, _, names in os.walk(top)
        for name in names
        if not os.path.islink(f"{parent}/{name}")
        and unshift.KEPT in os.listxattr(f"{parent}/{name}")
    ]


def test_all_of_it_is_put_right_once(tree):
    assert unshift.unshift(str(tree), RULES, act=False) == (1, ())
    assert ids(tree / "d/e/f") == (FIRST, FIRST + 7)
    done = unshift.unshift(str(tree), RULES, act=True)
    assert done.problems == ()
    is_right(tree)
    assert unshift.unshift(str(tree), RULES, act=False) == (0, ())
    assert unshift.unshift(str(tree), RULES, act=True) == (0, ())


class KilledError(BaseException):
    pass


def test_killed_anywhere_it_ends_right(tree, monkeypatch):
    """Each call that changes something is the last one of a run, once, before or after it acts."""
    kills = 0
    allowed = [0]

    def killing(call):
        def called(*words, **options):
            if allowed[0] == 0:
                raise KilledError
            allowed[0] -= 1
            call(*words, **options)

        return called

    for name in ("chown", "chmod", "setxattr", "removexattr"):
        monkeypatch.setattr(os, name, killing(getattr(os, name)))
    # One more call in every run, so that each of them is interrupted somewhere else.
    for number in range(200):
        allowed[0] = number % 3
        try:
            unshift.unshift(str(tree), RULES, act=True)
            break
        except KilledError:
            kills += 1
    assert kills > 20
    monkeypatch.undo()
    assert unshift.unshift(str(tree), RULES, act=True).problems == ()
    is_right(tree)


def test_what_is_interrupted_between_owner_and_mode_is_found_again(tree, monkeypatch):
    def killed(*_):
        raise KilledError

    monkeypatch.setattr(os, "chmod", killed)
    for name in os.listdir(tree):
        if name not in ("suid", "sgid", "d"):
            (tree / name).unlink()
    with pytest.raises(KilledError):
        unshift.unshift(str(tree), RULES, act=True)
    with pytest.raises(KilledError):
        unshift.unshift(str(tree), RULES, act=True)
    monkeypatch.undo()
    assert unshift.unshift(str(tree), RULES, act=False).changed == 1
    unshift.unshift(str(tree), RULES, act=True)
    assert (mode(tree / "suid"), mode(tree / "sgid")) == (0o6711, 0o2755)


def naive(top):
    """Put right what has ids of the range, by its path."""
    for parent, directories, names in os.walk(top):
        for name in (*directories, *names):
            path = os.path.join(parent, name)
            seen = os.lstat(path)
            if min(seen.st_uid, seen.st_gid) >= FIRST:
                os.chown(path, seen.st_uid - FIRST, seen.st_gid - FIRST)


def test_a_link_gives_the_box_no_file_of_the_host(tree):
    """The box leaves a link to a file of the host's, with an id that it would like to have."""
    (tree / "loop").unlink()
    os.lchown(tree / "link", FIRST + 33, FIRST + 33)
    naive(tree)
    assert ids(tree.parent / "outside") == (33, 33)
    os.chown(tree.parent / "outside", OUTSIDE, OUTSIDE)
    unshift.unshift(str(tree), RULES, act=True)
    assert ids(tree.parent / "outside") == (OUTSIDE, OUTSIDE)
    assert ids(tree / "link") == (33, 33)


def test_a_name_that_is_a_link_meanwhile_is_not_followed(tree, monkeypatch):
    """What is looked at is what is changed, whatever has its name by then."""
    look = os.listxattr

    def swap(path):
        if os.readlink(path).endswith("/plain") and not (tree / "plain").is_symlink():
            (tree / "plain").rename(tree / "moved")
            (tree / "plain").symlink_to(tree.parent / "outside")
        return look(path)

    os.chmod(tree / "plain", 0o4755)
    os.chown(tree.parent / "outside", FIRST, FIRST)
    os.chown(tree / "plain", 5, 5)
    os.setxattr(tree / "plain", unshift.KEPT, b"4755 ")
    monkeypatch.setattr(os, "listxattr", swap)
    unshift.unshift(str(tree), RULES, act=True)
    assert ids(tree.parent / "outside") == (FIRST, FIRST)
    assert mode(tree / "moved") == 0o4755


def test_a_path_through_a_link_is_refused(tree):
    (tree.parent / "elsewhere").symlink_to(tree)
    with pytest.raises(OSError, match="symbolic links"):
        unshift.unshift(f"{tree.parent}/elsewhere", RULES, act=True)
    assert ids(tree) == (FIRST, FIRST + 7)


@pytest.mark.parametrize("said", [b"", b"nonsense", b"99999999 zz", b"-1 "])
def test_a_note_that_is_none_is_no_harm(tree, said):
    os.setxattr(tree / "suid", unshift.KEPT, said)
    unshift.unshift(str(tree), RULES, act=True)
    assert mode(tree / "suid") in (0o6711, 0o7777)
    assert unshift.unshift(str(tree), RULES, act=False) == (0, ())


def test_a_container_that_has_more_ids_keeps_them():
    low = 165_536
    assert [unshift.rule(low)(number) for number in (low, low + 65535, 0, 1000)] == [
        0, 65535, 0, 1000,
    ]  # fmt: skip
    wide = unshift.rule(low, wide=True)
    assert [wide(number) for number in (low, low + 65535)] == [low, low + 65535]
    assert wide(2 * low) == 0
    assert [unshift.rule(FIRST, wide=True)(FIRST + n) for n in (0, 1000)] == [0, 1000]


def test_the_windows_do_not_overlap():
    belongs = unshift.rule(FIRST)
    for begin in (FIRST, TWICE, BELOW):
        assert [belongs(begin + n) for n in (-1, 0, 65535, 65536)] == [
            begin - 1, 0, 65535, begin + 65536,
        ]  # fmt: skip
