"""A box's work is merged into the work tree, which has work of its own that is not committed.

Both work trees are compared with what both sides had last. The result is made as objects first;
only where nothing is in the way are files written, each whole or not at all, then the index, then
the branch: who is killed in between runs it again. git's programs for merging, its hooks and
filters that a workspace may name are not known here.
"""

import contextlib
import os
import stat
import time
from collections.abc import Sequence
from typing import NamedTuple, cast

from containai.errors import CopyError
from containai.host.tar import Entry, Kind, Piece, Reader
from containai.host.unpack import LeftOut, Unpacker
from containai.transfer import checks, diffs, git, packs, remote, snapshot
from containai.transfer.diffs import LINK, NOTHING, SUBMODULE, Change
from containai.transfer.git import Store
from containai.transfer.reach import Reach
from containai.transfer.snapshot import Snapshot
from containai.transfer.state import Point
from containai.transfer.tree import Tree

#: The first git that merges without a work tree (git merge-tree --write-tree).
_SINCE = (2, 38)
_NAMED = 20


class Merged(NamedTuple):
    """The commit that the user's branch is at now, and how many files were changed."""

    head: str
    files: int
    left_out: tuple[LeftOut, ...] = ()


def merge(store: Store, reach: Reach, base: Point, theirs: Point, home: str) -> Merged:
    """Merge. Raises CopyError where something is in the way: all is as it was then."""
    _refuse_old(store, reach)
    ours = snapshot.taken(store, lambda _: None)
    tree = _united(store, reach, base, ours, theirs)
    head = _joined(store, reach, ours, theirs, home)
    if head != ours.head and not ours.branch:
        raise CopyError(
            "you are on no branch, and the box has commits",
            hint=f"go to a branch first, or: git merge {reach.remote}/head",
        )
    moved = (store.tree(ours.head), store.tree(head))
    _move_index(store, moved, os.path.join(store.directory, "index-try"), ours)
    changes = diffs.between(store, store.tree(ours.work), tree)
    if head != ours.head:
        packs.install(store, [head])
    left = _write(store, changes, ours)
    if head != ours.head:
        _move_index(store, moved, "", ours)
        remote.move(store, f"refs/heads/{ours.branch}", head, ours.head)
    _refresh(store)
    return Merged(head, len(changes), tuple(left))


def _refuse_old(store: Store, reach: Reach) -> None:
    said = store.text("version").split()[2].split(".")
    if tuple(int(part) for part in said[:2]) < _SINCE:
        raise CopyError(
            f"git {'.'.join(said)} cannot merge without touching files; 2.38 or newer can",
            hint=f"the work was fetched; merge it yourself: git merge {reach.remote}/work",
        )


def _united(store: Store, reach: Reach, base: Point, ours: Snapshot, theirs: Point) -> str:
    """Return the tree of both work trees. Raises CopyError where both changed the same."""
    common = _common(store, base, ours, theirs)
    first = store.commit(common)
    tips = [store.commit(store.tree(each), first) for each in (ours.work, theirs.work)]
    tree, conflicts = _merged(store, *tips)
    if conflicts:
        raise _conflict(reach, conflicts)
    return tree


def _common(store: Store, base: Point, ours: Snapshot, theirs: Point) -> str:
    """Return the tree that both sides had, as far as it is known."""
    if store.is_whole(base.work):
        return store.tree(base.work)
    if ours.head and theirs.head:
        done = store.run("merge-base", ours.head, theirs.head, ok=(0, 1))
        return store.tree(done.out.split()[0] if not done.code else "")
    return store.tree("")


def _merged(store: Store, ours: str, theirs: str) -> tuple[str, list[str]]:
    """Merge two commits without a work tree; return the tree, and where they are in conflict."""
    words = ("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ours, theirs)
    with open(os.memfd_create("merge"), "w+b") as file:
        store.run(*words, ok=(0, 1), stdout_file=file)
        file.seek(0)
        tree, *names = file.read().split(b"\0")
    return tree.decode(), [checks.printable(name) for name in names if name]


def _conflict(reach: Reach, names: Sequence[str]) -> CopyError:
    some = "\n  ".join(names[:_NAMED])
    more = f"\n  … {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return CopyError(
        f"you and the box {reach.box} have changed the same, and nothing was touched:\n  "
        f"{some}{more}",
        hint=f"the work was fetched: commit yours, then git merge {reach.remote}/work",
    )


def _joined(store: Store, reach: Reach, ours: Snapshot, theirs: Point, home: str) -> str:
    """Return the commit that has the history of both."""
    mine, its = ours.head, theirs.head
    if not its or mine == its or (mine and store.is_ancestor(its, mine)):
        return mine
    if not mine or store.is_ancestor(mine, its):
        return its
    tree, conflicts = _merged(store, mine, its)
    if conflicts:
        raise _conflict(reach, conflicts)
    name, address = git.user_identity(home)
    who: dict[str, str] = {}
    if name and address:
        when = f"{int(time.time())} {time.strftime('%z')}"
        for role in ("AUTHOR", "COMMITTER"):
            who |= {f"GIT_{role}_NAME": name, f"GIT_{role}_EMAIL": address}
            who[f"GIT_{role}_DATE"] = when
    said = f"Merge the work of the box {reach.box}\n"
    return store.commit(tree, mine, its, message=said, at=who)


def _move_index(store: Store, moved: tuple[str, str], copy: str, ours: Snapshot) -> None:
    """Have the index follow the branch, or a copy of it, to see whether it can."""
    old, new = moved
    if old == new:
        return
    if copy:
        snapshot.copy_index(store, copy)
    at = store.worktree(copy or store.source.staged)
    done = store.run("read-tree", "-m", "-i", old, new, ok=None, at=at)
    if done.code:
        said = next((line for line in done.err.splitlines() if line.strip()), "")
        if ".lock" in said:
            raise CopyError(f"git: {said}", hint="another git runs: wait for it, then try again")
        raise CopyError(
            f"what you have staged is in the way: {said}",
            hint="commit it, or take it back: git reset; nothing was touched",
        )


def _refresh(store: Store) -> None:
    if os.path.exists(store.source.staged):
        at = store.worktree(store.source.staged)
        store.run("update-index", "-q", "--refresh", ok=None, at=at)


def _write(store: Store, changes: Sequence[Change], ours: Snapshot) -> list[LeftOut]:
    tree = Tree(store.source.workspace)
    with contextlib.closing(tree):
        in_the_way = [
            why for change in changes if (why := _why_not(tree, change, changes, ours.begun))
        ]
        if in_the_way:
            some = "\n  ".join(in_the_way[:_NAMED])
            raise CopyError(
                f"this is in the way, and nothing was touched:\n  {some}",
                hint="put it elsewhere, or wait until nothing changes files, and try again",
            )
        for change in changes:
            if change.after == NOTHING and change.before != SUBMODULE:
                with contextlib.suppress(FileNotFoundError):
                    tree.remove(change.path)
        return _unpack(store, tree, [each for each in changes if each.after != NOTHING])


def _why_not(tree: Tree, change: Change, changes: Sequence[Change], begun: int) -> str:
    """Return what is in a file's way, or ""."""
    shown = checks.printable(change.path)
    seen = tree.look(change.path)
    if change.before == NOTHING:
        if seen is None:
            return ""
        below = change.path + b"/"
        if stat.S_ISDIR(seen.st_mode) and any(each.path.startswith(below) for each in changes):
            return ""
        return f"{shown}: it is there, and ignored or not known to git"
    if seen is not None and max(seen.st_ctime_ns, seen.st_mtime_ns) > begun:
        return f"{shown}: it is being changed"
    return ""


def _unpack(store: Store, tree: Tree, changes: Sequence[Change]) -> list[LeftOut]:
    """Write files: each is whole before it has its name."""
    left = [
        LeftOut(checks.printable(each.path), "a submodule: git submodule update, if you trust it")
        for each in changes
        if each.after == SUBMODULE
    ]
    wanted = [each for each in changes if each.after != SUBMODULE]
    unpacker = Unpacker(tree.fd, hard_links=False)
    mask = os.umask(0)
    os.umask(mask)
    try:
        for at, size, reading in diffs.blobs(store, [each.new for each in wanted]):
            change = wanted[at]
            if change.after == LINK:
                kind, target, size = Kind.LINK, reading.exactly(size), 0
            else:
                kind, target = Kind.FILE, b""
            mode = int(change.after, 8) & 0o777 & ~mask
            pieces = [Piece(0, size)] if size else []
            entry = Entry(change.path, kind, mode, time.time_ns(), size, target, pieces)
            unpacker.add(entry, cast(Reader, reading))
        unpacker.finish()
    finally:
        unpacker.close()
    return [*left, *unpacker.left_out]
