"""Objects of git between this machine and a box, as one pack over one stream."""

import contextlib
import tempfile
from collections.abc import Sequence

from containai.errors import CopyError, NoSpaceError
from containai.host.piped import Piped, piped
from containai.host.tar import CHUNK
from containai.transfer.git import Store, ended, references
from containai.transfer.reach import PATIENCE, Reach, Tell, failed

#: The most that a box may send at once, in bytes, where nothing else is asked for.
LIMIT = 8 << 30


def send(store: Store, reach: Reach, tips: Sequence[str], known: Sequence[str], tell: Tell) -> None:
    """Have commits of ours in the box, which has some already. `tell` gets bytes as they go."""
    wanted = "".join(f"{tip}\n" for tip in tips if tip) + "".join(f"^{oid}\n" for oid in known)
    argv = ["git", "pack-objects", "--revs", "--stdout", "--thin", "--delta-base-offset", "-q"]
    script = reach.script("receive.sh", store.source.shallow.strip())
    given = wanted.encode()
    with (
        piped(store.programs, argv, writes=False, given=given, env=store.env()) as packing,
        piped(store.programs, script, writes=True) as running,
    ):
        # Where the box has had enough, it says why.
        with contextlib.suppress(BrokenPipeError):
            while part := packing.stream.read1(CHUNK):  # type: ignore[attr-defined]
                running.stream.write(part)
                tell(len(part))
            running.stream.flush()
            ended(argv, packing.done())
        done = running.done(PATIENCE)
    if done.code:
        raise failed(reach, done)


def fetch(
    store: Store,
    reach: Reach,
    tips: Sequence[str],
    known: Sequence[str],
    tell: Tell,
    limit: int = LIMIT,
) -> None:
    """Have commits of the box in our repository, not yet in the user's. Nothing is believed.

    git checks each object (git-fsck(1)) and that all are there. Raises CopyError where they are
    not as they should be, or are more than `limit` bytes.
    """
    missing = [tip for tip in tips if tip not in set(store.known(tips))]
    if missing:
        wanted = "".join(f"{tip}\n" for tip in missing) + "".join(f"^{oid}\n" for oid in known)
        argv = ["git", "index-pack", "--stdin", "--strict", "--fix-thin"]
        argv.append(f"--max-input-size={limit}")
        with (
            piped(
                store.programs, reach.script("send.sh"), writes=False, given=wanted.encode()
            ) as sending,
            piped(store.programs, argv, writes=True, env=store.env()) as taking,
        ):
            _pour(sending, taking, tell, limit)
            done, took = sending.done(), taking.done(PATIENCE)
        if done.code:
            raise failed(reach, done)
        if took.code:
            raise _refused(took.err)
    _check_whole(store, tips, known)


def _pour(sending: Piped, taking: Piped, tell: Tell, limit: int) -> None:
    count = 0
    # Where ours has had enough, it says why.
    with contextlib.suppress(BrokenPipeError):
        while part := sending.stream.read1(CHUNK):  # type: ignore[attr-defined]
            count += len(part)
            if count > limit:
                raise CopyError(
                    f"the box sends more than {limit >> 20} MiB",
                    hint="fetch it by hand if you expect that: git fetch",
                )
            taking.stream.write(part)
            tell(len(part))
        taking.stream.flush()


def _refused(said: str) -> CopyError | NoSpaceError:
    if "No space left" in said or "Disk quota" in said:
        return NoSpaceError("no room for the box's work", hint="free some where your home is")
    last = [line for line in said.splitlines() if line.strip()][-2:]
    why = "".join(each if each.isprintable() else "\ufffd" for each in " ".join(last))[:300]
    return CopyError(
        f"the box's objects are refused: {why}",
        hint="nothing of them was taken; look in the box: git fsck --strict",
    )


def _check_whole(store: Store, tips: Sequence[str], known: Sequence[str]) -> None:
    """Raise CopyError unless each tip is a commit that is here with all it leads to."""
    if set(tips) != set(store.known(tips)):
        raise CopyError("the box did not send what it offered", hint="try again")
    lines = "".join(f"{tip}\n" for tip in tips) + "".join(f"^{oid}\n" for oid in known)
    words = ("rev-list", "--objects", "--stdin", "--quiet")
    if tips and store.run(*words, stdin=lines, ok=None).code:
        raise CopyError("what the box sent is not whole", hint="try again")


def install(store: Store, tips: Sequence[str]) -> None:
    """Have what our repository has of some commits in the user's, too: objects, no reference."""
    with tempfile.TemporaryFile(dir=store.directory) as file:
        words = ("pack-objects", "--revs", "--stdout", "--local", "--delta-base-offset", "-q")
        store.run(*words, stdin="".join(f"{tip}\n" for tip in tips), stdout_file=file)
        file.seek(0)
        with references(store) as users:
            users.run("index-pack", "--stdin", "--strict", stdin_file=file)
