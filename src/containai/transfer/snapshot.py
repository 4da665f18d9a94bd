"""The state of the user's work tree as a temporary commit, made beside the user's repository.

What changed is asked of git, with an index of our own; what is in those files is read by us, no
link is followed, and goes into objects of ours as it lies there.
"""

import contextlib
import errno
import os
import stat
import time
from typing import IO, NamedTuple

from containai.errors import CopyError, NoSpaceError
from containai.host.below import named
from containai.host.piped import piped
from containai.host.unpack import LeftOut
from containai.transfer.git import WHOSE, Store, ended
from containai.transfer.reach import PATIENCE, Tell
from containai.transfer.tree import Tree, copy_exactly

_REF = "refs/cai/snapshot"


class Snapshot(NamedTuple):
    """A work tree: `staged` is a commit of the index upon the head, `work` one of all upon that.

    `begun` is when it was begun, in nanoseconds since 1970. What is left out is named.
    """

    head: str
    branch: str
    staged: str
    work: str
    begun: int
    left_out: tuple[LeftOut, ...] = ()


class _Changed(NamedTuple):
    put: list[bytes]
    gone: list[bytes]
    left_out: list[LeftOut]


def taken(store: Store, tell: Tell) -> Snapshot:
    """Return the state of the work tree; `tell` gets the bytes that are read of changed files.

    Neither index nor references of the user's are written. Raises CopyError, NoSpaceError.
    """
    begun = time.time_ns()
    source = store.source
    index = os.path.join(store.directory, "index-work")
    copy_index(store, index)
    at = store.worktree(index)
    left: list[LeftOut] = []
    if store.parts("ls-files", "-z", "--unmerged", at=at):
        left.append(LeftOut("the index", "a merge is not finished: what is staged stays here"))
        store.run("read-tree", source.head or store.tree(""), at=at)
    store.run("update-index", "-q", "--refresh", ok=None, at=at)
    staged = store.commit(store.text("write-tree", at=at), source.head)
    changed = _changed(store, at)
    left += changed.left_out
    work = staged
    if changed.put or changed.gone:
        work = _committed(store, staged, changed, left, tell)
    return Snapshot(source.head, source.branch, staged, work, begun, tuple(left))


def copy_index(store: Store, to: str) -> None:
    """Copy the user's index with its time: git goes by that to know what it must look at again."""
    directory = store.source.directory
    with contextlib.suppress(FileNotFoundError):
        os.unlink(to)
    shared = [name for name in os.listdir(directory) if name.startswith("sharedindex.")]
    for name in ("index", *shared):
        path = to if name == "index" else os.path.join(store.directory, name)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            fd = os.open(os.path.join(directory, name), flags)
        except FileNotFoundError:
            continue
        with open(fd, "rb") as source, open(path, "wb") as file:
            seen = os.fstat(fd)
            if not stat.S_ISREG(seen.st_mode):
                raise CopyError(f"the index {name!r} is no file", hint="look: git status")
            copy_exactly(source, seen.st_size, file.write)
            file.flush()
            os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))


def _changed(store: Store, at: dict[str, str]) -> _Changed:
    pairs = store.parts("diff-files", "-z", "--name-status", "--no-renames", at=at)
    changed = _Changed([], [], [])
    for letter, path in zip(pairs[::2], pairs[1::2], strict=True):
        (changed.gone if letter == b"D" else changed.put).append(path)
    for path in store.parts("ls-files", "-z", "--others", "--exclude-standard", at=at):
        if path.endswith(b"/"):
            changed.left_out.append(LeftOut(os.fsdecode(path), "a repository of its own"))
        else:
            changed.put.append(path)
    _say_filtered(store, changed)
    for entry in store.parts("ls-files", "-z", "--stage", at=at):
        if entry.startswith(b"160000 "):
            path = entry.partition(b"\t")[2]
            why = "a submodule: which commit it is at goes along, its files do not"
            changed.left_out.append(LeftOut(os.fsdecode(path), why))
    return changed


def _say_filtered(store: Store, changed: _Changed) -> None:
    """Say of what was changed that has a filter (Git LFS, git-crypt) that it goes as it lies."""
    if not changed.put:
        return
    words = ("check-attr", "-z", "--stdin", "filter")
    extra = {"GIT_WORK_TREE": store.source.workspace}
    given = b"".join(path + b"\0" for path in changed.put)
    said = store.parts("-C", store.source.workspace, *words, stdin=given, at=extra)
    for path, value in zip(said[::3], said[2::3], strict=True):
        if value not in (b"unspecified", b"unset"):
            why = f"goes as it lies here, not through its filter {named(value)}"
            changed.left_out.append(LeftOut(os.fsdecode(path), why))


def _committed(
    store: Store, staged: str, changed: _Changed, left: list[LeftOut], tell: Tell
) -> str:
    """Make a commit upon another in which files are as they lie in the work tree."""
    argv = ["git", "fast-import", "--quiet", "--force", "--done"]
    store.run("update-ref", "-d", _REF)
    tree = Tree(store.source.workspace)
    try:
        with piped(store.programs, argv, writes=True, env=store.env()) as running:
            with contextlib.suppress(BrokenPipeError):
                _write(running.stream, tree, staged, changed, left, tell)
            ended(argv, running.done(PATIENCE))
    finally:
        tree.close()
    work = store.text("rev-parse", "--verify", _REF)
    return staged if store.tree(work) == store.tree(staged) else work


def _write(
    out: IO[bytes], tree: Tree, staged: str, changed: _Changed, left: list[LeftOut], tell: Tell
) -> None:
    """Write what git-fast-import(1) reads: what is gone first, as it may be in the way."""
    who = WHOSE.encode()
    out.write(b"commit %s\ncommitter %s 1 +0000\ndata 0\n" % (_REF.encode(), who))
    out.write(b"from %s\n" % staged.encode())
    for path in changed.gone:
        out.write(b"D %s\n" % _quoted(path))
    for path in changed.put:
        try:
            _write_file(out, tree, path, left, tell)
        except BrokenPipeError:
            raise
        except OSError as wrong:
            if wrong.errno in (errno.ENOSPC, errno.EDQUOT):
                raise NoSpaceError("no room for a copy of the work", hint="free some") from None
            left.append(LeftOut(os.fsdecode(path), str(wrong.strerror)))
    out.write(b"\ndone\n")
    out.flush()


def _write_file(out: IO[bytes], tree: Tree, path: bytes, left: list[LeftOut], tell: Tell) -> None:
    seen = tree.look(path)
    if seen is None:
        left.append(LeftOut(os.fsdecode(path), "it changed meanwhile"))
    elif stat.S_ISLNK(seen.st_mode):
        target = tree.target(path)
        out.write(b"M 120000 inline %s\ndata %d\n%s\n" % (_quoted(path), len(target), target))
    elif stat.S_ISREG(seen.st_mode):
        with tree.file(path) as file:
            seen = os.fstat(file.fileno())
            mode = b"100755" if seen.st_mode & 0o100 else b"100644"
            out.write(b"M %s inline %s\ndata %d\n" % (mode, _quoted(path), seen.st_size))
            if not copy_exactly(file, seen.st_size, out.write):
                left.append(LeftOut(os.fsdecode(path), "it became shorter meanwhile"))
            out.write(b"\n")
            tell(seen.st_size)


def _quoted(path: bytes) -> bytes:
    """Return a path as git-fast-import(1) takes all of them."""
    for each, written in ((b"\\", b"\\\\"), (b'"', b'\\"'), (b"\n", b"\\n")):
        path = path.replace(each, written)
    return b'"' + path + b'"'
