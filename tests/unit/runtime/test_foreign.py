import pytest

from containai.layout import Layout
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
    first, count = Layout("/", "/root", 0).id_window
    assert first > 0x6FFFFFFF  # systemd-nspawn
    assert first > 2_000_200_000  # SSSD, FreeIPA
    assert first + count <= 0x7FFE0000  # systemd's foreign ids
    assert (first % SIZE, count // SIZE) == (0, 559)


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
