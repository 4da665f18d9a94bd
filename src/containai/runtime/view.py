"""What the engine itself sees of a running container's root file system.

Docker mounts an overlay of its own over the very layers that the container's is made of, and two
overlays that share a writable layer do not know of each other (overlayfs.rst: "undefined
behavior"): what `docker cp` wrote through Docker's was missing inside, and directories that it had
copied up could not be written by the container any more (ENOTEMPTY; Linux 6.18). So Docker's is
for reading as long as the container runs, and forgets what it has read where we get the chance.
Docker unmounts it when the container stops and mounts another, writable one at need.
"""

import contextlib
import os

from . import syscalls


def protect(root: str) -> None:
    """Make the mount at `root` read-only, in the mount namespace of the caller, and fresh."""
    fd = os.open(root, os.O_PATH | os.O_CLOEXEC)
    try:
        syscalls.set_attributes(fd, syscalls.MOUNT_ATTR_RDONLY)
    finally:
        os.close(fd)
    syscalls.forget_names(root)


def refresh(upper: str) -> None:
    """Let the engine see the container's files as they are now. `upper` is its writable layer."""
    # Docker's name for it. Nothing is lost where there is no mount: nothing of it is remembered.
    root = os.path.join(os.path.dirname(upper), "merged")
    if os.path.ismount(root):
        with contextlib.suppress(OSError):
            syscalls.forget_names(root)
