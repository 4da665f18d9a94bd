"""How the engine was asked to make the container: docker-bench-security's section 5."""

import os

from containai.attack.facts import Facts
from containai.attack.probe import Seen, fine, found, outside, verdict
from containai.config.amounts import MOST_PROCESSES
from containai.layout import LABEL_SSH_PORT
from containai.machine_layout import RUNTIME

#: Runtimes with a user namespace of its own for every box.
RUNTIMES = (RUNTIME, "sysbox-runc")
#: Directories of the host that no container gets (CIS 5.6), nor any above them.
SENSITIVE = (
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/proc",
    "/run",
    "/sys",
    "/usr",
    "/var/lib",
    "/var/run",
)
#: Root's home is no workspace, nor what is hidden in it (.ssh); a project of root's may be.
ROOTS_HOME = "/root"
_SSH = "22/tcp"


@outside(
    "runtime",
    stands_for="every promise of ContainAI's: plain runc keeps none of them",
    looks_at="HostConfig.Runtime: " + " or ".join(RUNTIMES),
    remedy="make it with cai run",
)
def runtime(facts: Facts) -> Seen:
    """It was started by a runtime that isolates."""
    name = facts.container["HostConfig"]["Runtime"]
    return fine(name) if name in RUNTIMES else found(name)


@outside(
    "privileged",
    stands_for="CIS 5.5; SandboxEscapeBench privileged; CDK, deepce privileged mode",
    looks_at="HostConfig.Privileged",
    remedy="start it without --privileged",
)
def privileged(facts: Facts) -> Seen:
    """It was not asked to be privileged."""
    asked = facts.container["HostConfig"]["Privileged"]
    return found("--privileged") if asked else fine("no")


@outside(
    "process-limit",
    stands_for="CIS 5.29; a fork bomb takes every process id of the machine",
    looks_at="HostConfig.PidsLimit",
    remedy="give it a limit: cai limit --pids 16384",
)
def process_limit(facts: Facts) -> Seen:
    """Its processes are limited."""
    limit = facts.container["HostConfig"].get("PidsLimit") or 0
    # More than a kernel has is what `--pids none` gives.
    is_one = 0 < limit < MOST_PROCESSES
    return fine(str(limit)) if is_one else found("there is none")


@outside(
    "sensitive-directories",
    stands_for="CIS 5.6",
    looks_at="Mounts: no bind of a system directory, of one above it, or of /",
    remedy="start it without such a --volume",
)
def sensitive_directories(facts: Facts) -> Seen:
    """No system directory of the host was handed in."""
    bad = []
    for mount in facts.container["Mounts"]:
        if mount["Type"] == "bind":
            source = os.path.realpath(mount["Source"])
            within = [top for top in SENSITIVE if source == top or source.startswith(top + "/")]
            tops = (*SENSITIVE, ROOTS_HOME)
            above = [top for top in tops if (top + "/").startswith(source.rstrip("/") + "/")]
            if within or above or source.startswith(ROOTS_HOME + "/."):
                bad.append(source)
    return verdict(bad, "none")


@outside(
    "only-the-workspace",
    stands_for="CIS 5.6; the promise that of the host a box has its workspace",
    looks_at="Mounts: every bind is the workspace of the label, or what cai gives a box of it",
    remedy="start it without further --volume and --mount",
)
def only_the_workspace(facts: Facts) -> Seen:
    """Nothing but the workspace, and what belongs to it, was handed in."""
    workspace = (facts.container["Config"]["Labels"] or {}).get("containai.workspace")
    binds = [mount for mount in facts.container["Mounts"] if mount["Type"] == "bind"]
    bad = [
        mount["Source"]
        for mount in binds
        if mount["Source"] != workspace
        and (mount["Source"], mount["Destination"]) not in facts.asked
    ]
    return verdict(bad, "only the workspace and what belongs to it")


@outside(
    "nested-mounts",
    stands_for="CVE-2021-30465: the place of a mount, inside another, exchanged for a link",
    looks_at="Mounts: no destination below that of another bind or volume, but what cai-runc puts "
    "there before the box has it, through no link",
    remedy="start it without a volume inside another",
)
def nested_mounts(facts: Facts) -> Seen:
    """No mount is made inside what another container may be changing."""
    points = [mount["Destination"].rstrip("/") for mount in facts.container["Mounts"]]
    asked = {target for _, target in facts.asked}
    bad = [a for a in points for b in points if a != b and a.startswith(b + "/") and a not in asked]
    return verdict(bad, "none inside another")


@outside(
    "published-ports",
    stands_for="CIS 5.8, 5.14",
    looks_at="HostConfig.PortBindings: on 127.0.0.1 only, and no port below 1024",
    remedy="publish on 127.0.0.1 and on a port above 1023",
)
def published_ports(facts: Facts) -> Seen:
    """Nothing of the box is reachable from other machines."""
    bad = []
    for inside_port, bindings in (facts.container["HostConfig"]["PortBindings"] or {}).items():
        for binding in bindings or []:
            address, port = binding.get("HostIp", ""), binding.get("HostPort", "")
            if address not in ("127.0.0.1", "::1"):
                bad.append(f"{inside_port} on {address or 'every address'}")
            elif port and int(port) < 1024:
                bad.append(f"{inside_port} on the privileged port {port}")
    return verdict(bad, "on 127.0.0.1 only")


@outside(
    "cgroup-parent",
    stands_for="CIS 5.25",
    looks_at="HostConfig.CgroupParent: none was chosen",
    remedy="start it without --cgroup-parent",
)
def cgroup_parent(facts: Facts) -> Seen:
    """Its limits are where the engine puts them."""
    parent = facts.container["HostConfig"]["CgroupParent"]
    return found(parent) if parent else fine("the engine's")


@outside(
    "handed-in-devices",
    stands_for="CIS 5.18",
    looks_at="HostConfig.Devices, DeviceRequests and DeviceCgroupRules: none",
    remedy="start it without --device, --gpus and --device-cgroup-rule",
)
def handed_in_devices(facts: Facts) -> Seen:
    """No device of the host was handed in."""
    config = facts.container["HostConfig"]
    bad = [device["PathOnHost"] for device in config.get("Devices") or []]
    bad += [str(rule) for rule in config.get("DeviceCgroupRules") or []]
    bad += ["a device request" for _ in config.get("DeviceRequests") or []]
    return verdict(bad, "none")


@outside(
    "ssh-service",
    stands_for="CIS 5.7: sshd is how one gets into a box, so nobody else may reach it",
    looks_at="port 22 of the box: published on 127.0.0.1 only, on the port of its label",
    remedy="make it with cai run",
)
def ssh_service(facts: Facts) -> Seen:
    """Its sshd answers this machine only."""
    bindings = (facts.container["HostConfig"]["PortBindings"] or {}).get(_SSH)
    if not bindings:
        return found("not published by ContainAI")
    label = (facts.container["Config"]["Labels"] or {}).get(LABEL_SSH_PORT)
    right = [{"HostIp": "127.0.0.1", "HostPort": label}]
    return fine(f"127.0.0.1:{label}") if bindings == right else found(str(bindings))
