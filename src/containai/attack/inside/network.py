"""Sockets and services that belong to the host, and keys to a cluster or a cloud."""

import os
import socket
import stat
import struct

from containai.attack.inside import look
from containai.attack.probe import Seen, fine, inside, verdict

#: Sockets whose owner is root of the machine they control.
ENGINES = frozenset(
    """
    docker.sock containai-docker.sock containerd.sock crio.sock podman.sock buildkitd.sock
    dockershim.sock cri-dockerd.sock kubelet.sock
    """.split()  # noqa: SIM905 - a list of strings would hide what it says
)
#: Where sockets are looked for; how deep, and how many files.
PLACES = ("/run", "/var/run", "/tmp", "/dev", "/home/agent/workspace")  # noqa: S108
DEPTH, LIMIT = 5, 20000
TIMEOUT = 0.7
TOKENS = (
    "/var/run/secrets/kubernetes.io/serviceaccount/token",
    "/run/secrets/kubernetes.io/serviceaccount/token",
    "/etc/kubernetes/admin.conf",
    "/etc/kubernetes/kubelet.conf",
    "/root/.kube/config",
    "/home/agent/.kube/config",
)
#: Variables that lead to something of the host's (CDK looks for the same kinds).
VARIABLES = ("DOCKER_HOST=", "KUBERNETES_", "KUBECONFIG=", "SSH_AUTH_SOCK=", "AWS_SECRET")


def _sockets() -> list[str]:
    paths, seen = set(), 0
    for place in PLACES:
        for parent, children, names in os.walk(os.path.realpath(place)):
            if parent.count("/") > DEPTH:
                children.clear()
            for name in names:
                seen += 1
                path = os.path.join(parent, name)
                try:
                    if stat.S_ISSOCK(os.lstat(path).st_mode):
                        paths.add(path)
                except OSError:
                    continue
            if seen > LIMIT:
                break
    return sorted(paths)


def _peer_is_outside(address: str | bytes) -> bool:
    """Whether a stream socket leads to a process that is not in our pid namespace (unix(7))."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
        with socket.socket(socket.AF_UNIX, kind) as ours:
            ours.settimeout(TIMEOUT)
            try:
                ours.connect(address)
                peer = ours.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            except OSError:
                continue
            return bool(struct.unpack("3i", peer)[0] == 0)
    return False


def _mounted_sockets() -> list[str]:
    paths = []
    for mount in look.own_mounts():
        try:
            if stat.S_ISSOCK(os.lstat(mount.point).st_mode):
                paths.append(mount.point)
        except OSError:
            continue
    return paths


@inside(
    "engine-socket",
    stands_for="CIS 5.32; SandboxEscapeBench Docker socket; CDK docker-sock, deepce dockerSock",
    looks_at="sockets named like an engine's: none mounted, and none answered from outside the box "
    "(the box's own Docker answers from inside)",
    remedy="start it without the engine's socket in a --volume",
)
def engine_socket() -> Seen:
    """Only the box's own Docker answers in here."""
    mounted = set(_mounted_sockets())
    paths = {path for path in _sockets() if os.path.basename(path) in ENGINES} | {
        path for path in mounted if os.path.basename(path) in ENGINES
    }
    bad = [path for path in sorted(paths) if path in mounted or _peer_is_outside(path)]
    return verdict(bad, "the box's own, or none")


@inside(
    "host-sockets",
    stands_for="CDK sensitive services; deepce: any service of the host's, by a socket file",
    looks_at="every socket file in /run, /tmp, /dev and the workspace: no peer outside the box",
    remedy="remove the socket from the workspace, or the --volume that has it",
)
def host_sockets() -> Seen:
    """No socket file leads out."""
    mounted = _mounted_sockets()
    paths = [path for path in _sockets() if os.path.basename(path) not in ENGINES]
    bad = [path for path in paths if path not in mounted and _peer_is_outside(path)]
    named = [path for path in mounted if os.path.basename(path) not in ENGINES]
    return verdict(sorted(set(named + bad)), f"{len(paths)} sockets, all of the box")


@inside(
    "abstract-sockets",
    stands_for="CVE-2020-15257; CDK containerd-shim-pwn: sockets of the host's network namespace",
    looks_at="/proc/net/unix: no abstract socket with a peer outside the box",
    remedy="start it without --network host",
)
def abstract_sockets() -> Seen:
    """No abstract socket leads out."""
    names = set()
    for line in look.read("/proc/net/unix").splitlines()[1:]:
        name = line.split(" ", 7)[-1].split(" ")[-1]
        if name.startswith("@"):
            names.add(name[1:])
    bad = [
        "@" + name
        for name in sorted(names)[:500]
        if _peer_is_outside(b"\0" + name.encode().replace(b"@", b"\0"))
        or _peer_is_outside(b"\0" + name.encode())
    ]
    return verdict(bad, f"{len(names)} looked at, all of the box")


@inside(
    "cluster-credentials",
    stands_for="SandboxEscapeBench K8s RBAC, kubectl cp; CDK service account",
    looks_at="Kubernetes' token and configuration files where they are usually mounted",
    remedy="start it without the volume that has them",
)
def cluster_credentials() -> Seen:
    """No key to a cluster is in here."""
    return verdict([path for path in TOKENS if os.path.lexists(path)], "none")


@inside(
    "host-variables",
    stands_for="CDK sensitive environment; deepce",
    looks_at="process 1's environment: " + ", ".join(VARIABLES).replace("=", ""),
    remedy="start it without these in --env",
)
def host_variables() -> Seen:
    """What the box was started with names nothing of the host's."""
    try:
        words = look.read("/proc/1/environ").split("\0")
    except PermissionError:
        return fine("not readable")
    bad = [word.partition("=")[0] for word in words if word.startswith(VARIABLES)]
    return verdict(bad, "nothing of the host's")
