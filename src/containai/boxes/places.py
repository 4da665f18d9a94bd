"""Where a box has what of the host: beside /home/agent/workspace, at the same path as outside.

Virtual environments, build directories, debuggers and compose files have absolute paths in them.
"""

import os
from collections.abc import Sequence
from typing import NamedTuple

from containai.boxes import protection
from containai.boxes.workspace import Workspace
from containai.host import repository
from containai.host.repository import Linked, NotLinkedError
from containai.layout import WORKSPACE_IN_BOX, Layout, is_below
from containai.light import sha256

#: What a box has of its own. A path in one of them, or above one, is not put over it.
_OF_THE_BOX = (
    "/bin", "/boot", "/dev", "/etc", "/home/agent", "/lib", "/lib32", "/lib64", "/libx32",
    "/mnt/agent-data", "/proc", "/root", "/run", "/sbin", "/snap", "/sys", "/usr", "/var",
)  # fmt: skip
#: What of that has room for others; and, with the directories that every system has, what is not
#: put over itself.
_ROOMY = ("/var/tmp", "/var/www")  # noqa: S108 - in a box
_COMMON = ("/", "/home", "/media", "/mnt", "/opt", "/srv", "/tmp", *_ROOMY)  # noqa: S108
#: What a box is told of the repository of its linked worktree, and what it makes of it: see there
#: (images/base/rootfs/usr/local/lib/containai/repository).
REPOSITORY_FILE_IN_BOX = "etc/containai/repository"
#: The same for a box that runs already, said to it.
LINK = (
    "sh",
    "-c",
    f"umask 022; cat >/{REPOSITORY_FILE_IN_BOX} && exec /usr/local/lib/containai/repository",
)
_REPOSITORY_IN_BOX = "/var/lib/containai/git"
#: Later than the day on which git would write `gitdir` anew, as it does once a day.
_NEVER = 4102444800


class Mount(NamedTuple):
    """A directory or a file of the host in a box."""

    source: str
    target: str
    writable: bool = True


class Places(NamedTuple):
    """What of the host a box has beside its workspace, and where sessions start in it.

    `files` are files of cai's own that some of it is, with their text; `repository` is that of a
    linked worktree; `directories`, with the workspace's path, are made in it. `news` are lines for
    whoever makes the box.
    """

    mounts: tuple[Mount, ...] = ()
    start: str = WORKSPACE_IN_BOX
    files: tuple[tuple[str, str], ...] = ()
    repository: str = ""
    directories: tuple[tuple[str, str], ...] = ()
    news: tuple[str, ...] = ()


def of(layout: Layout, workspace: Workspace, protect: Sequence[str] = ()) -> Places:
    """Return what a box of a workspace has of the host; `protect` are paths that it cannot write.

    A mount that lies in another comes after it.
    """
    places = _of_workspace(workspace, protect)
    linked, why = _linked(layout, workspace.path)
    if linked is None:
        return places._replace(news=(*places.news, *([why] if why else [])))
    return _with_git(layout, places, workspace, linked, protect)


def _of_workspace(workspace: Workspace, protect: Sequence[str]) -> Places:
    path = workspace.path
    at_home = taken_by(path)
    mounts, news = [], []
    if not at_home:
        mounts.append(Mount(path, path, not workspace.read_only))
    elif path != WORKSPACE_IN_BOX:
        news.append(
            f"cai: the box has {path!r} as {WORKSPACE_IN_BOX} only, and not at the path that it "
            f"has here: {at_home} is the box's own\n"
        )
    if workspace.read_only:
        return Places(tuple(mounts), news=tuple(news))
    held = protection.held(path, protect)
    tops = [WORKSPACE_IN_BOX, *([] if at_home else [path])]
    for part, writable in held.parts():
        source = os.path.join(path, part)
        mounts += [Mount(source, os.path.join(top, part), writable) for top in tops]
    for part in held.made:
        news.append(f"cai: made in {path!r}, and empty: {part}, which the box cannot write\n")
    if held.links:
        links = ", ".join(held.links)
        news.append(f"cai: the box can write what is reached through a symbolic link: {links}\n")
    made = tuple((path, part) for part in held.made)
    return Places(tuple(mounts), directories=made, news=tuple(news))


def _linked(layout: Layout, path: str) -> tuple[Linked | None, str]:
    """Return the git directory outside of a workspace, or why it is not taken."""
    try:
        linked = repository.linked(path, layout.home)
        if linked is not None and (in_the_way := taken_by(linked.top)):
            raise NotLinkedError(f"{in_the_way} is the box's own")
    except (NotLinkedError, OSError) as wrong:
        told = wrong.strerror if isinstance(wrong, OSError) else wrong
        return None, f"cai: the git directory of {path!r} is not in the box: {told}\n"
    return linked, ""


def repository_of(layout: Layout, path: str) -> str:
    """Return the repository that a workspace is a linked worktree of, or ""."""
    linked, _ = _linked(layout, path)
    return linked.common if linked is not None else ""


def _with_git(
    layout: Layout, places: Places, workspace: Workspace, linked: Linked, protect: Sequence[str]
) -> Places:
    here = WORKSPACE_IN_BOX if taken_by(workspace.path) else workspace.path
    places = places._replace(start=here, news=(*places.news, _told(linked)))
    if linked.common:
        mounts, files = _of_worktree(layout, linked, here)
        places = places._replace(files=files, repository=linked.common)
    else:
        own = [path.removeprefix(".git/") for path in protect if path.startswith(".git/")]
        held = protection.held(linked.directory, own)
        mounts = [Mount(linked.directory, linked.directory)]
        for part, writable in held.parts():
            path = os.path.join(linked.directory, part)
            mounts.append(Mount(path, path, writable))
    return places._replace(mounts=(*places.mounts, *mounts))


def taken_by(path: str) -> str:
    """Return what of a box a path of the host is in, or would hide, or "" where it has room."""
    if path in _COMMON:
        return path
    if any(is_below(path, roomy) for roomy in _ROOMY):
        return ""
    return next((own for own in _OF_THE_BOX if is_below(path, own) or is_below(own, path)), "")


def _of_worktree(
    layout: Layout, linked: Linked, here: str
) -> tuple[list[Mount], tuple[tuple[str, str], ...]]:
    """Return what a box of a linked worktree has of its repository, and the files that are ours."""
    directory, common = linked.directory, linked.common
    # git writes the back link anew each day, for the directory that it is used in.
    texts = {"gitdir": f"{here}/.git\n", "commondir": f"{_REPOSITORY_IN_BOX}\n"}
    ours = {name: os.path.join(layout.git_links, _digest(text)) for name, text in texts.items()}
    parts = [os.path.join(common, name) for name in linked.shared]
    fixed = [os.path.join(directory, name) for name in linked.own]
    return [
        # Read-only as a whole: in a directory that can be written, another `hooks` or `config` can
        # be put in the place of one that cannot.
        Mount(common, common, writable=False),
        *(Mount(part, part) for part in (*parts, directory)),
        *(Mount(part, part, writable=False) for part in fixed),
        *(Mount(ours[name], os.path.join(directory, name), writable=False) for name in texts),
    ], tuple((ours[name], text) for name, text in texts.items())


def _digest(text: str) -> str:
    return sha256(text.encode())[:16]


def given(places: Places) -> dict[str, tuple[str, int]]:
    """Return what a box is told of its places, before it boots."""
    return {REPOSITORY_FILE_IN_BOX: (places.repository + "\n", 0o644)} if places.repository else {}


def joined(places: Places, more: Sequence[Mount]) -> Places:
    """Return places with more mounts: what the user gives boxes."""
    if not more:
        return places
    lines = [
        f"{m.source!r} as {m.target!r} ({'writable' if m.writable else 'read-only'})" for m in more
    ]
    told = f"cai: the box has of the host, too: {', '.join(lines)}\n"
    return places._replace(mounts=(*places.mounts, *more), news=(*places.news, told))


def _told(linked: Linked) -> str:
    if linked.common:
        return (
            f"cai: the repository of this worktree, {linked.common!r}, is in the box, too: its "
            "objects and refs can be written there, its hooks and its configuration not\n"
        )
    return f"cai: the git directory of this submodule, {linked.directory!r}, is in the box, too\n"


def prepare(places: Places) -> None:
    """Make what of a box's places is not there. Raises OSError."""
    from containai.host import files as host_files

    for workspace, directory in places.directories:
        protection.make(workspace, directory)
    for path, text in places.files:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        # Other boxes have the file that is there.
        if host_files.read_if_whole(path) != text:
            host_files.write(path, text, mode=0o644)
        os.utime(path, (_NEVER, _NEVER))
