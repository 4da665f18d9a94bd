"""What shows in a box whether lxcfs tells it its own figures."""

from .space import Space

#: Prints how many files of the box lxcfs keeps.
KEPT_BY_LXCFS = "grep -c 'fuse.lxcfs' /proc/self/mountinfo || true"
FILES_OF_LXCFS = 8


def readable(space: Space) -> bool:
    """Whether the box's memory is told, and by lxcfs."""
    script = f"head -1 /proc/meminfo >/dev/null && {KEPT_BY_LXCFS}"
    return space.sh(script, check=False) == str(FILES_OF_LXCFS)
