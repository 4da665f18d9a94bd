import os

import pytest

from containai.host import cgroups, files

ID = "a" * 64


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.setattr(cgroups, "ROOT", str(tmp_path))
    said = {}

    def make(cgroup, **named):
        said["cgroup"] = cgroup
        for path, text in named.items():
            where = tmp_path / path.replace("__", "/").replace("ID", ID)
            where.parent.mkdir(parents=True, exist_ok=True)
            where.write_text(text)

    real = files.read
    monkeypatch.setattr(
        files, "read", lambda path: said["cgroup"] if path == "/proc/7/cgroup" else real(path)
    )
    return lambda cgroup, named: make(cgroup, **named)


V2 = {
    "system.slice__docker-ID.scope__memory.current": "1000\n",
    "system.slice__docker-ID.scope__memory.stat": "anon 5\ninactive_file 300\n",
    "system.slice__docker-ID.scope__memory.events": "oom 3\noom_kill 2\n",
    "system.slice__docker-ID.scope__cpu.stat": "usage_usec 1500000\nuser_usec 1\n",
    "system.slice__docker-ID.scope__pids.current": "12\n",
}
V1 = {
    "memory__docker__ID__memory.usage_in_bytes": "1000\n",
    "memory__docker__ID__memory.stat": "inactive_file 1\ntotal_inactive_file 300\n",
    "memory__docker__ID__memory.oom_control": "under_oom 0\noom_kill 2\n",
    "cpuacct__docker__ID__cpuacct.usage": "1500000000\n",
    "pids__docker__ID__pids.current": "12\n",
    "unified__docker__ID__cpu.stat": "usage_usec 9\n",
}


@pytest.mark.parametrize(
    ("cgroup", "named"),
    [
        (f"0::/system.slice/docker-{ID}.scope/init.scope\n", V2),
        (
            f"9:pids:/docker/{ID}\n4:memory:/docker/{ID}\n2:cpuacct,cpu:/docker/{ID}\n"
            f"1:name=systemd:/\n0::/docker/{ID}/init.scope\n",
            V1,
        ),
    ],
)
def test_what_is_counted(tree, cgroup, named):
    tree(cgroup, named)
    seen = cgroups.read(7, ID)
    assert seen is not None
    assert seen[1:] == (700, 1.5, 12, 2)


def test_what_cannot_be_read_is_not_known(tree):
    tree(f"0::/docker/{ID}\n", {"docker__ID__memory.current": "x\n"})
    seen = cgroups.read(7, ID)
    assert seen is not None
    assert seen[1:] == (None, None, None, None)


def test_what_has_ended():
    assert cgroups.read(0, ID) is None
    assert cgroups.read(os.getpid(), ID) is None
