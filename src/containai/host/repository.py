"""The git directory of a workspace whose `.git` is a file: a linked worktree, or a submodule.

The file is the agent's to write, and may name any directory of this machine. What it names counts
only where that names the workspace in turn (`gitdir` of a worktree, `core.worktree` of a
submodule), is its owner's, and no link leads to it. git is not asked: it would run what a
repository's configuration says.
"""

import os
import re
import stat
from collections.abc import Callable
from typing import NamedTuple

from containai.layout import is_below

#: Longest of the files that are read here, in bytes.
_LIMIT = 1 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Linked(NamedTuple):
    """A git directory that lies outside of its workspace.

    `common` is that of the repository, where it is another: of a worktree. `shared` are the parts
    of that which a worktree writes, `own` those of its own that are configuration.
    """

    directory: str
    common: str = ""
    shared: tuple[str, ...] = ()
    own: tuple[str, ...] = ()

    @property
    def top(self) -> str:
        """The directory that has all of it."""
        return self.common or self.directory


class NotLinkedError(Exception):
    """Why what `.git` names is not taken for the workspace's."""


#: What of a repository a commit, a branch and a fetch in a linked worktree write. Not the directory
#: itself: who can write that can put another `config` or `hooks` in place.
SHARED = ("objects", "refs", "logs", "reftable", "lfs", "rr-cache")
#: What of a worktree's own git executes, if the repository's configuration says so.
_OWN = ("config.worktree",)


def linked(workspace: str, home: str) -> Linked | None:
    """Return the git directory of a workspace that is outside of it, or None where there is none.

    Raises NotLinkedError for one that is not the workspace's, and OSError for what cannot be read.
    """
    top = _opened(workspace)
    try:
        owner = os.fstat(top).st_uid
        seen = _status(top, ".git")
        if seen is None or not stat.S_ISREG(seen.st_mode):
            return None
        said = _read(top, ".git")
    finally:
        os.close(top)
    if not said.startswith("gitdir: "):
        raise NotLinkedError("'.git' names no git directory")
    directory = _joined(workspace, said.removeprefix("gitdir: "))
    if is_below(directory, workspace):
        return None
    fd = _opened(directory)
    try:
        if os.path.basename(os.path.dirname(directory)) == "worktrees":
            found = _worktree(fd, directory, workspace)
        else:
            found = _submodule(fd, directory, workspace)
    finally:
        os.close(fd)
    _refuse_strange(found.top, owner, workspace, home)
    return found


def _worktree(fd: int, directory: str, workspace: str) -> Linked:
    common = os.path.dirname(os.path.dirname(directory))
    if _joined(directory, _read(fd, "gitdir")) != os.path.join(workspace, ".git"):
        raise NotLinkedError(f"{directory!r} does not name this workspace")
    if _joined(directory, _read(fd, "commondir")) != common:
        raise NotLinkedError(f"{directory!r} names another repository than it is in")
    own = tuple(name for name in _OWN if _is_kind(fd, name, stat.S_ISREG))
    above = _opened(common)
    try:
        shared = tuple(name for name in SHARED if _is_kind(above, name, stat.S_ISDIR))
    finally:
        os.close(above)
    return Linked(directory, common, shared, own)


def _submodule(fd: int, directory: str, workspace: str) -> Linked:
    named = _work_tree(_read(fd, "config"))
    if named is None or _joined(directory, named) != workspace:
        raise NotLinkedError(f"core.worktree in {directory!r} does not name this workspace")
    return Linked(directory)


def _refuse_strange(top: str, owner: int, workspace: str, home: str) -> None:
    fd = _opened(top)
    try:
        if os.fstat(fd).st_uid != owner:
            raise NotLinkedError(f"{top!r} is not its owner's")
        kinds = {"HEAD": stat.S_ISREG, "objects": stat.S_ISDIR, "refs": stat.S_ISDIR}
        if not all(_is_kind(fd, name, kind) for name, kind in kinds.items()):
            raise NotLinkedError(f"{top!r} is no git repository")
    finally:
        os.close(fd)
    if is_below(workspace, top) or is_below(os.path.realpath(home), top):
        raise NotLinkedError(f"{top!r} is more than a repository")


def _opened(path: str) -> int:
    """Open a directory by an absolute path none of whose parts is a link."""
    fd = os.open("/", _DIRECTORY)
    for part in filter(None, path.split("/")):
        try:
            deeper = os.open(part, _DIRECTORY, dir_fd=fd)
        except NotADirectoryError:
            raise NotLinkedError(
                f"{path!r} is no directory, or a symbolic link leads there"
            ) from None
        except FileNotFoundError:
            raise NotLinkedError(f"{path!r} is not there") from None
        finally:
            os.close(fd)
        fd = deeper
    return fd


def _status(directory: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _is_kind(directory: int, name: str, is_kind: Callable[[int], bool]) -> bool:
    seen = _status(directory, name)
    return seen is not None and is_kind(seen.st_mode)


def _read(directory: int, name: str) -> str:
    """Return a file's text without its last line's end."""
    try:
        with os.fdopen(os.open(name, _FILE, dir_fd=directory), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise NotLinkedError(f"{name!r} is no regular file")
            raw = file.read(_LIMIT)
    except FileNotFoundError:
        raise NotLinkedError(f"there is no {name!r}") from None
    text = os.fsdecode(raw).removesuffix("\n")
    if any(ord(c) < 32 or ord(c) == 127 for c in text) and name != "config":
        raise NotLinkedError(f"{name!r} has a control character in it")
    return text


def _joined(base: str, path: str) -> str:
    return os.path.normpath(os.path.join(base, path))


def _work_tree(config: str) -> str | None:
    """Return core.worktree of a git configuration (git-config(1)), as `git submodule` writes it."""
    section, found = "", None
    for line in map(str.strip, config.splitlines()):
        if header := re.fullmatch(r"\[([A-Za-z0-9.-]+)\]", line):
            section = header[1].lower()
        elif line.startswith("["):
            section = ""
        elif section == "core" and (row := re.fullmatch(r"(?i)worktree\s*=\s*(.*)", line)):
            found = _unquoted(row[1])
    return found


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    return re.sub(r'\\(["\\])', r"\1", value)
