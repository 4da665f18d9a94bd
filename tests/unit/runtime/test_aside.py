"""What Sysbox is not to read is aside while it reads, and back then, whatever was interrupted."""

import os
import stat

import pytest

from containai.runtime import aside, syscalls
from containai.runtime.errors import RuntimeRefusal

DAEMON, K3S = "etc/docker/daemon.json", "etc/rancher/k3s/config.yaml"


@pytest.fixture(autouse=True)
def own_files(monkeypatch):
    """Only root can be somebody else, which files of ours do not need."""
    monkeypatch.setattr(syscalls, "set_fs_ids", lambda *_: None)


def make(root, path, text=None):
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if text is None:
        os.mkfifo(target)
    elif text.startswith("-> "):
        target.symlink_to(text[3:])
    else:
        target.write_text(text, encoding="utf-8")


def tree(root):
    files = (path for path in root.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(str(path.relative_to(root)) for path in files)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {DAEMON: '{"data": 1}'},
        {DAEMON: '{"features": {}}', K3S: "debug: true\n"},
        {"etc/docker": "no directory"},
        # A word of another file's.
        {DAEMON: "data-dir"},
    ],
)
def test_what_is_plain_stays(tmp_path, files):
    for path, text in files.items():
        make(tmp_path, path, text)
    before = tree(tmp_path)
    assert not aside.put(str(tmp_path))
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("files", "moved"),
    [
        ({DAEMON: '{\n"data-root": "/x"\n}\n'}, [DAEMON]),
        ({DAEMON: "x" * ((1 << 20) + 1)}, [DAEMON]),
        ({DAEMON: "-> /dev/watchdog"}, [DAEMON]),
        ({DAEMON: "-> nowhere"}, [DAEMON]),
        ({DAEMON: None}, [DAEMON]),
        ({"etc/docker": "-> /etc/docker"}, ["etc/docker"]),
        ({"etc/rancher": "-> /"}, ["etc/rancher"]),
        ({"etc": "-> /etc"}, ["etc"]),
        ({K3S: "data-dir: /x\n", DAEMON: "-> /"}, [DAEMON, K3S]),
        ({"etc/rancher/rke2/config.yaml": "# data-dir: /\n"}, ["etc/rancher/rke2/config.yaml"]),
    ],
)
def test_what_would_be_followed_or_obeyed_is_aside_until_it_is_back(tmp_path, files, moved):
    for path, text in files.items():
        make(tmp_path, path, text)
    before = tree(tmp_path)
    assert aside.put(str(tmp_path))
    assert [path for path in tree(tmp_path) if path.endswith(aside.SUFFIX)] == [
        path + aside.SUFFIX for path in sorted(moved)
    ]
    assert not any(os.path.lexists(tmp_path / path) for path in moved)
    # The start was interrupted: the next one finds the same.
    assert aside.put(str(tmp_path))
    aside.back(str(tmp_path))
    assert tree(tmp_path) == before
    aside.back(str(tmp_path))
    assert tree(tmp_path) == before


def test_what_has_the_name_by_now_keeps_it(tmp_path):
    make(tmp_path, DAEMON, "-> /dev/watchdog")
    aside.put(str(tmp_path))
    make(tmp_path, DAEMON, "new")
    aside.back(str(tmp_path))
    assert (tmp_path / DAEMON).read_text("utf-8") == "new"


def test_what_is_in_the_way_refuses_the_start(tmp_path):
    make(tmp_path, DAEMON, "-> /dev/watchdog")
    make(tmp_path, DAEMON + aside.SUFFIX, "decoy")
    with pytest.raises(RuntimeRefusal, match=r"daemon\.json, which cannot be put aside"):
        aside.put(str(tmp_path))
    assert stat.S_ISLNK(os.lstat(tmp_path / DAEMON).st_mode)
