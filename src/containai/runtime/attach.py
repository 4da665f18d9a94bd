"""Mounts that are added to a container that runs, and taken away again.

The source is what it would be at `create`: opened without following links, its owner's files the
agent's. Within the container nothing is trusted: its root may have mounted anything anywhere, move
what we have looked at, and answer for a file system that never answers. So a child does what has to
be done in there, as the container's own root, by descriptor and following no link, for at most
TIMEOUT seconds. What a FUSE server has read cannot always be interrupted; such a child ends with
its container, and mounts nothing any more.
"""

import contextlib
import errno
import os
import select
import signal
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from . import attached, links, sources, staging, syscalls
from .attached import Attached
from .config import Config
from .errors import RuntimeRefusal
from .ranges import Range

#: How long a container's own file systems may keep us, in seconds.
TIMEOUT = 5.0
#: Where the kernel and the container's runtime have theirs.
_OTHERS = ("/proc", "/sys", "/dev")
#: How many mounts are taken off one place.
_DEEP = 16


class Inside(NamedTuple):
    """The namespaces of a container that runs, by descriptor, and its mounts (proc(5))."""

    user: int
    mounts: int
    uts: int
    mountinfo: str

    @property
    def points(self) -> list[str]:
        """Where something is mounted."""
        lines = [line.split(" ", 5) for line in self.mountinfo.split("\n")]
        return [staging.unescaped(fields[4]) for fields in lines if len(fields) == 6]


class Placed(NamedTuple):
    """A detached mount, and where a container is to have it."""

    tree: staging.Tree
    destination: str


def attach(config: Config, mine: Range, process: int, wanted: Attached) -> None:
    """Mount something of the host's in a container, whose first process that is, and record it.

    What is there already stays. Raises RuntimeRefusal.
    """
    wanted = checked(config, wanted)
    with changing(config, mine, process) as (lock, inside):
        had = attached.read(config.attached, mine.container)
        is_mounted = wanted.destination in inside.points
        if wanted in had.added and is_mounted:
            return
        others = had._replace(added=tuple(each for each in had.added if each != wanted))
        if is_mounted or wanted.destination in [each.destination for each in others.mounts]:
            raise RuntimeRefusal(f"{wanted.destination}: something is mounted there already")
        if len(others.added) >= attached.LIMIT:
            raise RuntimeRefusal(f"{len(others.added)} mounts were added to this container already")
        with trees(config, mine, [wanted]) as placed:
            try:
                # Before: killed in between, the next start, or the same call again, mounts it.
                new = others._replace(added=(*others.added, wanted))
                attached.write(config.attached, mine.container, new)
                in_child(lock, lambda: mount(inside, config.stage, placed))
            except (RuntimeRefusal, OSError):
                attached.write(config.attached, mine.container, others)
                raise


def detach(config: Config, mine: Range, process: int, destination: str) -> None:
    """Take a mount that was added away again, and out of the record.

    A process that holds it, or has it in a mount namespace of its own, keeps it for as long.
    Raises RuntimeRefusal where none was added there, and where the container is in the way; it is
    out of the record then.
    """
    with changing(config, mine, process) as (lock, inside):
        had = attached.read(config.attached, mine.container)
        added = tuple(each for each in had.added if each.destination != destination)
        if len(added) == len(had.added):
            raise RuntimeRefusal(f"no mount was added at {destination}")
        count = inside.points.count(destination)
        try:
            if count:
                in_child(lock, lambda: unmount(inside, [destination] * min(count, _DEEP)))
        except RuntimeRefusal as wrong:
            raise RuntimeRefusal(
                f"the box has it until it is restarted: it cannot be taken off [{wrong}]"
            ) from None
        finally:
            attached.write(config.attached, mine.container, had._replace(added=added))


@contextlib.contextmanager
def changing(config: Config, mine: Range, process: int) -> Iterator[tuple[int, Inside]]:
    """Be the only one who changes what a container got; yield its lock, and what it is inside."""
    with (
        attached.locked(config.attached, mine.container) as lock,
        _entered(process, mine.base) as inside,
    ):
        yield lock, inside


@contextlib.contextmanager
def trees(
    config: Config, mine: Range, wanted: Sequence[Attached], copies: staging.Trees | None = None
) -> Iterator[list[Placed]]:
    """Yield detached mounts of sources of the host's, with the ids of a container.

    `copies` may have the namespaces already that map them. Raises RuntimeRefusal for what cannot be
    a source.
    """
    rule = sources.rule(config, mine, sources.mounts_here())
    copies = copies or staging.Trees(mine.base)
    with contextlib.ExitStack() as opened:
        placed = []
        for each in wanted:
            tree = copies.bound(each.source, rule, recursive=True, readonly=each.readonly)
            opened.callback(os.close, tree.fd)
            placed.append(Placed(tree, each.destination))
        yield placed


def checked(config: Config, wanted: Attached) -> Attached:
    """Return what is to be mounted with its source's real path. Raises RuntimeRefusal."""
    destination = wanted.destination
    if not wanted.source.startswith("/"):
        raise RuntimeRefusal(f"bind source {wanted.source}: no absolute path")
    if not attached.is_plain(destination):
        raise RuntimeRefusal(f"{destination!r} is no place in a container: a path from / on")
    if any(staging.is_below(destination, other) for other in _OTHERS):
        raise RuntimeRefusal(f"{destination}: nothing is mounted there")
    source = links.resolved(wanted.source, os.path.realpath(config.engine_data))
    return wanted._replace(source=source)


@contextlib.contextmanager
def _entered(process: int, base: int) -> Iterator[Inside]:
    """Open the namespaces of a process, which has to be of the container with these ids."""
    flags = os.O_RDONLY | os.O_CLOEXEC
    with contextlib.ExitStack() as opened:
        try:
            at = os.open(f"/proc/{process}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            opened.callback(os.close, at)
            found = {}
            for name in ("ns/user", "ns/mnt", "ns/uts", "mountinfo", "uid_map"):
                found[name] = os.open(name, flags, dir_fd=at)
                opened.callback(os.close, found[name])
            with open(found["uid_map"], "rb", closefd=False) as file:
                first = file.read().split()[:2]
            with open(found["mountinfo"], "rb", closefd=False) as file:
                mountinfo = file.read().decode("utf-8", "surrogateescape")
        except OSError:
            raise RuntimeRefusal("the container does not run") from None
        if first != [b"0", b"%d" % base]:
            # Its number is another's by now.
            raise RuntimeRefusal("the container does not run")
        yield Inside(found["ns/user"], found["ns/mnt"], found["ns/uts"], mountinfo)


def in_child(lock: int, act: Callable[[], None]) -> None:
    """Do something in a child, for a while. Raises RuntimeRefusal with what it says."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = b"it was ended"
        try:
            os.close(lock)
            act()
            said = b""
        except OSError as wrong:
            said = (wrong.strerror or str(wrong)).encode()
        except RuntimeRefusal as refused:
            said = str(refused).encode()
        finally:
            os.write(writing, b"." + said)
            os._exit(0)
    os.close(writing)
    try:
        ready, _, _ = select.select([reading], [], [], TIMEOUT)
        said = os.read(reading, 4096) if ready else b""
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)
    if not ready:
        raise RuntimeRefusal("a file system in the box does not answer")
    os.waitpid(child, 0)
    if said != b".":
        raise RuntimeRefusal(said[1:].decode(errors="replace") or "its process was killed")


def mount(
    inside: Inside, stage: str, placed: Sequence[Placed], instead: Sequence[str] = ()
) -> None:
    """Mount it all, one after the other: to be done by a child, which is in the container then.

    It is mounted `instead` of what is at those places, which comes off.
    """
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    copies = _locked(inside, stage, [each.tree for each in placed])
    syscalls.enter(inside.mounts, syscalls.CLONE_NEWNS)
    _be_its_root()
    for destination in instead:
        syscalls.unmount(destination)
    for fd, (tree, destination) in zip(copies, placed, strict=True):
        target = _target(destination, directory=tree.is_directory)
        syscalls.attach_to(fd, target)
        if destination not in instead:
            # As at `create`: what the host mounts in the source later is not for the container.
            syscalls.make_private(fd)
        # Who may rename what is above it had it somewhere else, perhaps. Wherever that is, and a
        # file or not, the descriptor leads there.
        itself = f"{os.getpid()}/fd/{fd}"
        if os.readlink(itself, dir_fd=proc) != destination:
            os.fchdir(proc)
            syscalls.unmount(itself, links=True)
            raise RuntimeRefusal(f"{destination} was moved meanwhile")


def _locked(inside: Inside, stage: str, trees: Sequence[staging.Tree]) -> list[int]:
    """Return copies of detached mounts of which the container's root can change no flag.

    The kernel locks the flags of mounts that a mount namespace of less rights is a copy of
    (mount_namespaces(7)): here that is one of the container's user namespace, which lasts as long
    as this process.
    """
    staging.make(stage, "size=64k")
    places = [os.path.join(stage, str(number)) for number in range(len(trees))]
    for place, tree in zip(places, trees, strict=True):
        staging.make_target(place, directory=tree.is_directory)
        syscalls.attach(tree.fd, place)
    syscalls.enter(inside.user, syscalls.CLONE_NEWUSER)
    syscalls.unshare(syscalls.CLONE_NEWNS)
    found = [os.open(place, os.O_PATH | os.O_CLOEXEC) for place in places]
    return [syscalls.open_tree(fd, syscalls.AT_RECURSIVE) for fd in found]


def _be_its_root() -> None:
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    os.umask(0o022)


def _target(destination: str, *, directory: bool) -> int:
    """Return a descriptor of a place in the container, which is made where there is none."""
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    parts = destination.strip("/").split("/")
    for count in range(1, len(parts) + 1):
        path = "/".join(parts[:count])
        try:
            fd = syscalls.open_beneath(root, path, links=False)
        except FileNotFoundError:
            above = "/".join(parts[: count - 1])
            at = syscalls.open_beneath(root, above, links=False) if above else root
            staging.make_target(
                parts[count - 1], directory=directory or count < len(parts), within=at
            )
            fd = syscalls.open_beneath(root, path, links=False)
        except OSError as wrong:
            if wrong.errno == errno.ELOOP:
                raise RuntimeRefusal(
                    f"{destination}: /{path} is a symbolic link in the box"
                ) from None
            raise
        if count < len(parts):
            os.close(fd)
    if stat.S_ISDIR(os.fstat(fd).st_mode) != directory:
        kind = "no directory" if directory else "a directory"
        raise RuntimeRefusal(f"{destination} is {kind} in the box, and what is to be there is not")
    return fd


def unmount(inside: Inside, destinations: Sequence[str]) -> None:
    """Take mounts off, one after the other: to be done by a child."""
    syscalls.enter(inside.user, syscalls.CLONE_NEWUSER)
    syscalls.enter(inside.mounts, syscalls.CLONE_NEWNS)
    _be_its_root()
    for destination in destinations:
        # As its root, in its mounts: wherever a path leads to, nothing but its own comes off.
        syscalls.unmount(destination)
