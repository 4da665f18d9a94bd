"""Work that is in no git repository: files out and back, each side compared with the last exchange.

Where both changed the same, nothing is done. Each file is whole, or as it was before.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from containai.errors import ContainAIError, CopyError
from containai.host import tar
from containai.host.pack import Packer
from containai.host.piped import piped
from containai.host.proc import Programs
from containai.host.tar import Entry, Kind, Reader
from containai.host.unpack import LeftOut, Unpacker
from containai.transfer import checks, facts
from containai.transfer import scan as scanning
from containai.transfer.checks import Item
from containai.transfer.count import Unfetched
from containai.transfer.facts import DIRECTORY, FILE, LINK, Comparison, Facts
from containai.transfer.packs import LIMIT
from containai.transfer.push import in_the_way
from containai.transfer.reach import CONFLICT, PATIENCE, Reach, Tell, asked, failed, shown
from containai.transfer.scan import Known, Mark, Scan
from containai.transfer.state import Place
from containai.transfer.tree import Tree

_SCRIPT = "files.py"
_KINDS = {FILE: Kind.FILE, DIRECTORY: Kind.DIRECTORY, LINK: Kind.LINK}


class Exchanged(NamedTuple):
    """How many names were put, or taken away, how many bytes went, and what did not."""

    put: int
    gone: int
    bytes: int
    left_out: tuple[LeftOut, ...] = ()


class _Sides(NamedTuple):
    known: Known
    here: Scan
    there: dict[str, Facts]
    compared: Comparison


def push(programs: Programs, place: Place, reach: Reach, workspace: str, tell: Tell) -> Exchanged:
    """Bring what is new here into the box. Raises CopyError where both changed the same."""
    with _opened(place, workspace) as tree:
        sides = _seen(programs, place, reach, tree)
        names = sides.compared.here
        put = [name for name in names if name in sides.here.facts]
        gone = [name for name in names if name not in sides.here.facts]
        count, left = 0, list(sides.here.left_out)
        if names:
            count = _give(programs, reach, tree, sides, put, gone, tell, left)
        there = {n: f for n, f in sides.there.items() if n not in gone}
        # What changed while it was read is sent again next time.
        missing = {each.name for each in left}
        there |= {name: sides.here.facts[name] for name in put if name not in missing}
        base = facts.agreed(sides.known.base, sides.here.facts, there)
        scanning.save(place.manifest, base, sides.here)
    return Exchanged(len(put), len(gone), count, tuple(left))


def pull(programs: Programs, place: Place, reach: Reach, workspace: str, tell: Tell) -> Exchanged:
    """Bring what is new in the box into the workspace. Raises as `push`."""
    with _opened(place, workspace) as tree:
        sides = _seen(programs, place, reach, tree)
        refused = _refused(sides)
        names = [name for name in sides.compared.there if name not in refused]
        put = [name for name in names if name in sides.there]
        gone = [name for name in names if name not in sides.there]
        size = sum(sides.there[name].size for name in put)
        if size > LIMIT:
            raise CopyError(f"the box has {size >> 30} GiB of news", hint="take them with: cai cp")
        for name in gone[::-1]:
            _remove(tree, sides.here, name)
        left = [LeftOut(checks.printable(os.fsencode(n)), why) for n, why in refused.items()]
        if put:
            left += _take(programs, reach, tree, sides, put, tell)
        # What is here now is looked at: what could not be made is not taken for done.
        now = scanning.scan(tree, Known({}, sides.here.facts, sides.here.marks))
        scanning.save(place.manifest, facts.agreed(sides.known.base, now.facts, sides.there), now)
    return Exchanged(len(put), len(gone), size, tuple(left))


def unfetched(programs: Programs, place: Place, reach: Reach) -> Unfetched:
    """Return how many files of a box have changed since the last exchange. Nothing is raised."""
    try:
        there = facts.from_box(asked(programs, reach, _SCRIPT, "list").out)
        base = scanning.load(place.manifest).base
    except ContainAIError as wrong:
        return Unfetched(unknown=shown(str(wrong)))
    names = there.keys() | base.keys()
    return Unfetched(changed=sum(there.get(name) != base.get(name) for name in names))


@contextlib.contextmanager
def _opened(place: Place, workspace: str) -> Iterator[Tree]:
    """Have the tree of a workspace; that it was exchanged is noted once it was."""
    state = place.load(workspace, "files")
    with contextlib.closing(Tree(workspace)) as tree:
        yield tree
    place.save(state)


def _seen(programs: Programs, place: Place, reach: Reach, tree: Tree) -> _Sides:
    known = scanning.load(place.manifest)
    there = facts.from_box(asked(programs, reach, _SCRIPT, "list").out)
    here = scanning.scan(tree, known)
    compared = facts.compare(known.base, here.facts, there)
    if compared.both:
        paths = [checks.printable(os.fsencode(name)) for name in compared.both]
        raise in_the_way(reach.box, paths)
    return _Sides(known, here, there, compared)


def _give(
    programs: Programs,
    reach: Reach,
    tree: Tree,
    sides: _Sides,
    put: Sequence[str],
    gone: Sequence[str],
    tell: Tell,
    left: list[LeftOut],
) -> int:
    count = [0]

    def counted(more: int) -> None:
        count[0] += more
        tell(more)

    was = {name: sides.there.get(name) for name in (*put, *gone)}
    header = json.dumps({"gone": gone, "was": was}).encode() + b"\n"
    with piped(programs, reach.script(_SCRIPT, "take"), writes=True) as running:
        packer = Packer(running.stream, counted)
        # Where the box has had enough, it says why.
        with contextlib.suppress(BrokenPipeError):
            running.stream.write(header)
            for name in put:
                _pack(packer, tree, running.stream, name, sides.here.facts[name])
            packer.finish()
        done = running.done(PATIENCE)
    left += packer.left_out
    if done.code == CONFLICT:
        raise CopyError(
            f"files of the box {reach.box} are being changed", hint="nothing was done: try again"
        )
    if done.code:
        raise failed(reach, done)
    return count[0]


def _pack(packer: Packer, tree: Tree, out, name: str, known: Facts) -> None:  # type: ignore[no-untyped-def]
    raw = os.fsencode(name)
    if known.kind == DIRECTORY:
        out.write(tar.header(Entry(raw, Kind.DIRECTORY, known.mode)))
        return
    try:
        with tree.above(raw) as (directory, last):
            packer.add(directory, last, raw)
    except BrokenPipeError:
        raise
    except OSError as wrong:
        packer.left_out.append(LeftOut(name, str(wrong.strerror)))


def _refused(sides: _Sides) -> dict[str, str]:
    """Return what of a box's news is not put into the workspace, and why."""
    news = [name for name in sides.compared.there if name in sides.there]
    items = [
        Item(
            os.fsencode(name),
            "120000" if sides.there[name].kind == LINK else "100644",
            os.fsencode(sides.there[name].target),
        )
        for name in news
        if sides.there[name].kind != DIRECTORY
    ]
    odd = {each.path: each.why for each in checks.odd(items) if each.refused}
    refused = {}
    for name in news:
        for each in (*facts.above(name), name):
            why = odd.get(checks.printable(os.fsencode(each)))
            if why or any(map(checks.is_git, os.fsencode(each).split(b"/"))):
                refused[name] = why or "a name that is git's own"
                break
    return refused


def _unchanged(tree: Tree, here: Scan, name: str) -> None:
    """Raise CopyError where a file is not any more what was compared."""
    seen = tree.look(os.fsencode(name))
    mark = None if seen is None else Mark.of(seen)
    known = here.facts.get(name)
    if known is not None and known.kind == DIRECTORY:
        return
    if mark != here.marks.get(name):
        shown_ = checks.printable(os.fsencode(name))
        raise CopyError(f"{shown_} is being changed", hint="try again: nothing was lost")


def _make_way(tree: Tree, sides: _Sides, name: str) -> None:
    """Take away what is no directory where one comes, or a directory where none does."""
    _unchanged(tree, sides.here, name)
    mine, its = sides.here.facts.get(name), sides.there[name]
    if mine is not None and DIRECTORY in (mine.kind, its.kind) and mine.kind != its.kind:
        _remove(tree, sides.here, name)


def _remove(tree: Tree, here: Scan, name: str) -> None:
    _unchanged(tree, here, name)
    raw = os.fsencode(name)
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        if here.facts[name].kind == DIRECTORY:
            with contextlib.suppress(OSError), tree.above(raw) as (directory, last):
                os.rmdir(last, dir_fd=directory)
        else:
            with tree.above(raw) as (directory, last):
                os.unlink(last, dir_fd=directory)


def _take(
    programs: Programs, reach: Reach, tree: Tree, sides: _Sides, put: Sequence[str], tell: Tell
) -> list[LeftOut]:
    """Unpack what a box gives: nothing but what it was asked for, and as large as it said."""
    given = json.dumps(list(put)).encode()
    wanted = {os.fsencode(name): name for name in put}
    script = reach.script(_SCRIPT, "give")
    unpacker = Unpacker(tree.fd, tell, hard_links=False)
    with piped(programs, script, writes=False, given=given) as running:
        try:
            reader = Reader(running.stream)
            for entry in reader:
                path = entry.name.rstrip(b"/")
                name = wanted.pop(path, None)
                said = sides.there[name] if name is not None else None
                kind = None if said is None else _KINDS[said.kind]
                if name is None or said is None or (entry.kind, entry.size) != (kind, said.size):
                    raise CopyError(
                        f"the box sent something else than {checks.printable(path)} as it was",
                        hint="is it being changed? Try again",
                    )
                _make_way(tree, sides, name)
                unpacker.add(entry, reader, path)
                if kind is Kind.DIRECTORY:
                    _permit(tree, path, said.mode)
            unpacker.finish()
        except CopyError:
            done = running.done()
            if done.code:
                raise failed(reach, done) from None
            raise
        finally:
            unpacker.close()
    gone = [LeftOut(checks.printable(path), "it went meanwhile") for path in wanted]
    return [*unpacker.left_out, *gone]


def _permit(tree: Tree, path: bytes, mode: int) -> None:
    """Give a directory that was there already its permissions, without closing it to ourselves."""
    with contextlib.suppress(OSError), tree.above(path + b"/.") as (directory, _):
        os.fchmod(directory, mode | 0o700)
