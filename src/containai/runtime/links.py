"""Symbolic links on the way to a bind source: followed where nobody but root can have made them.

/etc/localtime and /var/run are such links on every machine. A link in a workspace is the agent's,
and would lead wherever the agent wants.
"""

import os
import stat

#: As many as the kernel follows (path_resolution(7)).
MAXIMUM = 40


def resolved(path: str, guests: str) -> str:
    """Return an absolute path with its links followed up to the first directory of somebody else.

    From there on it is left as it is, for whoever opens it to refuse links. `guests` is a directory
    below which no owner counts: on disk, what a container's root makes in the engine's data is
    root's.
    """
    seen, rest, links = "/", _reversed(path), 0
    while rest and _is_roots_alone(seen, guests):
        name = rest.pop()
        at = os.path.normpath(os.path.join(seen, name))
        try:
            status = os.lstat(at)
            target = os.readlink(at) if stat.S_ISLNK(status.st_mode) else None
        except OSError:
            rest.append(name)
            break
        if target is None:
            seen = at
            continue
        links += 1
        if status.st_uid != 0 or links > MAXIMUM:
            rest.append(name)
            break
        rest += _reversed(target)
        if target.startswith("/"):
            seen = "/"
    return os.path.join(seen, *reversed(rest))


def _reversed(path: str) -> list[str]:
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _is_roots_alone(directory: str, guests: str) -> bool:
    """Whether root alone can make anything in a directory. No part of its path is a link."""
    if directory == guests or directory.startswith(guests + "/"):
        return False
    status = os.lstat(directory)
    # An access control list shows in the bits of the group, which are its mask (acl(5)).
    writable = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISDIR(status.st_mode) and status.st_uid == 0 and not writable
