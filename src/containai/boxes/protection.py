"""What of a workspace is held as it is: what programs of the host execute is read-only in the box.

The workspace is the agent's to write: no link in it is followed.
"""

import contextlib
import os
import stat
from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: Made where it is missing and wanted: git does without it, and makes none.
HOOKS = ".git/hooks"


class Held(NamedTuple):
    """Paths in a workspace, those above before those below.

    What is `pinned` has a mount of its own, as that cannot be renamed; what is `fixed` cannot be
    written. `made` are directories to be made first; `links` cannot be held.
    """

    pinned: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    links: tuple[str, ...] = ()

    def parts(self) -> list[tuple[str, bool]]:
        """Return all that is mounted, and whether it can be written."""
        every = [(path, True) for path in self.pinned] + [(path, False) for path in self.fixed]
        return sorted(every, key=lambda part: (part[0].count("/"), part[0]))


def held(workspace: str, wanted: Sequence[str]) -> Held:
    """Return what is to be held of a workspace, of what is there."""
    pinned: dict[str, None] = {}
    fixed: dict[str, None] = {}
    made, links = [], []
    for path in sorted(wanted, key=lambda path: path.count("/")):
        names = path.split("/")
        above = ["/".join(names[:count]) for count in range(1, len(names))]
        kinds = _kinds(workspace, names)
        if any(parent in fixed for parent in above):
            continue
        if stat.S_IFLNK in kinds:
            links.append(path)
        elif len(kinds) < len(names) and kinds[:1] == [stat.S_IFREG] and names[0] == ".git":
            # Of a linked worktree, or a submodule: what leads git to its directory.
            fixed[".git"] = None
        elif len(kinds) == len(names) and kinds[-1] in (stat.S_IFREG, stat.S_IFDIR):
            pinned |= dict.fromkeys(above)
            fixed[path] = None
        elif path == HOOKS and kinds == [stat.S_IFDIR]:
            pinned[".git"] = None
            fixed[path] = None
            made.append(path)
    return Held(tuple(pinned), tuple(fixed), tuple(made), tuple(links))


def _kinds(workspace: str, names: Sequence[str]) -> list[int]:
    """Return what each part of a path is, up to the first that is no directory or not there."""
    kinds = []
    with ExitStack() as opened, contextlib.suppress(OSError):
        fd = _opened(workspace, opened)
        for name in names:
            kinds.append(stat.S_IFMT(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode))
            fd = os.open(name, _DIRECTORY, dir_fd=fd)
            opened.callback(os.close, fd)
    return kinds


def _opened(workspace: str, opened: ExitStack) -> int:
    fd = os.open(workspace, _DIRECTORY)
    opened.callback(os.close, fd)
    return fd


def make(workspace: str, path: str) -> None:
    """Make an empty directory in a workspace, for whoever owns what it is in. Raises OSError."""
    *above, name = path.split("/")
    with ExitStack() as opened:
        fd = _opened(workspace, opened)
        for part in above:
            fd = os.open(part, _DIRECTORY, dir_fd=fd)
            opened.callback(os.close, fd)
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=fd)
            owner = os.fstat(fd)
            os.chown(name, owner.st_uid, owner.st_gid, dir_fd=fd, follow_symlinks=False)
