"""Every file that cai reads, damaged on a set-up that runs: named, mended, and the box lives on.

All are damaged at once, each in another way. TEST_EVERY_DAMAGE takes every way for every file.
"""

import os
import subprocess

import pytest

from containai.layout import Layout
from containai.provision.known_files import KNOWN, Known, Whose, present
from harness import damage
from harness.faults import AGREED, Kept, checks
from harness.site import Site
from harness.space import Space

WAYS = list(damage.STATES)
#: Which way the first file is damaged, the next in the next one.
FIRST = range(len(WAYS)) if os.environ.get("TEST_EVERY_DAMAGE") else [WAYS.index("a directory")]
#: Without what ssh has of a box it cannot be entered, which has tests of its own; and a keeper of
#: lxcfs whose lock was taken away goes on beside the next one.
KEPT = {"key", "pinned keys", "host blocks", "lock of the keeper of lxcfs"}


def _files(layout: Layout, *, directories: bool) -> list[tuple[Known, str]]:
    """Return files of the table, one of each kind that is there."""
    found = []
    for known in KNOWN:
        is_ours = known.whose is not Whose.ANOTHERS and known.what not in KEPT
        there = present(layout, known) if is_ours and known.directory is directories else []
        found += [(known, path) for path in there[:1]]
    return found


@pytest.mark.parametrize("first", FIRST, ids=[WAYS[each] for each in FIRST])
def test_all_files_are_damaged_and_mended_at_once(site: Site, shared: Space, first: int) -> None:
    layout = site.layout
    # What of these is there only after that.
    site.cai("keep", shared.path)
    before = Kept.of(site).boxes
    subjects = _files(layout, directories=False)
    try:
        _are_named(site, subjects, first)
    finally:
        # Whatever is found: other tests have the same site.
        site.cai("setup", env=AGREED)
        _sweep([path for _, path in subjects])
    after = checks(site)
    wrong = {title: row for title, row in after.items() if row["state"] in ("wrong", "unknown")}
    assert wrong == {}
    assert Kept.of(site).boxes == before
    assert shared.run("echo", "there").stdout == b"there\n"


def _sweep(paths: list[str]) -> None:
    """Remove what was moved aside, and what links led to: other faults leave none of it."""
    for path in paths:
        directory, name = os.path.split(path)
        # A link of a user's own that leads to a whole file stays one; Docker's client wants none.
        if os.path.islink(path) and os.path.isfile(path):
            os.replace(os.path.realpath(path), path)
        for each in os.listdir(directory) if os.path.isdir(directory) else ():
            if each.startswith((f"{name}.damaged", f"{name}-elsewhere")):
                subprocess.run(["rm", "-rf", os.path.join(directory, each)], check=True)


def _are_named(site: Site, subjects: list[tuple[Known, str]], first: int) -> None:
    for number, (known, path) in enumerate(subjects):
        way = WAYS[(first + number) % len(WAYS)]
        # A number is a version: what a newer cai wrote stays as it is.
        damage.damage(path, "garbage" if (known.what, way) == ("version", "a number") else way)
    no_files = [path for _, path in subjects if os.path.lexists(path) and not os.path.isfile(path)]
    seen = checks(site)["files"]
    assert not seen["ok"]
    assert [path for path in no_files if path not in seen["seen"]] == []
    for words in (("ls",), ("ssh", "list"), ("config", "list"), ("uninstall", "--dry-run")):
        assert site.cai(*words, check=False).returncode in (0, 1, 30), words
