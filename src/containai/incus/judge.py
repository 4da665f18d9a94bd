"""What of a server is as boxes need it, what gives it away, and what nobody could see. Pure.

Each row has a title, what it means where it does not hold, and a function of what was seen.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from containai.incus import hardening, prepare
from containai.incus.dangers import AGAIN, Check, given_away
from containai.incus.server import PORT_FORWARD, Project
from containai.incus.sight import FILES, INSTANCES_FILE, Inside, Sight, Unseen, pool_of
from containai.incus.sight import network_of as net_of
from containai.work.actions import Finding, unknown

#: The oldest version that this was tried with, and the last row of versions.
OLDEST, LAST = (6, 0, 4), 7
#: The extensions of the API without which this client does nothing
#: (https://linuxcontainers.org/incus/docs/main/api-extensions/). 6.0.4 has them all.
NEEDED = (
    "certificate_project", "certificate_token", "container_exec_user_group_cwd", "operation_wait",
    "project_usage", "projects_networks_restricted_access", "projects_restrictions",
    "projects_restricted_backups_and_snapshots",
)  # fmt: skip
#: How far a clock may be off, in seconds: what is signed on one machine begins a day earlier.
_DRIFT = 60
#: What has to be free in a pool for a box more, in bytes, and as a share.
_FREE, _SHARE = 5 << 30, 0.05
_UPDATES = (
    "a distribution's security updates do not change the version; on the server: apt-get update "
    "&& apt list --upgradable; what it has: zless /usr/share/doc/incus-base/changelog.Debian.gz"
)


class _Row(NamedTuple):
    title: str
    means: str
    judge: Callable[[Sight], Finding[None]]


def checks(seen: Sight, project: str) -> list[Check]:
    """Return all that can be said of a server, of whose projects `project` is for boxes."""
    rows = [Check(row.title, row.judge(seen), row.means) for row in ROWS]
    at = 1 + next(number for number, row in enumerate(ROWS) if row.judge is _project)
    return [*rows[:at], *given_away(seen.project, project), *rows[at:]]


def _fine(text: str, hint: str = "") -> Finding[None]:
    return Finding(True, text, hint=hint)


def _wrong(text: str, hint: str = AGAIN) -> Finding[None]:
    return Finding(False, text, hint=hint)


def _wanted(text: str, hint: str = AGAIN) -> Finding[None]:
    return Finding(False, text, optional=True, hint=hint)


def _trusted(seen: Sight) -> Finding[None]:
    if not seen.about.is_trusted:
        return _wrong("the server does not know it", "get a token: cai remote add NAME --token …")
    own = seen.certificate
    if isinstance(own, Unseen):
        return unknown(f"known; how it is restricted is not seen: {own.why}")
    if not own.is_restricted:
        name = seen.about.own[:12]
        return _wrong(
            "known without any restriction: whoever has its key is root of the server",
            f"on the server: incus config trust edit {name}: restricted: true, and its projects",
        )
    return _fine(f"known, restricted to {', '.join(own.projects) or 'no project'}")


def _version(seen: Sight) -> Finding[None]:
    about = seen.about
    if not about.is_trusted:
        return unknown("a server says its version only to whom it knows")
    if about.kind != "incus":
        return _wrong(f"{about.kind or 'what answers'} is no Incus", "give Incus's address")
    numbers = tuple(int(each) for each in about.version.split(".") if each.isdecimal())
    if not numbers:
        return unknown(f"{about.version!r} is no version")
    if numbers < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return _wrong(f"{about.version}, and {oldest} is the oldest", "upgrade the server")
    if numbers[0] > LAST:
        return unknown(f"{about.version}: nobody tried it", hint="is there a newer cai? cai update")
    if numbers[0] < LAST and numbers[1:2] > (0,):
        return _wanted(
            f"{about.version} has no long-term support", "6.0 and 7.0 have: they get what is mended"
        )
    return _fine(about.version, _UPDATES)


def _extensions(seen: Sight) -> Finding[None]:
    if not seen.about.is_trusted:
        return unknown("a server says them only to whom it knows")
    missing = [each for each in NEEDED if each not in seen.about.extensions]
    if missing:
        return _wrong(f"{', '.join(missing)} missing", "upgrade the server")
    if PORT_FORWARD not in seen.about.extensions:
        return _fine(f"all, without {PORT_FORWARD}: sshd is reached by an exec, 0.4 s later")
    return _fine(f"all, and {PORT_FORWARD}")


def _clock(seen: Sight) -> Finding[None]:
    if isinstance(seen.ahead, Unseen):
        return unknown(seen.ahead.why)
    if abs(seen.ahead) > _DRIFT:
        how = "ahead of" if seen.ahead > 0 else "behind"
        return _wrong(
            f"{abs(seen.ahead):.0f} s {how} this machine's",
            "set both by NTP: timedatectl set-ntp true",
        )
    return _fine(f"within {max(1, round(abs(seen.ahead)))} s of this machine's")


def _project(seen: Sight) -> Finding[None]:
    project = seen.project
    if isinstance(project, Unseen):
        return unknown(f"not seen: {project.why}")
    if project is None:
        return _wrong("it is not there, or not yours", "ask the administrator for one of yours")
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
        return _wrong("; ".join(lacks))
    return _fine(f"{project.name}, restricted" if config.get("restricted") else project.name)


def _of_project(judge: Callable[[dict[str, str]], Finding[None]]) -> Callable[[Sight], Any]:
    def look(seen: Sight) -> Finding[None]:
        if not isinstance(seen.project, Project):
            return unknown("the project is not seen")
        return judge(seen.project.config)

    return look


@_of_project
def _images(config: dict[str, str]) -> Finding[None]:
    if config.get("features.images") == "false":
        return _wanted("they are the whole server's: only its administrator can bring one")
    return _fine("the project's own, which its users bring")


def _copies(seen: Sight) -> Finding[None]:
    if not isinstance(seen.project, Project):
        return unknown("the project is not seen")
    config = seen.project.config
    if config.get("restricted") != "true":
        return _fine("not restricted")
    wanted = {"restricted.snapshots": "no snapshots and forks"}
    if seen.about.is_clustered:
        wanted["restricted.cluster.target"] = "no choice of a node"
    lacks = [what for key, what in wanted.items() if config.get(key) != "allow"]
    if lacks:
        return _wanted("; ".join(lacks))
    return _fine("snapshots, forks, and a choice of nodes where there are several")


def _room(seen: Sight) -> Finding[None]:
    if isinstance(seen.usage, Unseen):
        return unknown(f"not seen: {seen.usage.why}")
    bounded = {what: each for what, each in sorted(seen.usage.items()) if each[0] >= 0}
    said = ", ".join(f"{what} {used} of {limit}" for what, (limit, used) in bounded.items())
    if any(used >= limit for limit, used in bounded.values()):
        return _wrong(said, "remove boxes that nobody needs (cai ls), or ask the administrator")
    return _fine(said or "no limits")


def _profile(seen: Sight) -> Finding[None]:
    profile = seen.profile
    if isinstance(profile, Unseen):
        return unknown(f"not seen: {profile.why}")
    if profile is None:
        return _wrong("there is none")
    pool, network = pool_of(profile), net_of(profile)
    lacks = ["no root disk with a pool"] * (not pool) + ["no interface"] * (not network)
    if network and isinstance(seen.project, Project):
        allowed = seen.project.config.get("restricted.networks.access", "").split(",")
        if allowed != [""] and network not in map(str.strip, allowed):
            lacks.append(f"{network} is not in restricted.networks.access")
    if lacks:
        return _wrong("; ".join(lacks))
    return _fine(f"root disk of {pool}, eth0 of {network}")


def _limits(seen: Sight) -> Finding[None]:
    if not isinstance(seen.profile, dict):
        return unknown("the profile is not seen")
    config = _part(seen.profile, "config")
    said = [f"{key} {config[key]}" for key in ("limits.memory", "limits.cpu") if config.get(key)]
    if len(said) < 2:
        have = said[0] if said else "none"
        return _wanted(f"{have}: a box without limits of its own takes all")
    return _fine(", ".join(said))


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
        return _wanted(f"not as here: {', '.join(lacks)}")
    return _fine("system calls, crashes, and frames between boxes, as here")


def _pool(seen: Sight) -> Finding[None]:
    if isinstance(seen.pool, Unseen):
        return unknown(f"not seen: {seen.pool.why}")
    if seen.pool is None:
        return _wrong("the profile's pool is not there")
    name, driver = str(seen.pool.get("name", "")), str(seen.pool.get("driver", ""))
    status = seen.pool.get("status")
    if status != "Created":
        return _wrong(f"{name} is {status}", f"on the server: incus storage show {name}")
    if driver == "dir":
        return _wanted(
            f"{name} is of directories: each box is a copy of the whole image, a fork takes half a "
            "minute", "a pool of btrfs: cai remote prepare --pool NAME",
        )  # fmt: skip
    return _fine(f"{name}, {driver}")


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
        return _wrong(text, "remove boxes that nobody needs (cai ls), or enlarge the pool")
    return unknown(text) if unseen else _fine(text)


def _network(seen: Sight) -> Finding[None]:
    if isinstance(seen.network, Unseen):
        return unknown(f"not seen: {seen.network.why}")
    if seen.network is None:
        return _wrong("the profile's network is not there, or not for this project")
    name, status = str(seen.network.get("name", "")), seen.network.get("status")
    if seen.network.get("managed") is not True or status != "Created":
        return _wrong(f"{name} is {status}, and has to be a managed one that is created")
    return _fine(f"{name}, {seen.network.get('type')}")


def _cluster(seen: Sight) -> Finding[None]:
    if not seen.about.is_trusted:
        return unknown("a server says it only to whom it knows")
    if isinstance(seen.members, Unseen):
        return unknown(f"not seen: {seen.members.why}")
    if not seen.members:
        return _fine("one server")
    said = ", ".join(
        f"{each.name} {each.status}" + (f" ({each.message})" if each.status != "Online" else "")
        for each in seen.members
    )
    away = {each.status for each in seen.members} - {"Online"}
    if away - {"Evacuated"}:
        return _wrong(said, "on a member: incus cluster list; boxes come back with their member")
    return _wanted(said, "on a member: incus cluster restore NAME") if away else _fine(said)


def _mounts(seen: Sight) -> Finding[None]:
    said = seen.features.get("idmapped_mounts")
    if said is None:
        return unknown("the server does not say")
    if said != "true":
        return _wrong(
            "the kernel has none: the files of each new box are given other owners, one by one",
            "a kernel of 5.15 or newer",
        )
    return _fine("the kernel has them")


def _ranges(seen: Sight) -> Finding[None]:
    if isinstance(seen.boxes, Unseen):
        return unknown(f"not seen: {seen.boxes.why}")
    bases: dict[str, list[str]] = {}
    for each in seen.boxes:
        base = each.config.get("volatile.idmap.base", "")
        # One that has never run has none yet; Incus has 0 for the range that is everybody's.
        if base:
            bases.setdefault(base, []).append(each.name)
    if not bases:
        return unknown("there is no box to be seen it from")
    shared = [", ".join(names) for base, names in bases.items() if len(names) > 1 or base == "0"]
    if shared:
        return _wrong(f"not for themselves alone: {'; '.join(shared)}", "make them anew")
    return _fine(f"each of {len(bases)} has its own")


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
        return _wrong(f"{said} for all boxes together, as {inside.box} says: one can take them all")
    return _fine(f"{said} for all boxes together, as {inside.box} says")


@_of_inside
def _subordinate(inside: Inside) -> Finding[None]:
    _, map_file, *files = FILES
    sizes = [_numbers(line, None)[2:3] for line in inside.lines.get(map_file, ())]
    if not all(sizes) or not sizes:
        return unknown(f"the box {inside.box} does not say")
    room = sum(size[0] for size in sizes)
    for path in files:
        named = [each for each in inside.lines.get(path, ()) if each.startswith("agent:")]
        ends = [sum(_numbers(each, ":")[-2:]) for each in named]
        if not ends or max(ends) > room:
            return _wrong(
                f"{path} of {inside.box} names {', '.join(named) or 'nothing for agent'}, and the "
                f"box has {room} ids: no rootless containers", "cai image build, then a new box",
            )  # fmt: skip
    return _fine(f"{inside.box} has {room}, and the agent's own are among them")


def _numbers(line: str, separator: str | None) -> list[int]:
    return [int(word) for word in line.split(separator) if word.isdecimal()]


def _part(said: Mapping[str, Any], key: str) -> dict[str, Any]:
    part = said.get(key)
    return part if isinstance(part, dict) else {}


#: All that is looked at, in order; behind the project, what it must not allow.
ROWS = (
    _Row("your certificate", "Nothing can be done there, or far too much.", _trusted),
    _Row("version", "Boxes are made for Incus 6.0.4 and later.", _version),
    _Row("extensions of its API", "Some commands do not work there.", _extensions),
    _Row("its clock", "Tokens and certificates end too early, or do not begin.", _clock),
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
