"""What a box has done comes back: its commits, and what is not committed as one more.

It becomes references of the user's repository below `refs/remotes/cai-BOX/`: `work` has all of it,
`head` is the commit that the box is at, `heads/…` are its branches. Nothing of its `.git` comes as
files.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from containai.errors import CopyError
from containai.host.proc import Programs
from containai.host.unpack import LeftOut
from containai.layout import Layout
from containai.transfer import checks, diffs, merge, packs, remote
from containai.transfer.checks import Odd
from containai.transfer.git import Store, opened
from containai.transfer.merge import Merged
from containai.transfer.reach import Reach, Tell, asked
from containai.transfer.source import OID, Source, is_ref
from containai.transfer.state import Place, Point, State

_LINE = re.compile(r"(head|work|branch|ref|stash)(?: (.*))?")
#: How many branches of a box are fetched.
_BRANCHES = 1000


class Offer(NamedTuple):
    """What a box says that it has. Names of branches are with refs/heads/."""

    point: Point
    branch: str
    branches: dict[str, str]
    stashes: int
    left_out: tuple[LeftOut, ...] = ()


class Pulled(NamedTuple):
    """What came: where it is, how many bytes, what of it is odd, and what was not taken.

    `commits` is how many the user's branch lacks, `changed` how many files are not committed there.
    """

    work: str
    head: str
    commits: int
    changed: int
    bytes: int
    odd: tuple[Odd, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    merged: Merged | None = None


def pull(
    programs: Programs,
    layout: Layout,
    place: Place,
    reach: Reach,
    source: Source,
    *,
    merging: bool,
    tell: Tell,
    limit: int = packs.LIMIT,
) -> Pulled:
    """Fetch a box's work, and merge it into the work tree where that is asked for.

    `place` is held. Raises CopyError where the box sends what is refused, and where merging would
    change what the user has changed: what was fetched stays then, and the work tree is as it was.
    """
    state = place.load(source.workspace, "git")
    count = [0]

    def counted(more: int) -> None:
        count[0] += more
        tell(more)

    with opened(programs, place.store, source, layout.home) as store:
        offer = offered(asked(programs, reach, "offer.sh").out)
        tips = [oid for oid in (*offer.point, *offer.branches.values()) if oid]
        tips = list(dict.fromkeys(tips))
        known = store.known([*state.known, source.head])
        packs.fetch(store, reach, tips, known, counted, limit)
        odd = _odd(store, state, source, offer.point)
        state = _fetched(store, place, reach, state, offer)
        pulled = _told(store, reach, source, offer, count[0], odd)
        if merging:
            _refuse_odd(reach, odd)
            merged = merge.merge(store, reach, state.base, offer.point, layout.home)
            place.save(state._replace(base=offer.point))
            store.run("update-ref", "refs/cai/base", offer.point.work)
            asked(programs, reach, "keep.sh", offer.point.work)
            pulled = pulled._replace(merged=merged)
        store.tidy()
    return pulled


def offered(text: str) -> Offer:
    """Return what a box answered. Raises CopyError for anything else."""
    said: dict[str, str] = {}
    branches: dict[str, str] = {}
    left = []
    for line in text.split("\n")[: _BRANCHES + 10]:
        found = _LINE.fullmatch(line)
        if not line:
            continue
        if found is None:
            raise _strange()
        kind, rest = found[1], found[2] or ""
        if kind != "ref":
            said[kind] = rest
            continue
        oid, _, name = rest.partition(" ")
        if OID.fullmatch(oid) and is_ref(name) and name.startswith("refs/heads/"):
            branches[name] = oid
        else:
            left.append(LeftOut(checks.printable(name.encode()), "no name for a branch here"))
    head, work = said.get("head", ""), said.get("work", "")
    if not OID.fullmatch(work) or (head and not OID.fullmatch(head)):
        raise _strange()
    stash = said.get("stash", "0")
    stashes = int(stash) if stash.isdigit() and len(stash) < 9 else 0
    branch = said.get("branch", "")
    branch = branch if is_ref(branch) else ""
    return Offer(Point(head, work), branch, branches, stashes, tuple(left))


def _strange() -> CopyError:
    return CopyError("the box answered something else than its work", hint="look there")


def _odd(store: Store, state: State, source: Source, point: Point) -> list[Odd]:
    """Return what is odd of what neither went there nor is the user's."""
    base = state.base.work if store.is_whole(state.base.work) else ""
    work = store.tree(point.work)
    changes = diffs.between(store, store.tree(base or source.head), work)
    if base and source.head:
        mine = {each.path for each in diffs.between(store, store.tree(source.head), work)}
        changes = [each for each in changes if each.path in mine]
    return checks.odd(diffs.items(store, changes))


def _fetched(store: Store, place: Place, reach: Reach, state: State, offer: Offer) -> State:
    """Have it in the user's repository: the objects first, then what leads there."""
    tips = [oid for oid in dict.fromkeys((*offer.point, *offer.branches.values())) if oid]
    packs.install(store, tips)
    wanted = {remote.work(reach): offer.point.work}
    if offer.point.head:
        wanted[remote.head(reach)] = offer.point.head
    top = remote.branches(reach)
    for name, oid in offer.branches.items():
        wanted[top + name.removeprefix("refs/heads/")] = oid
    remote.point(store, reach, wanted)
    remote.remember(store, reach)
    state = state._replace(fetched=offer.point, branches=tuple(offer.branches.values()))
    place.save(state)
    return state


def _told(
    store: Store, reach: Reach, source: Source, offer: Offer, count: int, odd: Sequence[Odd]
) -> Pulled:
    head, work = offer.point
    commits = 0
    if head:
        words = [head, *([f"^{source.head}"] if source.head else [])]
        commits = int(store.text("rev-list", "--count", *words))
    changed = len(diffs.between(store, store.tree(head), store.tree(work)))
    short = remote.work(reach).removeprefix("refs/remotes/")
    left = list(offer.left_out)
    if offer.stashes:
        left.append(LeftOut("git stash", f"{offer.stashes} in the box stay there"))
    return Pulled(short, head, commits, changed, count, tuple(odd), tuple(left))


def _refuse_odd(reach: Reach, odd: Sequence[Odd]) -> None:
    refused = [each for each in odd if each.refused]
    if refused:
        some = "\n  ".join(f"{each.path}: {each.why}" for each in refused[:20])
        raise CopyError(
            f"this of the box's work is not put into your work tree:\n  {some}",
            hint=f"it was fetched; look: git diff HEAD...cai-{reach.box}/work",
        )
