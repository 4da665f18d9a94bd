"""What of a server is as boxes need it, what gives it away, and what nobody could see. Pure.

Each row has a title, what it means where it does not hold, and a function of what was seen.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from containai.incus import hardening, prepare
from containai.incus import judge_identity as identity
from containai.incus import judge_version as version
from containai.incus.dangers import given_away
from containai.incus.server import Project
from containai.incus.sight import (
    ID_FILES,
    INSTANCES_FILE,
    MOUNTS_FILE,
    Inside,
    Sight,
    Unseen,
    pool_of,
)
from containai.incus.sight import network_of as net_of
from containai.incus.verdicts import Check, fine, wanted, wrong
from containai.work.actions import Finding, unknown

#: What has to be free in a pool for a box more, in bytes, and as a share.
_FREE, _SHARE = 5 << 30, 0.05
#: The kernel from which on btrfs and ext4 have idmapped mounts, and what it is without.
_IDMAPPED = (5, 15)
_OWNERS = "the files of each new box are given other owners, one by one"


class _Row(NamedTuple):
    title: str
    means: str
    judge: Callable[[Sight], Finding[None]]


def checks(seen: Sight, project: str) -> list[Check]:
    """Return all that can be said of a server, of whose projects `project` is for boxes."""
    rows = [Check(row.title, row.judge(seen), row.means) for row in ROWS]
    at = 1 + next(number for number, row in enumerate(ROWS) if row.judge is _project)
    return [*rows[:at], *given_away(seen.project, project), *rows[at:]]


def _project(seen: Sight) -> Finding[None]:
    project = seen.project
    if isinstance(project, Unseen):
        return unknown(f"not seen: {project.why}")
    if project is None:
        return wrong("it is not there, or not yours", "ask the administrator for one of yours")
    config, lacks = project.config, []
    if config.get("features.profiles", "true") != "true":
        lacks.append("its profile is the default project's")
    if config.get("restricted") == "true":
        if config.get("restricted.containers.nesting") != "allow":
            lacks.append("restricted.containers.nesting is not allow: no Docker in boxes")
        if config.get("restricted.containers.privilege", "unprivileged") == "unprivileged":
            lacks.append("restricted.containers.privilege is not isolated: boxes may share ids")
        if not config.get("restricted.networks.access"):
            lacks.append("restricted.networks.access is not set: boxes join any network")
    if lacks:
        return wrong("; ".join(lacks))
    return fine(f"{project.name}, restricted" if config.get("restricted") else project.name)


def _of_project(judge: Callable[[dict[str, str]], Finding[None]]) -> Callable[[Sight], Any]:
    def look(seen: Sight) -> Finding[None]:
        if not isinstance(seen.project, Project):
            return unknown("the project is not seen")
        return judge(seen.project.config)

    return look


@_of_project
def _images(config: dict[str, str]) -> Finding[None]:
    if config.get("features.images") == "false":
        return wanted("they are the whole server's: only its administrator can bring one")
    return fine("the project's own, which its users bring")


def _copies(seen: Sight) -> Finding[None]:
    if not isinstance(seen.project, Project):
        return unknown("the project is not seen")
    config = seen.project.config
    if config.get("restricted") != "true":
        return fine("not restricted")
    asked = {"restricted.snapshots": "no snapshots and forks"}
    if seen.about.is_clustered:
        asked["restricted.cluster.target"] = "no choice of a node"
    lacks = [what for key, what in asked.items() if config.get(key) != "allow"]
    if lacks:
        return wanted("; ".join(lacks))
    return fine("snapshots, forks, and a choice of nodes where there are several")


def _room(seen: Sight) -> Finding[None]:
    if isinstance(seen.usage, Unseen):
        return unknown(f"not seen: {seen.usage.why}")
    bounded = {what: each for what, each in sorted(seen.usage.items()) if each[0] >= 0}
    said = ", ".join(f"{what} {used} of {limit}" for what, (limit, used) in bounded.items())
    if any(used >= limit for limit, used in bounded.values()):
        return wrong(said, "remove boxes that nobody needs (cai ls), or ask the administrator")
    return fine(said or "no limits")


def _profile(seen: Sight) -> Finding[None]:
    profile = seen.profile
    if isinstance(profile, Unseen):
        return unknown(f"not seen: {profile.why}")
    if profile is None:
        return wrong("there is none")
    pool, network = pool_of(profile), net_of(profile)
    lacks = ["no root disk with a pool"] * (not pool) + ["no interface"] * (not network)
    if network and isinstance(seen.project, Project):
        allowed = seen.project.config.get("restricted.networks.access", "").split(",")
        if allowed != [""] and network not in map(str.strip, allowed):
            lacks.append(f"{network} is not in restricted.networks.access")
    if lacks:
        return wrong("; ".join(lacks))
    return fine(f"root disk of {pool}, eth0 of {network}")


def _limits(seen: Sight) -> Finding[None]:
    if not isinstance(seen.profile, dict):
        return unknown("the profile is not seen")
    config = _part(seen.profile, "config")
    said = [f"{key} {config[key]}" for key in ("limits.memory", "limits.cpu") if config.get(key)]
    if len(said) < 2:
        have = said[0] if said else "none"
        return wanted(f"{have}: a box without limits of its own takes all")
    return fine(", ".join(said))


def _closed(seen: Sight) -> Finding[None]:
    if not isinstance(seen.profile, dict):
        return unknown("the profile is not seen")
    config, devices = _part(seen.profile, "config"), _part(seen.profile, "devices")
    nics = [each for each in devices.values() if each.get("type") == "nic"]
    lacks = [key for key, text in hardening.settings().items() if config.get(key) != text]
    lacks += [
        key
        for key, text in hardening.INTERFACE.items()
        if any(each.get(key) != text for each in nics)
    ]
    if lacks:
        return wanted(f"not as here: {', '.join(lacks)}")
    return fine("system calls, crashes, and frames between boxes, as here")


def _pool(seen: Sight) -> Finding[None]:
    if isinstance(seen.pool, Unseen):
        return unknown(f"not seen: {seen.pool.why}")
    if seen.pool is None:
        return wrong("the profile's pool is not there")
    name, driver = str(seen.pool.get("name", "")), str(seen.pool.get("driver", ""))
    status = seen.pool.get("status")
    if status != "Created":
        return wrong(f"{name} is {status}", f"on the server: incus storage show {name}")
    if driver == "dir":
        return wanted(
            f"{name} is of directories: each box is a copy of the whole image, a fork takes half a "
            "minute", "a pool of btrfs: cai remote prepare --pool NAME",
        )  # fmt: skip
    return fine(f"{name}, {driver}")


def _space(seen: Sight) -> Finding[None]:
    if not seen.space:
        return unknown("no pool is seen")
    said, full, unseen = [], False, []
    for member, each in sorted(seen.space.items()):
        where = f" on {member}" if member else ""
        if isinstance(each, Unseen):
            unseen.append(f"not seen{where}: {each.why}")
            continue
        free = each[1] - each[0]
        full = full or free < _FREE or free < each[1] * _SHARE
        said.append(f"{free / 2**30:.1f} of {each[1] / 2**30:.1f} GiB free{where}")
    text = "; ".join([*said, *unseen])
    if full:
        return wrong(text, "remove boxes that nobody needs (cai ls), or enlarge the pool")
    return unknown(text) if unseen else fine(text)


def _network(seen: Sight) -> Finding[None]:
    if isinstance(seen.network, Unseen):
        return unknown(f"not seen: {seen.network.why}")
    if seen.network is None:
        return wrong("the profile's network is not there, or not for this project")
    name, status = str(seen.network.get("name", "")), seen.network.get("status")
    if seen.network.get("managed") is not True or status != "Created":
        return wrong(f"{name} is {status}, and has to be a managed one that is created")
    return fine(f"{name}, {seen.network.get('type')}")


def _cluster(seen: Sight) -> Finding[None]:
    if not seen.about.is_trusted:
        return unknown("a server says it only to whom it knows")
    if isinstance(seen.members, Unseen):
        return unknown(f"not seen: {seen.members.why}")
    if not seen.members:
        return fine("one server")
    said = ", ".join(
        f"{each.name} {each.status}" + (f" ({each.message})" if each.status != "Online" else "")
        for each in seen.members
    )
    away = {each.status for each in seen.members} - {"Online"}
    if away - {"Evacuated"}:
        return wrong(said, "on a member: incus cluster list; boxes come back with their member")
    return wanted(said, "on a member: incus cluster restore NAME") if away else fine(said)


def _mounts(seen: Sight) -> Finding[None]:
    """Judge by the root of a box, else by what the server says; 7.0 does not: by its kernel."""
    root = [] if isinstance(seen.inside, Unseen) else _root(seen.inside)
    if root:
        assert isinstance(seen.inside, Inside)
        box = seen.inside.box
        if "idmapped" in root:
            return fine(f"the root of {box} is one")
        return wrong(f"the root of {box} is none: {_OWNERS}", "a pool of btrfs, a newer kernel")
    said = seen.features.get("idmapped_mounts")
    if said is not None:
        hint = "a kernel of 5.15 or newer"
        return fine("the kernel has them") if said == "true" else wrong(f"none: {_OWNERS}", hint)
    numbers = tuple(map(int, re.findall(r"\d+", seen.about.kernel)[:2]))
    if numbers < _IDMAPPED:
        return unknown("the server does not say, and none of your boxes runs there")
    return fine(f"Linux {seen.about.kernel} has them")


def _root(inside: Inside) -> list[str]:
    """Return how the root of a box is mounted (proc_pid_mountinfo(5)), [] where it is not said."""
    rows = [line.split() for line in inside.lines.get(MOUNTS_FILE, ())]
    return next((row[5].split(",") for row in rows if row[4:5] == ["/"] and row[5:]), [])


def _ranges(seen: Sight) -> Finding[None]:
    if isinstance(seen.boxes, Unseen):
        return unknown(f"not seen: {seen.boxes.why}")
    # Each member gives ids for itself.
    bases: dict[tuple[str, str], list[str]] = {}
    for each in seen.boxes:
        base = each.config.get("volatile.idmap.base", "")
        # One that has never run has none yet; Incus has 0 for the range that is everybody's.
        if base:
            bases.setdefault((each.location, base), []).append(each.name)
    if not bases:
        return unknown("there is no box to be seen it from")
    shared = [
        ", ".join(names) for (_, base), names in bases.items() if len(names) > 1 or base == "0"
    ]
    if shared:
        # What came from another member gets its own as it is started.
        hint = "in a cluster: cai stop and cai start one of them; else make them anew"
        return wrong(f"not for themselves alone: {'; '.join(shared)}", hint)
    return fine(f"each of {len(bases)} has its own")


def _of_inside(judge: Callable[[Inside], Finding[None]]) -> Callable[[Sight], Any]:
    def look(seen: Sight) -> Finding[None]:
        if isinstance(seen.inside, Unseen):
            return unknown(seen.inside.why)
        return judge(seen.inside)

    return look


@_of_inside
def _inotify(inside: Inside) -> Finding[None]:
    said = inside.lines.get(INSTANCES_FILE, ("",))[0]
    if not said.isdecimal():
        return unknown(f"the box {inside.box} does not say")
    least = prepare.SYSCTLS["fs.inotify.max_user_instances"]
    if int(said) < least:
        return wrong(f"{said} for all boxes together, as {inside.box} says: one can take them all")
    return fine(f"{said} for all boxes together, as {inside.box} says")


@_of_inside
def _subordinate(inside: Inside) -> Finding[None]:
    map_file, *files = ID_FILES
    sizes = [_numbers(line, None)[2:3] for line in inside.lines.get(map_file, ())]
    if not all(sizes) or not sizes:
        return unknown(f"the box {inside.box} does not say")
    room = sum(size[0] for size in sizes)
    for path in files:
        named = [each for each in inside.lines.get(path, ()) if each.startswith("agent:")]
        ends = [sum(_numbers(each, ":")[-2:]) for each in named]
        if not ends or max(ends) > room:
            return wrong(
                f"{path} of {inside.box} names {', '.join(named) or 'nothing for agent'}, and the "
                f"box has {room} ids: no rootless containers", "cai image build, then a new box",
            )  # fmt: skip
    return fine(f"{inside.box} has {room}, and the agent's own are among them")


def _numbers(line: str, separator: str | None) -> list[int]:
    return [int(word) for word in line.split(separator) if word.isdecimal()]


def _part(said: Mapping[str, Any], key: str) -> dict[str, Any]:
    part = said.get(key)
    return part if isinstance(part, dict) else {}


#: All that is looked at, in order; behind the project, what it must not allow.
ROWS = (
    _Row("your certificate", "Nothing can be done there, or far too much.", identity.trusted),
    _Row("end of your certificate", "The server will not know you.", identity.own_time),
    _Row("end of its certificate", "Other clients refuse the server.", identity.server_time),
    _Row("its clock", "Tokens and certificates end too early, or do not begin.", identity.clock),
    _Row("version", "Boxes are made for Incus 6.0.4 and later.", version.version),
    _Row("known holes", "Who has a box or a certificate gets more than boxes.", version.mended),
    _Row("extensions of its API", "Some commands do not work there.", version.extensions),
    _Row("project", "Boxes do not start, or are not kept apart.", _project),
    _Row("images", "Images are brought there more often.", _images),
    _Row("snapshots and copies", "`cai fork` and `cai snapshot` do not work there.", _copies),
    _Row("room in the project", "No more boxes can be made.", _room),
    _Row("profile", "No box can be made.", _profile),
    _Row("limits of a box", "One box can take the memory of all.", _limits),
    _Row("what the profile closes", "Boxes reach more of the server's kernel.", _closed),
    _Row("storage pool", "Boxes are made slowly, or not at all.", _pool),
    _Row("free space", "Boxes cannot be made, and those that run stop working.", _space),
    _Row("network", "Boxes have no network.", _network),
    _Row("members", "Boxes of a member that is away are not reached.", _cluster),
    _Row("idmapped mounts", "New boxes take long.", _mounts),
    _Row("ids of boxes", "Root of one box has the ids of another's.", _ranges),
    _Row("subordinate ids", "Rootless Podman does not work in boxes.", _subordinate),
    _Row("inotify", "A box that takes all instances leaves others without.", _inotify),
)
