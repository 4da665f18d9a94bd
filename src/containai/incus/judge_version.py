"""What of a server's version is as boxes need it, and what is known of it. Pure."""

from containai.incus import holes, prepare
from containai.incus.server import PORT_FORWARD, Project
from containai.incus.sight import Sight
from containai.incus.verdicts import fine, wanted, wrong
from containai.layout import REMOTE_PACKAGE
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
_STRANGER = "a server says it only to whom it knows"


def version(seen: Sight) -> Finding[None]:
    """Judge the version, but for what is known to be wrong with it."""
    about = seen.about
    if not about.is_trusted:
        return unknown(_STRANGER)
    if about.kind != "incus":
        return wrong(f"{about.kind or 'what answers'} is no Incus", "give Incus's address")
    numbers = holes.parsed(about.version)
    if not numbers:
        return unknown(f"{about.version!r} is no version")
    if numbers < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return wrong(f"{about.version}, and {oldest} is the oldest", "upgrade the server")
    if numbers[0] > LAST:
        return unknown(f"{about.version}: nobody tried it", hint="is there a newer cai? cai update")
    if numbers[0] < LAST and numbers[1:2] > (0,):
        return wanted(
            f"{about.version} has no long-term support", "6.0 and 7.0 have: they get what is mended"
        )
    return fine(about.version)


def mended(seen: Sight) -> Finding[None]:
    """Judge whether holes are known, in the version or in the package that was noted."""
    numbers = holes.parsed(seen.about.version)
    if not numbers or seen.about.kind != "incus":
        return unknown("the version is not seen")
    package = _package(seen)
    found = holes.known(numbers, package)
    if not found:
        return fine(f"none of {package or seen.about.version} are known here")
    worst = found[0]
    more = f", and {len(found) - 1} of before" if len(found) > 1 else ""
    text = f"{worst.cve}{more}: {worst.gives}"
    if numbers not in holes.PACKAGED:
        return wrong(f"{seen.about.version} has {text}", "upgrade the server")
    noting = prepare.noting(seen.project.name if isinstance(seen.project, Project) else "PROJECT")
    return unknown(
        f"{package or seen.about.version} has {text}; Debian's updates are not seen from here",
        hint=f"on the server: apt-get update && apt-get install incus-base; {noting}",
    )


def extensions(seen: Sight) -> Finding[None]:
    """Judge the level of the API."""
    if not seen.about.is_trusted:
        return unknown(_STRANGER)
    missing = [each for each in NEEDED if each not in seen.about.extensions]
    if missing:
        return wrong(f"{', '.join(missing)} missing", "upgrade the server")
    count = f"{len(seen.about.extensions)}"
    if PORT_FORWARD not in seen.about.extensions:
        return fine(
            f"all that are needed of {count}, without {PORT_FORWARD}: sshd is reached by an exec, "
            "0.4 s later"
        )
    return fine(f"all that are needed of {count}, and {PORT_FORWARD}")


def _package(seen: Sight) -> str:
    """Return the package that the administrator's script noted, where it is of this version."""
    if not isinstance(seen.project, Project):
        return ""
    noted = seen.project.config.get(REMOTE_PACKAGE, "")
    return noted if noted.startswith(f"{seen.about.version}-") else ""
