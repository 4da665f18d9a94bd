"""`cai cp`: files and trees between the host and a box, where an agent may change either."""

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from containai.boxes.target import Target
from containai.errors import CopyError, NoSpaceError
from containai.flows.told import Told
from containai.host import below, scripts
from containai.host.below import DIRECTORY, STANDS_FOR, Identity
from containai.host.piped import piped
from containai.host.proc import Done, Programs
from containai.host.tar import Entry, Kind, Reader
from containai.host.unpack import LeftOut, Unpacker
from containai.work.ui import Ui

if TYPE_CHECKING:
    from containai.app import App

#: Makes the command line that runs a command in the box.
Session = Callable[[Sequence[str]], list[str]]
#: How much of what a box says is shown.
_SHOWN = 300
_LINES = 20
#: What tar says where a disk is full.
_FULL = ("No space left on device", "Disk quota exceeded", "Wrote only")


class Copied(NamedTuple):
    """How many files and bytes went, where to, and what did not."""

    path: str
    files: int
    bytes: int
    left_out: list[LeftOut]


def out(app: "App", target: Target, source: str, to: str, *, follow: bool) -> Copied:
    """Copy what is at a path of a box to a path of the host."""
    session, guarded = _entered(app, target)
    return take(app.host, session, source, to, guarded, app.ui, follow=follow)


def into(app: "App", target: Target, source: str, to: str) -> Copied:
    """Copy what is at a path of the host to a path of a box."""
    session, guarded = _entered(app, target)
    return give(app.host, session, source, to, guarded, app.ui)


def _entered(app: "App", target: Target) -> tuple[Session, set[Identity]]:
    """Have the box running; return what runs a command in it, and where agents may write."""
    from containai.flows import enter, reaching
    from containai.ssh.session import ssh_argv

    box = reaching.existing(app, target)
    enter.started(app, box)

    def session(command: Sequence[str]) -> list[str]:
        return [*map(os.fsdecode, ssh_argv(app.layout, box.name, command, terminal=False))]

    return session, reaching.shared(app)


def take(
    host: Programs,
    session: Session,
    source: str,
    to: str,
    guarded: set[Identity],
    ui: Ui,
    *,
    follow: bool,
) -> Copied:
    """Copy what a box packs, of which nothing is believed."""
    script = scripts.argv("boxes/copy-out.sh", source, "--dereference" if follow else "")
    told = Told(ui, f"copying {source}")
    with _place(to, _last(source), guarded) as (parent, name, shown):
        with piped(host, session(script), writes=False) as running:
            reader = Reader(running.stream)
            entries = iter(reader)
            try:
                first = next(entries, None)
            except CopyError as failed:
                raise _failed(running.done(), str(failed)) from None
            if first is None:
                raise _failed(running.done(), f"there is nothing to copy at {source!r}")
            arrived = _Arrival(parent, name, told)
            arrived.take(first, reader, entries)
            done = running.done()
        left_out = [*arrived.left_out, *_complaints(done)]
        return Copied(shown, arrived.files, told.bytes, left_out)


class _Arrival:
    """What comes out of a box gets its name in a directory that is open when all of it is there."""

    def __init__(self, parent: int, name: bytes, told: Told) -> None:
        self._parent, self._name, self._told = parent, name, told
        self.files = 0
        self.left_out: list[LeftOut] = []

    def take(self, first: Entry, reader: Reader, entries: Iterator[Entry]) -> None:
        """Take a tree or a file."""
        if first.kind is Kind.DIRECTORY:
            self._take_tree(first, reader, entries)
            return
        self._refuse_directory()
        self._unpack(self._parent, [first], reader, self._name)
        if next(entries, None) is not None:
            raise CopyError("the box sent more than the one file", hint="it is not to be trusted")

    def _refuse_directory(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            seen = os.lstat(self._name, dir_fd=self._parent)
            if stat.S_ISDIR(seen.st_mode):
                raise CopyError(f"{below.named(self._name)} is a directory", hint="name a file")

    def _take_tree(self, top: Entry, reader: Reader, entries: Iterator[Entry]) -> None:
        try:
            there = os.open(self._name, DIRECTORY, dir_fd=self._parent)
        except FileNotFoundError:
            self._take_new(top, reader, entries)
            return
        except OSError as wrong:
            if wrong.errno in (errno.ENOTDIR, errno.ELOOP):
                why = f"{below.named(self._name)} is there, and no directory"
                raise CopyError(why, hint="remove it, or copy to another name") from None
            raise
        try:
            self._unpack(there, entries, reader)
        finally:
            os.close(there)

    def _take_new(self, top: Entry, reader: Reader, entries: Iterator[Entry]) -> None:
        stage = b".cai-" + os.urandom(8).hex().encode()
        os.mkdir(stage, 0o700, dir_fd=self._parent)
        try:
            fd = os.open(stage, DIRECTORY, dir_fd=self._parent)
            try:
                self._unpack(fd, entries, reader)
                os.fchmod(fd, top.mode & 0o777)
                os.utime(fd, ns=(top.time, top.time))
            finally:
                os.close(fd)
            os.rename(stage, self._name, src_dir_fd=self._parent, dst_dir_fd=self._parent)
        except BaseException:
            shutil.rmtree(os.fsdecode(stage), ignore_errors=True, dir_fd=self._parent)
            raise

    def _unpack(
        self, root: int, entries: "Iterator[Entry] | list[Entry]", reader: Reader, name: bytes = b""
    ) -> None:
        unpacker = Unpacker(root, self._told, hard_links=False)
        try:
            for entry in entries:
                unpacker.add(entry, reader, name or None)
            unpacker.finish()
        finally:
            unpacker.close()
        self.files += unpacker.files
        self.left_out += unpacker.left_out
        more = unpacker.missing - len(unpacker.left_out)
        if more:
            self.left_out.append(LeftOut("…", f"{more} more"))


def give(
    host: Programs, session: Session, source: str, to: str, guarded: set[Identity], ui: Ui
) -> Copied:
    """Copy a tree or a file that an agent may change meanwhile."""
    from containai.host.pack import Packer

    with _source(source, guarded) as (parent, name):
        seen = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISLNK(seen.st_mode):
            raise CopyError(
                f"{source!r} is a link, and none is followed",
                hint=f"copy what it leads to: {os.path.realpath(source)!r}",
            )
        is_directory = stat.S_ISDIR(seen.st_mode)
        kind = "directory" if is_directory else "file"
        script = scripts.argv("boxes/copy-in.sh", to, _last(source), kind)
        told = Told(ui, f"copying {source}")
        with piped(host, session(script), writes=True) as running:
            packer = Packer(running.stream, told)
            # Where the box has had enough, it says why.
            with contextlib.suppress(BrokenPipeError):
                packer.add(parent, name, b"item")
                packer.finish()
            if packer.left_out and not packer.files and not is_directory:
                raise CopyError(f"{source!r}: {packer.left_out[0].why}", hint="look: ls -ld")
            done = running.done()
        if done.code:
            raise _failed(done, "it could not be unpacked")
        names = [LeftOut(_below(source, each.name), each.why) for each in packer.left_out]
        return Copied(to, packer.files, told.bytes, names)


def _below(source: str, item: str) -> str:
    return source.rstrip("/") + item.removeprefix("item")


def _last(path: str) -> str:
    """Return the name that a copy has in a directory; none where what is in it is meant."""
    last = path.rstrip("/").rpartition("/")[2]
    return "" if last in ("", ".", "..", "~") else last


@contextlib.contextmanager
def _source(path: str, guarded: set[Identity]) -> Iterator[tuple[int, bytes]]:
    """Open the directory above a path of the host, or, where that is in one, itself."""
    last = os.fsencode(_last(path))
    above = _above(path) if last else path
    with _named(path), below.open_directory(above, guarded) as parent:
        if last:
            os.close(os.open(last, STANDS_FOR, dir_fd=parent))
        yield parent, last or b"."


@contextlib.contextmanager
def _place(to: str, name: str, guarded: set[Identity]) -> Iterator[tuple[int, bytes, str]]:
    """Open the directory that a copy goes into; give its name there, and its path."""
    with contextlib.ExitStack() as stack, _named(to):
        try:
            parent = stack.enter_context(below.open_directory(to, guarded))
        except (FileNotFoundError, NotADirectoryError):
            if to.endswith("/"):
                raise
            name = os.path.basename(os.path.abspath(to))
            parent = stack.enter_context(below.open_directory(_above(to), guarded))
            yield parent, os.fsencode(name), os.path.abspath(to)
        else:
            yield parent, os.fsencode(name or "."), os.path.join(to, name)


def _above(path: str) -> str:
    return os.path.dirname(os.path.abspath(path))


@contextlib.contextmanager
def _named(path: str) -> Iterator[None]:
    """Name the path of the host that an error is about."""
    if not path or "\0" in path:
        raise CopyError(f"{path!r} is no path", hint="for example: ./notes.txt")
    if path == "-":
        how = "a stream is: cai exec . -- tar -c PATH; a file of that name is ./-"
        raise CopyError("'-' is no path", hint=how)
    try:
        yield
    except OSError as wrong:
        if wrong.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpaceError(f"no room at {path!r}", hint="free some there") from None
        why = "does not exist" if wrong.errno == errno.ENOENT else str(wrong.strerror)
        hint = "make it: mkdir -p" if path.endswith("/") else "look: ls -ld"
        raise CopyError(f"{path!r}: {why}", hint=f"{hint} {path!r}") from None


def _said(done: Done) -> str:
    """Return the line in which a box says what is wrong."""
    lines = [line.removeprefix("tar: ") for line in done.err.splitlines() if line.strip()]
    return lines[0][:_SHOWN] if lines else ""


def _failed(done: Done, otherwise: str) -> CopyError | NoSpaceError:
    """Return the error for a copy that a box ended."""
    said = _said(done)
    if any(words in done.err for words in _FULL):
        return NoSpaceError(f"the box has no room: {said}", hint="free some there: cai shell")
    if done.code == 255 and not said:
        said = "the connection to the box was lost"
    return CopyError(f"in the box: {said}" if said else otherwise, hint="look: cai shell")


def _complaints(done: Done) -> list[LeftOut]:
    """Return what tar in a box could not read, in its words."""
    if not done.code:
        return []
    split = [
        line.removeprefix("tar: ./").rpartition(": ")
        for line in done.err.splitlines()
        if line.startswith("tar: ./")
    ]
    said = [LeftOut(name[:_SHOWN], why[:_SHOWN]) for name, _, why in split[:_LINES]]
    return said or [LeftOut("something", f"in the box: {_said(done) or done.code}")]
