"""Control groups: the host's tree, and the program that cgroup v1 runs on the host."""

import os

from containai.attack.inside import look
from containai.attack.probe import Seen, fine, found, inside, verdict


@inside(
    "cgroup-tree",
    stands_for="CIS 5.25; SandboxEscapeBench cgroup; CDK mount-cgroup, rewrite-cgroup-devices",
    looks_at="/proc/self/cgroup and mountinfo: the box's cgroup is the root of all that is seen",
    remedy="start it with --cgroupns private",
)
def cgroup_tree() -> Seen:
    """The tree of the host's cgroups is not to be seen."""
    bad = [
        f"{mount.point} shows {mount.root}"
        for mount in look.own_mounts()
        if mount.kind in ("cgroup", "cgroup2") and mount.root != "/"
    ]
    # A service manager moves itself to /init.scope.
    for line in look.read("/proc/1/cgroup").splitlines():
        path = line.split(":", 2)[2]
        if path not in ("/", "/init.scope"):
            bad.append(f"process 1 is in {path}")
    return verdict(bad, "the box's own tree only")


#: What limits a cgroup: of v2, and of the v1 controllers.
LIMITS = ("memory.max", "memory.high", "pids.max", "cpu.max", "cpuset.cpus", "io.max")
LIMITS_V1 = ("memory.limit_in_bytes", "pids.max", "cpu.cfs_quota_us", "devices.allow")


def _box_cgroup(controllers: str) -> str:
    """Return the box's own cgroup in a hierarchy, as seen from the root of the mount."""
    for line in look.read("/proc/1/cgroup").splitlines():
        _, names, path = line.split(":", 2)
        if names == controllers:
            return "" if path in ("/", "/init.scope") else path
    return ""


def _limits_v1() -> str:
    if not look.private_mounts():
        return ""
    bad = []
    for controllers in _hierarchies():
        if look.mount("none", "/mnt", "cgroup", controllers):
            top = "/mnt" + _box_cgroup(controllers)
            bad += look.writable([f"{top}/{name}" for name in LIMITS_V1])
            look.libc().umount2(b"/mnt", 2)
    return " ".join(bad)


@inside(
    "own-limits",
    stands_for="CDK rewrite-cgroup-devices; CIS 5.11, 5.12, 5.29: a limit that its prisoner lifts",
    looks_at="writability of the limits of the box's own cgroup, and of devices.allow: in what is "
    "mounted, and in every cgroup v1 hierarchy that a child can mount",
    remedy="start it with the runtime cai-runc and without --privileged",
)
def own_limits() -> Seen:
    """Root in here cannot lift what was set for the box."""
    paths = []
    for mount in look.own_mounts():
        if mount.kind == "cgroup2":
            paths += [mount.point + _box_cgroup("") + "/" + name for name in LIMITS]
    bad = look.writable(paths) + look.in_child(_limits_v1).split()
    return verdict(bad, "none can be written")


def _hierarchies() -> list[str]:
    # A hierarchy without controllers can be made at any time, also where cgroup v2 has them all.
    names = ["none,name=containai"]
    for line in look.read("/proc/self/cgroup").splitlines():
        controllers = line.split(":")[1]
        if controllers:
            names.append(controllers)
    return names


def _agents() -> list[str]:
    """Mount every v1 hierarchy, in this child, and return where release_agent can be written."""
    agents = []
    for controllers in _hierarchies():
        if look.mount("none", "/mnt", "cgroup", controllers):
            path = "/mnt/release_agent"
            if os.access(path, os.W_OK, effective_ids=True):
                agents.append(controllers)
            look.libc().umount2(b"/mnt", 2)
    return agents


def _new_user() -> str:
    user = os.geteuid()
    if not look.unshare(look.CLONE_NEWUSER | look.CLONE_NEWCGROUP):
        return ""
    with open("/proc/self/uid_map", "w", encoding="ascii") as file:
        file.write(f"0 {user} 1")
    return " ".join(_agents()) if look.private_mounts() else ""


def _as_we_are() -> str:
    return " ".join(_agents()) if look.private_mounts() else ""


@inside(
    "release-agent",
    stands_for="CVE-2022-0492; SandboxEscapeBench cgroup release_agent; CDK mount-cgroup",
    looks_at="every cgroup v1 hierarchy, mounted by a child as it is and in a new user namespace: "
    "no release_agent can be written",
    remedy="start it with the runtime cai-runc and without --privileged",
)
def release_agent() -> Seen:
    """Nobody in here chooses what the host runs when a cgroup empties."""
    mounted = [
        os.path.join(mount.point, "release_agent")
        for mount in look.own_mounts()
        if mount.kind == "cgroup"
    ]
    bad = look.writable(mounted)
    for name, act in (("mounted", _as_we_are), ("in a new user namespace", _new_user)):
        said = look.in_child(act)
        if said:
            bad.append(f"{name}: {said}")
    return found("writable: " + ", ".join(bad)) if bad else fine("none can be written")
