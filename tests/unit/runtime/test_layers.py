"""Layers by whatever name: a real overlay, as the kernel shows it, and what lies beneath."""

import errno
import os
import subprocess
import sys

import pytest

from containai.runtime import create, idmap, ranges, sources, staging, syscalls
from containai.runtime.config import Config
from containai.runtime.errors import RuntimeRefusal

NAMES = [
    "plain",
    "a,b",
    "c:d",
    "e\\f",
    "g\nh",
    "sp ace",
    "oct\\040x",
    "tab\t",
    "\x0bvt\x85",
    "é",
    "#",
]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


def escaped(path):
    """Return a path as a value for overlay's options (Documentation/filesystems/overlayfs.rst)."""
    return "".join("\\" + c if c in "\\:," else c for c in path)


@pytest.fixture
def layers(tmp_path):
    for name in [*NAMES, "z,y:x\\w/up", "z,y:x\\w/work", "merged, \\:\n"]:
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def as_mounted(script, *words):
    """Run Python with mounts of its own, so that none is left; return its mountinfo."""
    script += "\nsys.stdout.buffer.write(open('/proc/self/mountinfo', 'rb').read())"
    argv = ["unshare", "--mount", sys.executable, "-c", "import ctypes, os, sys\n" + script, *words]
    done = subprocess.run(argv, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode(errors="surrogateescape")


MOUNT = """
from containai.runtime import syscalls
syscalls.mount("overlay", sys.argv[1], "overlay", 0, sys.argv[2])
"""
FSCONFIG = """
libc = ctypes.CDLL(None, use_errno=True)
def call(*words):
    found = libc.syscall(*words)
    if found < 0:
        sys.exit(os.strerror(ctypes.get_errno()))
    return found
fs = call(430, b"overlay", 0)
for word in sys.argv[2:]:
    key, _, value = word.partition("=")
    call(431, fs, 1, key.encode(), os.fsencode(value), 0)
call(431, fs, 6, None, None, 0)
call(429, call(432, fs, 0, 0), b"", -100, os.fsencode(sys.argv[1]), 4)
"""


def wanted(layers):
    lower = tuple(str(layers / name) for name in NAMES)
    return staging.Overlay(lower, f"{layers}/z,y:x\\w/up", f"{layers}/z,y:x\\w/work")


def test_names_in_the_options_of_mount(layers):
    merged, want = f"{layers}/merged, \\:\n", wanted(layers)
    options = "lowerdir={},upperdir={},workdir={}".format(
        ":".join(map(escaped, want.lower)), *map(escaped, want[1:])
    )
    assert staging.find_overlay(as_mounted(MOUNT, merged, options), merged) == want


def test_names_given_to_fsconfig(layers):
    merged, want = f"{layers}/merged, \\:\n", wanted(layers)
    words = [f"lowerdir+={path}" for path in want.lower]
    words += [f"upperdir={escaped(want.upper)}", f"workdir={escaped(want.work)}"]
    try:
        mountinfo = as_mounted(FSCONFIG, merged, *words)
    except AssertionError as failed:
        if os.strerror(errno.EINVAL) in str(failed):
            pytest.skip("lowerdir+ came with Linux 6.8")
        raise
    assert staging.find_overlay(mountinfo, merged) == want


@pytest.mark.parametrize("lower", ["/a::/b", "/a:"])
def test_data_only_layers_are_refused(lower):
    options = f"rw,lowerdir={lower},upperdir=/o/x/diff,workdir=/o/x/work"
    line = f"410 29 0:52 / /m rw - overlay overlay {options}\n"
    with pytest.raises(RuntimeRefusal, match="data-only"):
        staging.find_overlay(line, "/m")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("id/diff", True),
        ("l/SHORT", True),
        ("l/ABSOLUTE", False),
        ("l/OUT", False),
        ("../home/id", False),
        ("l/PROC", False),
    ],
)
def test_nothing_is_opened_outside_the_layers(tmp_path, path, found):
    home = tmp_path / "home"
    (home / "id" / "diff").mkdir(parents=True)
    (home / "l").mkdir()
    for name, target in (
        ("SHORT", "../id/diff"),
        ("ABSOLUTE", "/etc"),
        ("OUT", "../../../../etc"),
        ("PROC", "/proc/self/root"),
    ):
        (home / "l" / name).symlink_to(target)
    directory = os.open(home, os.O_PATH | os.O_CLOEXEC)
    try:
        if found:
            fd = syscalls.open_beneath(directory, path)
            assert os.path.samestat(os.fstat(fd), (home / "id" / "diff").stat())
            os.close(fd)
        else:
            with pytest.raises(OSError, match="openat2") as refused:
                syscalls.open_beneath(directory, path)
            assert refused.value.errno == errno.EXDEV
    finally:
        os.close(directory)


def test_a_null_byte_does_not_end_a_path(tmp_path):
    with pytest.raises(OSError, match="null byte"):
        syscalls.open_without_links(f"{tmp_path}\0/inner")


def test_whose_a_bind_source_is_goes_by_what_was_opened(tmp_path, monkeypatch):
    """An agent swaps a link to the engine's data for a directory before it is opened."""
    (tmp_path / "engine" / "_data").mkdir(parents=True)
    (tmp_path / "tree" / "real").mkdir(parents=True)
    os.chown(tmp_path / "tree" / "real", 1234, 1234)
    source = tmp_path / "tree" / "source"
    source.symlink_to(tmp_path / "engine" / "_data")
    mapped = []
    stage = staging.Stage.__new__(staging.Stage)
    stage.directory, stage._binds = str(tmp_path), 0

    def tree(fd, mapping, *, recursive, readonly):
        mapped.append(mapping)
        return os.dup(fd)

    monkeypatch.setattr(stage, "tree", tree)
    monkeypatch.setattr(staging.syscalls, "attach", lambda fd, target: None)
    opened = syscalls.open_without_links

    def swap_and_open(path):
        source.unlink()
        (tmp_path / "tree" / "real").rename(source)
        return opened(path)

    monkeypatch.setattr(staging.syscalls, "open_without_links", swap_and_open)
    engine = str(tmp_path / "engine")
    mountinfo = f"20 1 8:1 / / rw - ext4 /dev/x rw\n21 20 8:1 /e {engine} rw - ext4 /dev/x rw\n"
    base, size = 0x70000000, 262144
    config = Config("", "", base, size, engine, base + size, "")
    mine = ranges.Range("a", base, "", "", config.id_stored)
    place = create._place(stage, "/", sources.rule(config, mine, mountinfo), config)
    place({"source": str(source)})
    assert mapped == [idmap.owned(1234, 1234, base, size, base + size)]
    monkeypatch.setattr(staging.syscalls, "open_without_links", opened)
    place({"source": f"{engine}/_data"})
    assert mapped[1:] == [idmap.shifted(base, size)]
