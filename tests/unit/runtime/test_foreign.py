import itertools

import pytest

from containai.layout import Layout
from containai.runtime.errors import RuntimeRefusal
from containai.runtime.ranges import SIZE, Ranges, foreign

FIRST = 0x70000000


@pytest.fixture
def root(tmp_path):
    etc = tmp_path / "root" / "etc"
    etc.mkdir(parents=True)
    (etc / "subuid").write_text(
        f"alice:100000:65536\nbob:{FIRST}:65536\nbroken\nbad:x:1\n", encoding="utf-8"
    )
    (etc / "subgid").write_text(f"alice:{FIRST + SIZE - 1}:2\n", encoding="utf-8")
    (etc / "passwd").write_text(
        f"root:x:0:0:root:/root:/bin/sh\nldap:x:{FIRST + 2 * SIZE}:7::/:\n+::::::\n",
        encoding="utf-8",
    )
    (etc / "group").write_text(f"big:x:{FIRST + 4 * SIZE - 1}:\n", encoding="utf-8")
    return tmp_path / "root"


def test_foreign(root):
    assert sorted(foreign(str(root))) == [
        (0, 1),
        (0, 1),
        (7, 8),
        (100000, 165536),
        (FIRST, FIRST + 65536),
        (FIRST + SIZE - 1, FIRST + SIZE + 1),
        (FIRST + 2 * SIZE, FIRST + 2 * SIZE + 1),
        (FIRST + 4 * SIZE - 1, FIRST + 4 * SIZE),
    ]


def test_the_machines_window_is_nobodys():
    layout = Layout("/", "/root", 0)
    first, count = layout.id_window
    assert first > 0x6FFFFFFF  # systemd-nspawn
    assert first > 2_000_200_000  # SSSD, FreeIPA
    assert (first % SIZE, count // SIZE) == (0, 558)
    assert layout.stored_ids == (first + count, SIZE)
    assert sum(layout.stored_ids) <= 0x7FFC0000  # Sysbox
    assert 0x7FFC0000 <= 0x7FFE0000  # systemd's foreign ids


def test_another_roots_ids_are_another_machines():
    roots = [Layout(f"/tmp/{number}", "/root", 0) for number in range(500)]
    windows = {(*each.id_window, *each.stored_ids) for each in roots}
    assert len(windows) == 64
    spans = sorted((first, first + count + SIZE) for first, count, _, _ in windows)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))


def test_a_stored_id_that_the_host_has_given_away_starts_nothing(tmp_path, monkeypatch):
    hosts = []
    monkeypatch.setattr("containai.runtime.ranges.foreign", lambda: list(hosts))
    store = Ranges(str(tmp_path / "state"), FIRST, 2 * SIZE, FIRST + 2 * SIZE)
    store.allocate("a", str(tmp_path), "")
    hosts.append((FIRST + 3 * SIZE - 1, FIRST + 3 * SIZE))
    with pytest.raises(RuntimeRefusal, match="given to users of this host"):
        store.allocate("a", str(tmp_path), "")


def test_a_range_of_an_older_version_where_the_stored_ids_are_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr("containai.runtime.ranges.foreign", list)
    state = str(tmp_path / "state")
    old = Ranges(state, FIRST, 2 * SIZE)
    assert [old.allocate(name, str(tmp_path), "").base for name in "ab"] == [FIRST, FIRST + SIZE]
    old.release("a")
    new = Ranges(state, FIRST, SIZE, FIRST + SIZE).allocate("b", str(tmp_path), "")
    assert (new.base, new.stored) == (FIRST, FIRST + SIZE)


def test_an_id_of_the_host_that_came_later_takes_the_range(tmp_path, monkeypatch):
    hosts = []
    monkeypatch.setattr("containai.runtime.ranges.foreign", lambda: hosts)
    store = Ranges(str(tmp_path / "state"), FIRST, 3 * SIZE)
    for name in "ab":
        store.allocate(name, str(tmp_path), "")
    hosts.append((FIRST + 7, FIRST + 8))
    assert store.allocate("b", str(tmp_path), "").base == FIRST + SIZE
    assert store.allocate("a", str(tmp_path), "").base == FIRST + 2 * SIZE
    assert store.get("a").base == FIRST + 2 * SIZE


def test_missing_files_take_nothing(tmp_path):
    assert foreign(str(tmp_path)) == []


def test_ranges_avoid_ids_of_the_host(root, tmp_path, monkeypatch):
    taken = foreign(str(root))
    monkeypatch.setattr("containai.runtime.ranges.foreign", lambda: taken)
    store = Ranges(str(tmp_path / "state"), FIRST, 8 * SIZE)
    bases = [store.allocate(name, str(tmp_path), "").base for name in "abcd"]
    assert bases == [FIRST + index * SIZE for index in (4, 5, 6, 7)]
