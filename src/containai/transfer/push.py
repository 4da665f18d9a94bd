"""What is new here goes into a box; what is not committed is not committed there, either."""

import contextlib
from collections.abc import Sequence
from typing import NamedTuple

from containai.errors import CopyError
from containai.host.pack import Packer
from containai.host.piped import piped
from containai.host.proc import Done, Programs
from containai.host.unpack import LeftOut
from containai.layout import Layout
from containai.transfer import packs, remote
from containai.transfer.git import opened
from containai.transfer.reach import (
    CONFLICT,
    DIVERGED,
    PATIENCE,
    REFUSED,
    Reach,
    Tell,
    asked,
    failed,
    shown,
)
from containai.transfer.snapshot import Snapshot, taken
from containai.transfer.source import Source
from containai.transfer.state import Place, Point
from containai.transfer.tree import Tree

#: How many paths an error names.
_NAMED = 20


class Pushed(NamedTuple):
    """What went: the commit that the box has now, how many bytes, and what stayed here, and why."""

    head: str
    bytes: int
    left_out: tuple[LeftOut, ...] = ()


def push(
    programs: Programs,
    layout: Layout,
    place: Place,
    reach: Reach,
    source: Source,
    *,
    ignored: Sequence[str] = (),
    tell: Tell,
) -> Pushed:
    """Bring what is new of a git workspace into the box, and ignored files by their names.

    `place` is held. Raises CopyError where both have changed the same: nothing is changed then.
    """
    state = place.load(source.workspace, "git")
    count = [0]

    def counted(more: int) -> None:
        count[0] += more
        tell(more)

    with opened(programs, place.store, source, layout.home) as store:
        snapshot = taken(store, lambda _: None)
        format_ = "sha256" if source.sha256 else "sha1"
        said = asked(programs, reach, "ready.sh", format_).out
        there = [line[5:] for line in said.splitlines() if line.startswith("have ")][:2000]
        tips = [snapshot.head, snapshot.staged, snapshot.work]
        packs.send(store, reach, tips, store.known(there), counted)
        _take(programs, reach, snapshot, state.base)
        left = [*snapshot.left_out, *_send_ignored(programs, reach, source, ignored, counted)]
        base = Point(snapshot.head, snapshot.work)
        store.run("update-ref", "refs/cai/base", base.work)
        place.save(state._replace(base=base))
        remote.remember(store, reach)
        store.tidy()
    return Pushed(snapshot.head, count[0], tuple(left))


def _take(programs: Programs, reach: Reach, snapshot: Snapshot, base: Point) -> None:
    words = (snapshot.head, snapshot.branch, snapshot.staged, snapshot.work, base.head, base.work)
    argv = reach.script("take.sh", *words)
    done = programs.run_limited(argv, stdin=b"", limit=64 << 20, timeout=PATIENCE)
    if done.code == CONFLICT:
        paths = [shown(path) for path in done.out.split("\0") if path]
        raise in_the_way(reach.box, paths)
    if done.code == DIVERGED:
        raise CopyError(
            f"the box {reach.box} has commits on {shown(done.out)!r} that are not here, and lacks "
            "some of yours",
            hint=f"cai pull --merge --name {reach.box}, then push again",
        )
    if done.code == REFUSED:
        raise CopyError(f"in the box {reach.box}: {_last(done)}", hint="nothing was changed there")
    if done.code:
        raise failed(reach, done)


def in_the_way(box: str, paths: Sequence[str]) -> CopyError:
    """Return the error for paths that both sides have changed."""
    some = "\n  ".join(paths[:_NAMED])
    more = f"\n  … {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return CopyError(
        f"here and in the box {box} this was changed in different ways, and nothing was "
        f"touched:\n  {some}{more}",
        hint=f"look: cai pull --name {box}; merge that or put yours away, then try again",
    )


def _last(done: Done) -> str:
    return shown(next((line for line in done.err.splitlines()[::-1] if line.strip()), ""))


def _send_ignored(
    programs: Programs, reach: Reach, source: Source, names: Sequence[str], tell: Tell
) -> list[LeftOut]:
    if not names:
        return []
    tree = Tree(source.workspace)
    with (
        contextlib.closing(tree),
        piped(programs, reach.script("ignored.sh"), writes=True) as running,
    ):
        packer = Packer(running.stream, tell)
        with contextlib.suppress(BrokenPipeError):
            for name in map(_path, names):
                try:
                    with tree.above(name) as (directory, last):
                        packer.add(directory, last, b"./" + name)
                except BrokenPipeError:
                    raise
                except OSError as wrong:
                    why = str(wrong.strerror)
                    packer.left_out.append(LeftOut(name.decode("utf-8", "replace"), why))
            packer.finish()
        done = running.done(PATIENCE)
    if done.code:
        raise failed(reach, done)
    return [each._replace(name=each.name.removeprefix("./")) for each in packer.left_out]


def _path(name: str) -> bytes:
    parts = [part for part in name.encode("utf-8", "surrogateescape").split(b"/") if part != b"."]
    if not parts or b".." in parts or b"" in parts[:-1] or b".git" in parts:
        raise CopyError(f"{name!r} is no path below the workspace", hint="for example: .env")
    return b"/".join(part for part in parts if part)
