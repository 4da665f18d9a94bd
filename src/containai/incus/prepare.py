"""What an administrator does on an Incus server for boxes, as commands of its root. Pure.

Each part can be done again: what is there stays, what differs is set. Nothing is lowered or
removed. Of a cluster, what is of the system itself is for each member: packages, limits of the
kernel, what boxes do not reach. All else is there for all, once one has it.
https://linuxcontainers.org/incus/docs/main/reference/projects/
"""

import ipaddress
import json
import re
import shlex
from typing import NamedTuple

from containai.errors import UsageError
from containai.incus import firewall, hardening
from containai.layout import REMOTE_PACKAGE
from containai.work.actions import Run

#: incus-base does not depend on zstd, and unpacks no image of ours without.
PACKAGES = (
    "incus-base",
    "incus-client",
    "lxcfs",
    "btrfs-progs",
    "dnsmasq-base",
    "nftables",
    "uidmap",
    "zstd",
)
#: What the kernel counts for all boxes together, as Incus says for a server of many containers:
#: https://linuxcontainers.org/incus/docs/main/reference/server_settings/
SYSCTLS = {
    "fs.aio-max-nr": 524_288,
    "fs.inotify.max_queued_events": 1_048_576,
    "fs.inotify.max_user_instances": 1_048_576,
    "fs.inotify.max_user_watches": 1_048_576,
    "kernel.keys.maxbytes": 2_000_000,
    "kernel.keys.maxkeys": 2_000,
    "net.ipv4.neigh.default.gc_thresh3": 8_192,
    "vm.max_map_count": 262_144,
}
SYSCTL_FILE = "/etc/sysctl.d/60-containai-incus.conf"
#: What holds for the boxes of a project. Never restricted.devices.proxy=allow: it reaches the
#: server's own loopback. Devices, paths of the server and low-level settings stay blocked, too.
RESTRICTIONS = {
    "restricted": "true",
    "restricted.containers.nesting": "allow",
    "restricted.containers.privilege": "isolated",
    "restricted.snapshots": "allow",
    "restricted.cluster.target": "allow",
}
#: What a project has of its own; it can be said only as it is made. Images, too: only an
#: administrator may bring one that all projects have (incus, TLS authorization).
FEATURES = {
    "features.images": "true",
    "features.profiles": "true",
    "features.storage.volumes": "true",
    "features.networks": "false",
}
_NOTED = f"\"{REMOTE_PACKAGE}=$(dpkg-query --show --showformat='${{Version}}' incus-base)\""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_SIZE = re.compile(r"[1-9][0-9]{0,8}(MiB|GiB|TiB)")
_BRIDGE = re.compile(r"[a-z][a-z0-9-]{1,14}")
_ADDRESS = re.compile(r"([A-Za-z0-9.-]*|\[[0-9A-Fa-f:]+\]):[0-9]{1,5}")


class Limits(NamedTuple):
    """Of one box, or of all of a project together: none where it is 0 or "". Sizes as "8GiB"."""

    memory: str = ""
    cpus: int = 0
    disk: str = ""


class Wanted(NamedTuple):
    """Whom a server is prepared for, and how.

    `subnet` is the bridge's own address with its prefix, as 10.77.0.1/24; Incus chooses where it is
    "". `size` is that of a new pool, which is a file; the disk's free space decides where it is "".
    """

    user: str
    project: str = "boxes"
    pool: str = "default"
    bridge: str = "incusbr0"
    subnet: str = ""
    size: str = ""
    address: str = ":8443"
    #: How many boxes a project may have; 0 for any number.
    boxes: int = 0
    each: Limits = Limits(memory="8GiB", cpus=4)
    together: Limits = Limits()

    @property
    def trusted(self) -> str:
        """By what the user's certificate is known: the project's, as a token is of one."""
        return f"{self.user}@{self.project}"


def script(wanted: Wanted) -> str:
    """Return all of it as a shell script, which prints only a token. Raises UsageError."""
    parts = [f"# {part.title}\n(\n{part.argv[-1]})\n" for part in commands(wanted)]
    return "\n".join(["#!/bin/sh", "set -eu", *parts])


def commands(wanted: Wanted) -> list[Run]:
    """Return what is done, in order; the last one prints a token. Raises UsageError."""
    _refuse_odd(wanted)
    parts = {
        f"packages: {' '.join(PACKAGES)}": _packages(),
        "limits of the kernel for many boxes": _sysctls(),
        "Incus runs, and listens": _listening(wanted),
        f"storage pool {wanted.pool}": _pool(wanted),
        f"network {wanted.bridge}": _network(wanted),
        f"what boxes on {wanted.bridge} do not reach": firewall.script(wanted.bridge),
        f"project {wanted.project}": _project(wanted),
        f"profile of the boxes of {wanted.project}": _profile(wanted),
        f"token of {wanted.trusted}": _token(wanted),
    }
    return [Run(["sh", "-euc", text], title=title) for title, text in parts.items()]


def noting(project: str) -> str:
    """Return the command that has a project say which package of Incus its server has.

    The API says the version alone, which Debian's updates do not change.
    """
    return f"incus project set {project} {_NOTED}"


def _refuse_odd(wanted: Wanted) -> None:
    rules = {
        "user": (wanted.user, _USER, "alice"),
        "project": (wanted.project, _NAME, "boxes"),
        "storage pool": (wanted.pool, _NAME, "default"),
        "network": (wanted.bridge, _BRIDGE, "incusbr0"),
        "address to listen at": (wanted.address, _ADDRESS, ":8443"),
    }
    sizes = (wanted.size, *(size for given in wanted[-2:] for size in (given.memory, given.disk)))
    checked = [*rules.items(), *(("size", (size, _SIZE, "8GiB")) for size in sizes if size)]
    for what, (text, pattern, example) in checked:
        if not pattern.fullmatch(text):
            raise UsageError(f"the {what} cannot be {text!r}", hint=f"one is such as {example}")
    if wanted.subnet and not _is_subnet(wanted.subnet):
        raise UsageError(
            f"the subnet cannot be {wanted.subnet!r}",
            hint="it is the server's own address in a private network, such as 10.77.0.1/24",
        )
    if min(wanted.boxes, *(given.cpus for given in wanted[-2:])) < 0:
        raise UsageError("a number of boxes or processors is 0 or more", hint="0 is for no limit")
    if wanted.project == "default":
        raise UsageError(
            "the project default is not for boxes", hint="its owner has all of the server"
        )
    for limit, own in zip(wanted.together, wanted.each, strict=True):
        if limit and not own:
            raise UsageError(
                "a limit for all boxes together needs one for each",
                hint="Incus refuses a box without, where its project has one",
            )


def _is_subnet(text: str) -> bool:
    """Whether it is an address of a private network, with room for boxes, and not its first."""
    try:
        given = ipaddress.IPv4Interface(text)
    except ValueError:
        return False
    net = given.network
    own = given.ip not in (net.network_address, net.broadcast_address)
    return "/" in text and own and net.is_private and 8 <= net.prefixlen <= 28


def _packages() -> str:
    names = " ".join(PACKAGES)
    return f"""\
for name in {names}; do
    state=$(dpkg-query --show --showformat '${{db:Status-Status}}' "$name" 2>/dev/null) || state=
    [ "$state" = installed ] || missing="${{missing-}} $name"
done
if [ -n "${{missing-}}" ]; then
    apt-get update >&2
    # shellcheck disable=SC2086 # names
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $missing >&2
fi
"""


def _sysctls() -> str:
    rows = "".join(f"{key} {value}\n" for key, value in SYSCTLS.items())
    return f"""\
file={SYSCTL_FILE}
new=$(mktemp)
while read -r key value; do
    now=$(sysctl --values "$key" 2>/dev/null) || continue
    if [ "$now" -lt "$value" ] || grep -qs "^$key = " "$file"; then
        echo "$key = $value" >>"$new"
    fi
    [ "$now" -ge "$value" ] || sysctl --quiet --write "$key=$value"
done <<'END'
{rows}END
if [ -s "$new" ] && ! cmp -s "$new" "$file"; then install -D -m 0644 "$new" "$file"; fi
rm "$new"
"""


def _listening(wanted: Wanted) -> str:
    # What an administrator has set stays: a cluster's members have addresses of their own.
    return f"""\
incus admin waitready --timeout=120
[ -n "$(incus config get core.https_address)" ] ||
    incus config set core.https_address={shlex.quote(wanted.address)}
"""


def _on_each(what: str, of_member: str, of_all: str) -> str:
    """Return what makes something of all of a cluster: said for each member, and then once.

    `incus … create` would read its standard input.
    """
    return f"""\
for member in $(incus cluster list --format csv --columns n 2>/dev/null); do
    incus {what} --target "$member" {of_member} </dev/null >&2
    clustered=yes
done
if [ -n "${{clustered-}}" ]; then
    incus {what} {of_all} </dev/null >&2
else
    incus {what} {of_member} {of_all} </dev/null >&2
fi
"""


def _pool(wanted: Wanted) -> str:
    size = f"size={wanted.size}" if wanted.size else ""
    making = _on_each(f"storage create {wanted.pool} btrfs", size, "")
    return f"incus storage show {wanted.pool} >/dev/null 2>&1 && exit\n{making}"


def _network(wanted: Wanted) -> str:
    config = f"ipv4.address={wanted.subnet or 'auto'} ipv4.nat=true ipv6.address=none"
    making = _on_each(f"network create {wanted.bridge} --type=bridge", "", config)
    return f"incus network show {wanted.bridge} >/dev/null 2>&1 && exit\n{making}"


def _project(wanted: Wanted) -> str:
    limits = {
        "limits.instances": str(wanted.boxes or ""),
        "limits.memory": wanted.together.memory,
        "limits.cpu": str(wanted.together.cpus or ""),
        "limits.disk": wanted.together.disk,
    }
    given = {key: text for key, text in limits.items() if text}
    settings = RESTRICTIONS | {"restricted.networks.access": wanted.bridge} | given
    features = " \\\n        ".join(f"--config={key}={value}" for key, value in FEATURES.items())
    words = " \\\n    ".join(f"{key}={value}" for key, value in settings.items())
    # Set to nothing, 6.0.4 takes it for a limit, which boxes without one of their own do not fit.
    unset = " ".join(key for key in limits if key not in given)
    return f"""\
incus project show {wanted.project} >/dev/null 2>&1 ||
    incus project create {wanted.project} \\
        {features} </dev/null >&2
incus project set {wanted.project} \\
    {words} \\
    {_NOTED}
for key in {unset}; do
    [ -z "$(incus project get {wanted.project} "$key")" ] ||
        incus project unset {wanted.project} "$key"
done
"""


def _profile(wanted: Wanted) -> str:
    """Return what fills the profile that every box of the project has."""
    each = wanted.each
    config = {
        "security.nesting": "true",
        "security.idmap.isolated": "true",
        # Its own configuration is none of a box's business.
        "security.guestapi": "false",
        **({"limits.memory": each.memory} if each.memory else {}),
        **({"limits.cpu": str(each.cpus)} if each.cpus else {}),
        **hardening.settings(),
    }
    root = {"type": "disk", "path": "/", "pool": wanted.pool}
    devices = {
        "root": root | ({"size": each.disk} if each.disk else {}),
        "eth0": {"type": "nic", "name": "eth0", "network": wanted.bridge} | hardening.INTERFACE,
    }
    # What is JSON is YAML.
    text = json.dumps({"description": "ContainAI", "config": config, "devices": devices}, indent=2)
    return f"""\
incus profile edit default --project {wanted.project} <<'END'
{text}
END
"""


def _token(wanted: Wanted) -> str:
    # One that was not used yet is still good: a second one would be one more to be stolen.
    return f"""\
name={shlex.quote(wanted.trusted)}
if incus config trust list --format csv --columns n | grep -Fqx "$name"; then
    echo "$name is trusted already; to begin anew, remove it: incus config trust list" >&2
    exit
fi
token=$(incus config trust list-tokens --format csv |
    awk -F, -v name="$name" '$1 == name {{ print $2 }}')
[ -n "$token" ] ||
    token=$(incus config trust add "$name" --restricted --projects {wanted.project} -q </dev/null)
echo "$token"
"""
