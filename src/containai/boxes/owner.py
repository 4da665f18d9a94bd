"""Whose a workspace is: the agent acts as its owner, so it has to be whoever asks for the box."""

import os
import pwd
import stat
import time
from collections import deque
from typing import NamedTuple

from containai.errors import WorkspaceError
from containai.host.machine import Machine
from containai.layout import Layout

#: Ids of people begin here (login.defs(5), UID_MIN), and end before nobody's.
_FIRST_PERSON, _NOBODY = 1000, 65534
#: How long a workspace is looked through for files of others, in seconds.
_LOOK = 0.02


class Caller(NamedTuple):
    """Who asks for a box: the users that this is, root and who went through sudo, and groups."""

    uids: frozenset[int]
    gids: frozenset[int]

    @classmethod
    def of(cls, host: Machine) -> "Caller":
        """Return who runs this."""
        uids, gids = {host.layout.uid}, {os.getegid(), *os.getgroups()}
        through = host.invoker()
        if through is not None:
            user = pwd.getpwnam(through.name)
            uids.add(user.pw_uid)
            gids.update(os.getgrouplist(user.pw_name, user.pw_gid))
        return cls(frozenset(uids), frozenset(gids))


def check(layout: Layout, path: str, caller: Caller) -> None:
    """Raise WorkspaceError for a workspace whose owner or group is not the caller's.

    Whose it is, the agent can make set-id programs of: a stranger's rights would be the agent's. A
    group counts for whoever is not root, who has all groups anyway.
    """
    seen = os.stat(path)
    if seen.st_uid not in caller.uids:
        if is_stored(layout, seen.st_uid):
            raise WorkspaceError(
                f"{path!r} was made by another user of a box than its agent: "
                "nobody on this machine owns it",
                hint=f"make it its owner's: cai reclaim {path!r}; or --force if you mean it",
            )
        raise WorkspaceError(
            f"{path!r} belongs to {user_name(seen.st_uid)}, and the agent would act as its owner",
            hint="give a directory of your own, or --force if you mean it",
        )
    if 0 not in (seen.st_uid, layout.uid) and seen.st_gid not in caller.gids:
        raise WorkspaceError(
            f"{path!r} belongs to the group {group_name(seen.st_gid)}, which you are not in, "
            "and the agent would act for that group",
            hint=f"give it a group of yours: chgrp {os.getegid()} {path!r}; "
            "or --force if you mean it",
        )


def of(layout: Layout, path: str) -> tuple[int, int]:
    """Return user and group that own a path, or the nearest directory above that is somebody's.

    What a box left there, of this version or an earlier one, is nobody's.
    """
    first, (last, count) = layout.id_window[0], layout.stored_ids
    while True:
        seen = os.lstat(path)
        if not any(first <= number < last + count for number in (seen.st_uid, seen.st_gid)):
            return seen.st_uid, seen.st_gid
        path = os.path.dirname(path)


def is_stored(layout: Layout, number: int) -> bool:
    """Whether an id on disk stands for a user of a box."""
    first, count = layout.stored_ids
    return first <= number < first + count


def exposed_to(path: str) -> str:
    """Return the name of a user who could run what the agent makes in root's workspace, or ""."""
    if os.stat(path).st_uid != 0:
        return ""
    above = [os.stat(path)]
    while path != "/":
        path = os.path.dirname(path)
        above.append(os.stat(path))
    for user in pwd.getpwall():
        if _FIRST_PERSON <= user.pw_uid < _NOBODY:
            gids = set(os.getgrouplist(user.pw_name, user.pw_gid))
            if all(_may_pass(directory, user.pw_uid, gids) for directory in above):
                return user.pw_name
    return ""


def _may_pass(directory: os.stat_result, uid: int, gids: set[int]) -> bool:
    """Whether a user may go through a directory, by its mode."""
    if directory.st_uid == uid:
        return bool(directory.st_mode & stat.S_IXUSR)
    if directory.st_gid in gids:
        return bool(directory.st_mode & stat.S_IXGRP)
    return bool(directory.st_mode & stat.S_IXOTH)


class Others(NamedTuple):
    """A file of a workspace that nobody in a box can change, and whose it is.

    `of_a_box` says that a box of an earlier version left it, which `cai reclaim` mends.
    """

    path: str
    owner: str
    of_a_box: bool


def others(layout: Layout, top: str, *, seconds: float = _LOOK) -> Others | None:
    """Return a file in a workspace that is of another user or group of the host, if one is seen.

    From the top down, for so many seconds; what is mounted in it is left out.
    """
    seen = os.stat(top)
    ours = ({seen.st_uid}, {seen.st_gid})
    end = time.monotonic() + seconds
    waiting = deque([top])
    while waiting and time.monotonic() < end:
        try:
            entries = list(os.scandir(waiting.popleft()))
        except OSError:
            continue
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if status.st_dev != seen.st_dev:
                continue
            ids = ((status.st_uid, ours[0]), (status.st_gid, ours[1]))
            strange = [n for n, own in ids if n not in own and not is_stored(layout, n)]
            if strange:
                owner = f"{user_name(status.st_uid)}:{group_name(status.st_gid)}"
                first, count = layout.id_window
                of_a_box = all(first <= number < first + count for number in strange)
                return Others(os.path.relpath(entry.path, top), owner, of_a_box)
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
    return None


def user_name(uid: int) -> str:
    """Return the name of a user, or the number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """Return the name of a group, or the number."""
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
