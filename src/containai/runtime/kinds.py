"""The programs that a rewritten bundle is handed over to, and what each has otherwise.

All else is the same for them: ids, root file system, binds, limits, what a box sees and what not.
"""

from typing import NamedTuple


class Kind(NamedTuple):
    """A runtime of ours: its name, and what differs by the program that it becomes."""

    name: str
    #: The key of runtime.json that names that program.
    program: str
    #: Whether it mounts cgroup2 where the host has that beside v1; else it has a way of its own.
    unified: bool
    #: Whether processes outside of this mount namespace ask for the root file system by its path:
    #: they find nothing there.
    in_place: bool
    #: Whether daemons outside know its containers from one start to the next.
    managed: bool
    #: Architectures that are not to be named: with one of them it rewrites the rules for system
    #: calls. That of the machine is in a filter by itself (seccomp_init(3)).
    unnamed: frozenset[str] = frozenset()
    #: Where in a box processes outside of this mount namespace look at the source of a bind, or
    #: make a directory of their own where there is none.
    places: frozenset[str] = frozenset()


RUNC = Kind("cai-runc", "runc", unified=True, in_place=False, managed=False)
#: Sysbox: sysbox-runc here, sysbox-mgr outside. It shifts the ids of nothing that it finds in the
#: container's range (needUidShiftOnRootfs, needUidShiftOnBindSrc) and takes a mapping that is one
#: range (validateIDMappings). It drops the conditions of rules and adds calls (cfgSeccomp). What
#: sysbox-mgr makes at these places is gone when that ends (getSpecialDirs, SyncOutAndDestroyAll).
SYSBOX = Kind(
    "cai-sysbox-runc",
    "sysbox",
    unified=False,
    in_place=True,
    managed=True,
    unnamed=frozenset({"SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"}),
    places=frozenset(
        {
            "/var/lib/docker",
            "/var/lib/kubelet",
            "/var/lib/k0s",
            "/var/lib/rancher/k3s",
            "/var/lib/rancher/rke2",
            "/var/lib/buildkit",
            "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs",
        }
    ),
)
KINDS = {kind.name: kind for kind in (RUNC, SYSBOX)}
