"""What the kernel does for a crash, and keeps by user: neither is bounded by a cgroup."""

import ctypes
import errno
import os
import resource

from containai.attack.probe import Seen, Unverified, fine, found, inside

#: keyctl(2) by the machine's name of the architecture.
_KEYCTL = {"x86_64": 250, "aarch64": 219}
_PROCESS_KEYRING = -2


@inside(
    "core-dumps",
    stands_for="CIS 5.19; a piped core_pattern runs a program of the host's as its root",
    looks_at="RLIMIT_CORE stays 1, the value with which the kernel starts none, after a 0 was set",
    remedy="start it with the runtime cai-runc and without --ulimit core",
)
def core_dumps() -> Seen:
    """No crash in here starts a program of the host's."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, before[1]))
        after = resource.getrlimit(resource.RLIMIT_CORE)[0]
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
    if (before[0], after) == (1, 1):
        return fine("no process can have core dumps")
    return found(f"the limit is {before[0]}, and {after} once 0 was set")


@inside(
    "keyrings",
    stands_for="amicontained blocked calls; kernel memory by user, which no cgroup is charged",
    looks_at="the answer to keyctl(2)",
    remedy="start it with the runtime cai-runc",
)
def keyrings() -> Seen:
    """There are no keyrings of the kernel's."""
    number = _KEYCTL.get(os.uname().machine)
    if number is None:
        raise Unverified(f"the number of keyctl on {os.uname().machine} is not known")
    libc = ctypes.CDLL(None, use_errno=True)
    get = ctypes.c_long(0)
    done = libc.syscall(ctypes.c_long(number), get, ctypes.c_long(_PROCESS_KEYRING), get)
    error = ctypes.get_errno() if done < 0 else 0
    if error in (errno.ENOSYS, errno.EPERM):
        return fine(os.strerror(error))
    return found("keyctl works" if not error else f"keyctl is there: {os.strerror(error)}")
