"""The remote places of a user, kept: read and changed by one command at a time."""

import os
from collections.abc import Callable

from containai.errors import UsageError
from containai.host import files
from containai.incus import known
from containai.incus.known import Places, Remote
from containai.layout import LOCAL, Layout

#: How long another command is waited for that changes them, in seconds.
_WAIT = 10.0


def load(layout: Layout) -> Places:
    """Return the places of a user. Raises DamagedError."""
    return known.parsed(files.read(layout.remotes), layout.remotes)


def find(layout: Layout, name: str) -> Remote:
    """Return a place by its name. Raises UsageError where there is none."""
    remotes = load(layout).remotes
    if name not in remotes:
        there = f"there are: {', '.join(sorted(remotes))}" if remotes else "there is none yet"
        raise UsageError(
            f"there is no remote place {name!r}", hint=f"{there}. One is made by: cai remote add"
        )
    return remotes[name]


def change(layout: Layout, how: Callable[[Places], Places]) -> Places:
    """Change the places; return what they are then. Raises DamagedError, what `how` raises."""
    lock = os.path.join(layout.state_dir, "remotes.lock")
    with files.lock(lock, wait=_WAIT, what="the list of remote places"):
        files.private_directory(layout.config_dir)
        now = how(load(layout))
        files.write(layout.remotes, known.written(now), 0o600)
    return now


def keep(layout: Layout, remote: Remote) -> None:
    """Have a place, in place of what has its name."""
    change(layout, lambda places: places._replace(remotes=places.remotes | {remote.name: remote}))


def forget(layout: Layout, name: str) -> Places:
    """Have a place no more; where it was the default, this machine is."""

    def without(places: Places) -> Places:
        left = {each: remote for each, remote in places.remotes.items() if each != name}
        return Places(left, LOCAL if places.default == name else places.default)

    return change(layout, without)


def use(layout: Layout, name: str) -> None:
    """Have a place, or this machine, be the one that counts where none is named."""
    change(layout, lambda places: places._replace(default=name))
