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
from collections.abc import Callable, Iterator
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
    mountinfo: str


def attach(config: Config, mine: Range, process: int, wanted: Attached) -> None:
    """Mount something of the host's in a container, whose first process that is, and record it.

    What is there already stays. Raises RuntimeRefusal.
    """
    _check(wanted)
    source = links.resolved(wanted.source, os.path.realpath(config.engine_data))
    wanted = wanted._replace(source=source)
    with _changing(config, mine, process) as (lock, inside):
        had = attached.read(config.attached, mine.container)
        is_mounted = wanted.destination in _points(inside.mountinfo)
        if wanted in had and is_mounted:
            return
        others = [each for each in had if each != wanted]
        if is_mounted or wanted.destination in [each.destination for each in others]:
            raise RuntimeRefusal(f"{wanted.destination}: something is mounted there already")
        if len(others) >= attached.LIMIT:
            raise RuntimeRefusal(f"{len(others)} mounts were added to this container already")
        rule = sources.rule(config, mine, sources.mounts_here())
        tree = staging.Trees(mine.base).bound(
            source, rule, recursive=True, readonly=wanted.readonly
        )
        try:
            # Before: killed in between, the next start, or the same call again, mounts it.
            attached.write(config.attached, mine.container, [*others, wanted])
            _in_child(lock, lambda: _mount(inside, config.stage, tree, wanted.destination))
        except (RuntimeRefusal, OSError):
            attached.write(config.attached, mine.container, others)
            raise
        finally:
            os.close(tree.fd)


def detach(config: Config, mine: Range, process: int, destination: str) -> None:
    """Take a mount that was added away again, and out of the record.

    A process that holds it, or has it in a mount namespace of its own, keeps it for as long.
    Raises RuntimeRefusal where none was added there, and where the container is in the way; it is
    out of the record then.
    """
    with _changing(config, mine, process) as (lock, inside):
        had = attached.read(config.attached, mine.container)
        kept = [each for each in had if each.destination != destination]
        if len(kept) == len(had):
            raise RuntimeRefusal(f"no mount was added at {destination}")
        count = _points(inside.mountinfo).count(destination)
        try:
            if count:
                _in_child(lock, lambda: _unmount(inside, destination, min(count, _DEEP)))
        except RuntimeRefusal as wrong:
            raise RuntimeRefusal(
                f"the box has it until it is restarted: it cannot be taken off [{wrong}]"
            ) from None
        finally:
            attached.write(config.attached, mine.container, kept)


@contextlib.contextmanager
def _changing(config: Config, mine: Range, process: int) -> Iterator[tuple[int, Inside]]:
    with (
        attached.locked(config.attached, mine.container) as lock,
        _entered(process, mine.base) as inside,
    ):
        yield lock, inside


def _check(wanted: Attached) -> None:
    destination = wanted.destination
    if not wanted.source.startswith("/"):
        raise RuntimeRefusal(f"bind source {wanted.source}: no absolute path")
    if not attached.is_plain(destination):
        raise RuntimeRefusal(f"{destination!r} is no place in a container: a path from / on")
    if any(staging.is_below(destination, other) for other in _OTHERS):
        raise RuntimeRefusal(f"{destination}: nothing is mounted there")


def _points(mountinfo: str) -> list[str]:
    lines = [line.split(" ", 5) for line in mountinfo.split("\n")]
    return [staging.unescaped(fields[4]) for fields in lines if len(fields) == 6]


@contextlib.contextmanager
def _entered(process: int, base: int) -> Iterator[Inside]:
    """Open the namespaces of a process, which has to be of the container with these ids."""
    flags = os.O_RDONLY | os.O_CLOEXEC
    with contextlib.ExitStack() as opened:
        try:
            at = os.open(f"/proc/{process}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            opened.callback(os.close, at)
            found = {}
            for name in ("ns/user", "ns/mnt", "mountinfo", "uid_map"):
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
        yield Inside(found["ns/user"], found["ns/mnt"], mountinfo)


def _in_child(lock: int, act: Callable[[], None]) -> None:
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


def _mount(inside: Inside, stage: str, tree: staging.Tree, destination: str) -> None:
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    fd = _locked(inside, stage, tree)
    syscalls.enter(inside.mounts, syscalls.CLONE_NEWNS)
    _be_its_root()
    target = _target(destination, directory=tree.is_directory)
    syscalls.attach_to(fd, target)
    # Who may rename what is above it had it somewhere else, perhaps. Wherever that is, and a file
    # or not, the descriptor leads there.
    itself = f"{os.getpid()}/fd/{fd}"
    if os.readlink(itself, dir_fd=proc) != destination:
        os.fchdir(proc)
        syscalls.unmount(itself, links=True)
        raise RuntimeRefusal(f"{destination} was moved meanwhile")


def _locked(inside: Inside, stage: str, tree: staging.Tree) -> int:
    """Return a copy of a detached mount of which the container's root can change no flag.

    The kernel locks the flags of mounts that a mount namespace of less rights is a copy of
    (mount_namespaces(7)): here that is one of the container's user namespace, which lasts as long
    as this process.
    """
    staging.make(stage, "size=16k")
    place = os.path.join(stage, "0")
    staging.make_target(place, directory=tree.is_directory)
    syscalls.attach(tree.fd, place)
    syscalls.enter(inside.user, syscalls.CLONE_NEWUSER)
    syscalls.unshare(syscalls.CLONE_NEWNS)
    fd = os.open(place, os.O_PATH | os.O_CLOEXEC)
    return syscalls.open_tree(fd, syscalls.AT_RECURSIVE)


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


def _unmount(inside: Inside, destination: str, count: int) -> None:
    syscalls.enter(inside.user, syscalls.CLONE_NEWUSER)
    syscalls.enter(inside.mounts, syscalls.CLONE_NEWNS)
    _be_its_root()
    for _ in range(count):
        # As its root, in its mounts: wherever a path leads to, nothing but its own comes off.
        syscalls.unmount(destination)
