"""Faults of a set-up, as rows: broken for real, named by its check, mended, all else as before."""

import contextlib
import fnmatch
import functools
import json
import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from .site import Site, text, tree

#: Consent to what `--fix` stops or removes: nobody can be asked in a test.
AGREED = {"CAI_YES": "1"}
#: What is there one moment and not the next, whatever is broken: sockets, logs, what was cached,
#: and what somebody was told.
PASSING = (
    "home/.cache/*",
    "home/.config/containai/kills-seen",
    "home/.config/go*",
    "home/.local/state/*",
    "run/*",
)


class Fault(NamedTuple):
    """One thing that is broken: who sees it, and what mends it.

    `breaks` may return a function that takes back what it did; it is called whatever happens.
    `mended` is nothing for `cai doctor --fix`, else a pattern of the command in the check's hint:
    what it matches there is run. `stops`: boxes are stopped on the way, and run again afterwards.
    `changes` are patterns of files, below the root, that are to be others afterwards.
    """

    name: str
    breaks: Callable[[Site], Callable[[], object] | None]
    #: Of the check that has to fail, and a part of what it says then.
    title: str
    seen: str
    mended: str = ""
    stops: bool = False
    changes: tuple[str, ...] = ()
    #: What doctor is told beside, as --all for a check that takes long.
    words: tuple[str, ...] = ()


class Kept(NamedTuple):
    """What no fault and no mending may change: boxes, workspaces, the user's own files.

    Of a box its id, whether it runs, and since when.
    """

    boxes: dict[str, tuple[str, str, str]]
    files: dict[str, tuple[str, bytes]]

    @classmethod
    def of(cls, site: Site, *, since: bool = True, without: tuple[str, ...] = ()) -> "Kept":
        """Look; `since` is whether a box counts as another once it was started again."""
        ids = site.docker("ps", "--all", "--quiet", "--no-trunc").split()
        rows = json.loads(site.docker("container", "inspect", *ids)) if ids else []
        boxes = {
            row["Name"]: (
                row["Id"],
                row["State"]["Status"],
                row["State"]["StartedAt"] if since else "",
            )
            for row in rows
        }
        found = {
            f"{name}/{path}": what
            for name in ("ws", "home")
            for path, what in tree(os.path.join(site.root, name)).items()
        }
        patterns = PASSING + without
        kept = {
            path: what
            for path, what in found.items()
            if not any(fnmatch.fnmatch(path, pattern) for pattern in patterns)
        }
        return cls(boxes, kept)


class Took(NamedTuple):
    """How long it took to see a fault, and to mend it with all else being checked, in seconds."""

    what: str
    check: float
    mend: float


Rows = dict[str, dict[str, Any]]


def checks(site: Site, *words: str) -> Rows:
    """Return what `cai doctor` says now, by the titles of its checks."""
    done = site.cai("doctor", "--json", *words, check=False, env=AGREED)
    assert done.returncode in (0, 1), text(done)
    return {row["step"]: row for row in json.loads(done.stdout)["checks"]}


def try_out(site: Site, fault: Fault) -> Took:
    """Break it, see it named, mend it, and see that nothing else has changed."""
    before = Kept.of(site, since=not fault.stops, without=fault.changes)
    with contextlib.ExitStack() as undo:
        undo.push(functools.partial(_heal, site))
        if (back := fault.breaks(site)) is not None:
            undo.callback(back)
        begun = time.monotonic()
        row = checks(site, *fault.words)[fault.title]
        seen = time.monotonic()
        assert not row["ok"], f"{fault.name}: {row}"
        assert fault.seen in row["seen"], f"{fault.name}: {row}"
        after = _mended(site, fault, row)
        ended = time.monotonic()
    assert after[fault.title]["ok"], f"{fault.name}: {after[fault.title]}"
    wrong = [row for row in after.values() if row["state"] in ("wrong", "unknown")]
    left = {row["step"]: row["seen"] for row in wrong}
    assert left == {}, fault.name
    now = Kept.of(site, since=not fault.stops, without=fault.changes)
    assert now.boxes == before.boxes, fault.name
    differ = {path for path in {*before.files, *now.files} if _other(before, now, path)}
    assert differ == set(), fault.name
    print(f"{fault.name}: check {seen - begun:.1f} s, mend {ended - seen:.1f} s")
    return Took(fault.name, seen - begun, ended - seen)


def _heal(site: Site, failed: type[BaseException] | None, *_: object) -> None:
    """Whatever comes after a row that fails finds a site that is whole."""
    if failed is not None:
        site.cai("doctor", "--fix", check=False, env=AGREED)


def _other(before: Kept, now: Kept, path: str) -> bool:
    return before.files.get(path) != now.files.get(path)


def _mended(site: Site, fault: Fault, row: dict[str, Any]) -> Rows:
    """Mend it, and return what is said then."""
    if not fault.mended:
        return checks(site, "--fix", *fault.words)
    found = re.search(fault.mended, row["hint"])
    assert found, f"{fault.name}: {row}"
    program, *words = shlex.split(found[0])
    if program == "cai":
        site.cai(*words, env=AGREED)
    else:
        argv = words if program == "sudo" else [program, *words]
        subprocess.run(argv, env=site.environment, check=True, capture_output=True)
    return checks(site, *fault.words)
