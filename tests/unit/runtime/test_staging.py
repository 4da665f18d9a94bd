import pytest

from containai.runtime.staging import Overlay, find_overlay, is_below, unescaped

ROOT = "/var/lib/containai-docker/overlay2/abc/merged"
DATA = "/var/lib/containai-docker/overlay2"


def line(where, kind="overlay", options="", fields="shared:5 "):
    return f"410 29 0:52 / {where} rw,relatime {fields}- {kind} {kind} {options}\n"


OPTIONS = (
    f"rw,lowerdir={DATA}/l/AAA:{DATA}/l/BBB,upperdir={DATA}/abc/diff,workdir={DATA}/abc/work,"
    "index=off,xino=off"
)
FOUND = Overlay((f"{DATA}/l/AAA", f"{DATA}/l/BBB"), f"{DATA}/abc/diff", f"{DATA}/abc/work")


def test_overlay():
    before = "29 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    assert find_overlay(before + line(ROOT, options=OPTIONS), ROOT) == FOUND
    assert find_overlay(line(ROOT, options=OPTIONS, fields=""), ROOT) == FOUND
    fields = "shared:5 master:2 propagate_from:1 "
    assert find_overlay(line(ROOT, options=OPTIONS, fields=fields), ROOT) == FOUND


def test_relative_lower_names_are_short_links():
    options = f"rw,lowerdir=l/AAA:l/BBB,upperdir={DATA}/abc/diff,workdir={DATA}/abc/work"
    assert find_overlay(line(ROOT, options=options), ROOT) == FOUND


def test_with_many_layers_all_names_are_relative():
    options = "rw,lowerdir=l/AAA:l/BBB,upperdir=abc/diff,workdir=abc/work"
    assert find_overlay(line(ROOT, options=options), ROOT) == FOUND


def test_octal_escapes():
    root = "/my data\t/a\\b/merged"
    escaped = r"/my\040data\011/a\134b/merged"
    options = r"rw,lowerdir=/my\040data/l,upperdir=/my\040data/x/diff,workdir=/my\040data/x/work"
    assert find_overlay(line(escaped, options=options), root) == Overlay(
        ("/my data/l",), "/my data/x/diff", "/my data/x/work"
    )


@pytest.mark.parametrize(
    ("text", "plain"),
    [("", ""), ("abc", "abc"), (r"\040", " "), (r"a\134040", r"a\040"), (r"\012x\011", "\nx\t")],
)
def test_unescaped(text, plain):
    assert unescaped(text) == plain


@pytest.mark.parametrize(
    "mountinfo",
    [
        "",
        line(ROOT, "btrfs", "rw,subvol=/x"),
        line(ROOT + "2", options=OPTIONS),
        line("/var", options=OPTIONS),
        line(ROOT, options=f"ro,lowerdir={DATA}/l/AAA"),
    ],
)
def test_no_overlay(mountinfo):
    assert find_overlay(mountinfo, ROOT) is None


def test_last_mount_at_a_path_counts():
    other = OPTIONS.replace("abc", "xyz")
    twice = line(ROOT, options=other) + line("/x", "tmpfs") + line(ROOT, options=OPTIONS)
    assert find_overlay(twice, ROOT) == FOUND
    assert find_overlay(line(ROOT, options=OPTIONS) + line(ROOT, "tmpfs", "rw"), ROOT) is None


def test_many_layers_keep_their_order():
    layers = [f"l/{index:026d}" for index in range(120)]
    options = f"rw,lowerdir={':'.join(layers)},upperdir={DATA}/abc/diff,workdir={DATA}/abc/work"
    assert find_overlay(line(ROOT, options=options), ROOT).lower == tuple(
        f"{DATA}/{each}" for each in layers
    )


@pytest.mark.parametrize(
    ("path", "below"),
    [
        ("/d", True),
        ("/d/x", True),
        ("/dx", False),
        ("/", False),
        ("/x/d", False),
    ],
)
def test_is_below(path, below):
    assert is_below(path, "/d") is below
    assert is_below(path, "/d/") is (below and path != "/d")
