import contextlib
import errno
import json
import multiprocessing
import os
import subprocess

import pytest

from containai.runtime import ranges
from containai.runtime.errors import RuntimeRefusal
from containai.runtime.ranges import SIZE, Range, Ranges

FIRST = 0x70000000


@pytest.fixture(autouse=True)
def nobody_else(monkeypatch):
    monkeypatch.setattr(ranges, "foreign", list)


@pytest.fixture
def state(tmp_path):
    return str(tmp_path / "state")


@pytest.fixture
def witness(tmp_path):
    def make(name):
        (tmp_path / name).mkdir(exist_ok=True)
        return str(tmp_path / name)

    return make


def test_allocate(state, witness):
    store = Ranges(state, FIRST, 4 * SIZE)
    first = store.allocate("a", witness("a"), "/cg")
    assert first == Range("a", FIRST, witness("a"), "/cg")
    assert store.allocate("b", witness("b"), "").base == FIRST + SIZE
    assert store.get("a") == first
    assert store.get("c") is None


def test_same_container_same_base(state, witness):
    store = Ranges(state, FIRST, 4 * SIZE)
    store.allocate("a", witness("a"), "")
    second = store.allocate("b", witness("b"), "")
    assert Ranges(state, FIRST, 4 * SIZE).allocate("b", witness("b"), "") == second


def test_what_a_first_version_stored_moves_unless_it_is_anothers(state, witness):
    old = Ranges(state, FIRST, 4 * SIZE)
    mine, other = old.allocate("a", witness("a"), ""), old.allocate("b", witness("b"), "")
    store = Ranges(state, FIRST, 4 * SIZE, FIRST + 4 * SIZE)
    assert store.allocate("a", witness("a"), "") == mine
    stored = store.stored
    rule = store.moved(mine)
    assert [rule(mine.base + inside) for inside in (0, 999, SIZE - 1)] == [
        stored,
        stored + 999,
        stored + SIZE - 1,
    ]
    assert rule(FIRST + 3 * SIZE + 5) == stored + 5  # of a container that has gone
    for kept in (0, 1000, FIRST - 1, other.base, other.base + 7, stored, stored + SIZE):
        assert rule(kept) == kept
    assert store.moved()(mine.base) == mine.base
    store.settle(mine)
    assert store.get("a") == mine._replace(stored=stored)
    assert store.get("b").stored == 0


def test_range_is_free_when_its_witness_is_gone(state, witness):
    store = Ranges(state, FIRST, 4 * SIZE)
    store.allocate("a", witness("a"), "")
    kept = store.allocate("b", witness("b"), "")
    os.rmdir(witness("a"))
    assert store.prune() == [kept]
    assert store.get("a") is None
    assert store.allocate("c", witness("c"), "").base == FIRST


def test_witness_may_be_a_dangling_link(state, tmp_path):
    os.symlink(tmp_path / "gone", tmp_path / "link")
    store = Ranges(state, FIRST, SIZE)
    store.allocate("a", str(tmp_path / "link"), "")
    assert len(store.prune()) == 1


def test_exhaustion(state, witness):
    store = Ranges(state, FIRST, 2 * SIZE + 5)
    store.allocate("a", witness("a"), "")
    store.allocate("b", witness("b"), "")
    with pytest.raises(RuntimeRefusal, match="all 2 id ranges"):
        store.allocate("c", witness("c"), "")
    os.rmdir(witness("b"))
    assert store.allocate("c", witness("c"), "").base == FIRST + SIZE


DAMAGED = [
    "",
    "{",
    "{}",
    "[]",
    "3",
    '{"base": "x", "witness": "", "cgroup": ""}',
    "\0",
    "[" * 99999,
]


def damage(state, name, text):
    path = os.path.join(state, "ranges", name + ".json")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_record_keeps_nobody_from_starting(state, witness, text):
    store = Ranges(state, FIRST, 4 * SIZE)
    store.allocate("a", witness("a"), "")
    store.allocate("b", witness("b"), "")
    damage(state, "a", text)
    assert store.get("a") is None
    assert store.allocate("b", witness("b"), "").base == FIRST + SIZE
    # No living process has its range: the record is gone, and what it stood for free.
    assert [each.container for each in store.prune()] == ["b"]
    assert store.allocate("a", witness("a"), "").base == FIRST


@pytest.mark.skipif(os.geteuid() != 0, reason="maps ids")
def test_a_damaged_record_does_not_free_what_a_process_has(state, witness):
    store = Ranges(state, FIRST, 4 * SIZE)
    store.allocate("a", witness("a"), "")
    damage(state, "a", "")
    with process_in(FIRST):
        assert (FIRST, FIRST + SIZE) in ranges.living()
        assert store.allocate("b", witness("b"), "").base == FIRST + SIZE
        assert store.allocate("a", witness("a"), "").base == FIRST + 2 * SIZE
        damage(state, "a", "{")
        assert store.allocate("c", witness("c"), "").base == FIRST + 2 * SIZE
    assert [each.container for each in store.prune()] == ["b", "c"]


@contextlib.contextmanager
def process_in(base):
    """Run a process in a user namespace whose ids begin at `base` of the host."""
    sleeper = subprocess.Popen(
        ["unshare", "--user", "sh", "-c", "echo; exec sleep 60"], stdout=subprocess.PIPE
    )
    try:
        sleeper.stdout.readline()
        for name in ("uid_map", "gid_map"):
            with open(f"/proc/{sleeper.pid}/{name}", "w", encoding="ascii") as file:
                file.write(f"0 {base} {SIZE}")
        yield
    finally:
        sleeper.kill()
        sleeper.communicate()


def test_release(state, witness):
    store = Ranges(state, FIRST, 4 * SIZE)
    store.allocate("a", witness("a"), "")
    store.release("a")
    store.release("a")
    assert store.prune() == []


def test_leftover_of_a_write_is_removed(state, witness):
    store = Ranges(state, FIRST, 4 * SIZE)
    store.prune()
    left = os.path.join(state, "ranges", "a.json.new")
    with open(left, "w", encoding="utf-8"):
        pass
    assert store.allocate("a", witness("a"), "").base == FIRST
    assert os.listdir(os.path.dirname(left)) == ["a.json"]


def test_state_is_private(state, witness):
    Ranges(state, FIRST, SIZE).allocate("a", witness("a"), "")
    assert os.stat(os.path.join(state, "ranges")).st_mode & 0o077 == 0
    assert os.stat(os.path.join(state, "ranges.lock")).st_mode & 0o077 == 0


def _allocate(state, witness, worker):
    store = Ranges(state, FIRST, 64 * SIZE)
    for number in range(4):
        store.allocate(f"{worker}-{number}", witness, "")


def test_processes_never_overlap(state, witness):
    context = multiprocessing.get_context("fork")
    workers = [
        context.Process(target=_allocate, args=(state, witness("w"), each)) for each in range(8)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    bases = [each.base for each in Ranges(state, FIRST, 64 * SIZE).prune()]
    assert bases == [FIRST + index * SIZE for index in range(32)]


def test_choose():
    assert ranges.choose(100, 3 * SIZE, []) == 100
    assert ranges.choose(100, 3 * SIZE, [(0, 100)]) == 100
    assert ranges.choose(100, 3 * SIZE, [(0, 101)]) == 100 + SIZE
    assert ranges.choose(100, 3 * SIZE, [(99 + SIZE, 100 + SIZE)]) == 100 + SIZE
    assert ranges.choose(100, 3 * SIZE, [(0, 100 + SIZE + 1)]) == 100 + 2 * SIZE
    with pytest.raises(RuntimeRefusal):
        ranges.choose(100, 3 * SIZE, [(0, 1 << 32)])
    with pytest.raises(RuntimeRefusal):
        ranges.choose(100, SIZE - 1, [])


def test_stored_form(state, witness):
    Ranges(state, FIRST, SIZE, FIRST + SIZE).allocate("a", witness("a"), "/cg")
    with open(os.path.join(state, "ranges", "a.json"), encoding="utf-8") as file:
        assert json.load(file) == {
            "base": FIRST,
            "witness": witness("a"),
            "cgroup": "/cg",
            "stored": FIRST + SIZE,
        }


@pytest.mark.parametrize("group", ["unreadable", "with\0null"])
def test_a_record_whose_cgroups_cannot_be_looked_at_hurts_only_itself(
    state, witness, monkeypatch, group
):
    store = Ranges(state, FIRST, 4 * SIZE)
    bad = store.allocate("bad", witness("bad"), group)
    store.allocate("gone", witness("gone"), "")
    for name in ("bad", "gone"):
        os.rmdir(witness(name))

    def is_used(path):
        if path == "unreadable":
            raise OSError(errno.E2BIG, "more cgroups than a container can have")
        return group == path and bool(os.stat(path))

    monkeypatch.setattr(ranges.cgroup, "is_used", is_used)
    assert store.prune() == [bad]
    assert store.allocate("next", witness("next"), "").base == FIRST + SIZE
