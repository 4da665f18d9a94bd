"""The file system that a directory is on: how large it is, and whether it can have limits in it."""

import os

from containai.layout import is_below


def size(path: str) -> int:
    """Return the size of a path's file system, in bytes."""
    seen = os.statvfs(nearest(path))
    return seen.f_blocks * seen.f_frsize


def nearest(path: str) -> str:
    """Return a path, or the nearest directory above that is there."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def without_quota(path: str, mountinfo: str) -> str:
    """Return why no directory there can have a limit of its own, or "" where one can.

    Docker has that on overlay2 over xfs with project quotas (--storage-opt size=).
    """
    point, kind, options = "", "", ""
    real = os.path.realpath(nearest(path))
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        words, (what, _, own) = before.split(" "), after.split(" ", 2)
        # The last one at a place is what is seen there.
        if is_below(real, words[4]) and len(words[4]) >= len(point):
            point, kind, options = words[4], what, own
    if kind != "xfs":
        return f"{path} is on {kind or 'what nobody knows'}"
    given = options.rpartition(" ")[2].split(",")
    if {"prjquota", "pquota"}.isdisjoint(given):
        return f"{path} is on xfs that is mounted without pquota"
    return ""
