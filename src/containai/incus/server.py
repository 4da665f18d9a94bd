"""What is of a whole server: who it is, whom it trusts, projects, profiles, members."""

from __future__ import annotations

from typing import Any, NamedTuple

from containai.incus.client import Incus
from containai.incus.errors import ForbiddenError, GarbageError, IncusError, NotFoundError
from containai.incus.message import quoted

#: What lets us reach a box's sshd without an exec.
PORT_FORWARD = "instance_port_forward"


class About(NamedTuple):
    """What a server says of itself; all but the first two is "" for whom it does not trust.

    `fingerprint` is of the certificate that it shows, `own` of ours, as it knows it. `extensions`
    is empty for whom a server of 7.0 does not trust.
    """

    is_trusted: bool
    auth_methods: tuple[str, ...]
    extensions: frozenset[str]
    kind: str
    version: str
    name: str
    is_clustered: bool
    fingerprint: str
    own: str
    architectures: tuple[str, ...]
    storage: str
    kernel: str
    addresses: tuple[str, ...]


def about(incus: Incus, *, timeout: float = 15.0) -> About:
    """Return what a server says of itself, to whomever asks. Raises an IncusError."""
    return parsed(incus.get("", timeout=timeout))


def parsed(given: Any) -> About:
    """Return what a server says of itself, from its answer at /1.0. Raises GarbageError."""
    said = _object(given)
    here = said.get("environment")
    here = here if isinstance(here, dict) else {}
    return About(
        said.get("auth") == "trusted",
        _texts(said.get("auth_methods")),
        frozenset(_texts(said.get("api_extensions"))),
        _text(here.get("server")),
        _text(here.get("server_version")),
        _text(here.get("server_name")),
        here.get("server_clustered") is True,
        _text(here.get("certificate_fingerprint")),
        _text(said.get("auth_user_name")),
        _texts(here.get("architectures")),
        _text(here.get("storage")),
        _text(here.get("kernel_version")),
        _texts(here.get("addresses")),
    )


def redeem(incus: Incus, token: str) -> None:
    """Have our certificate trusted by a token, as it was printed. It is gone then, whatever comes.

    Raises IncusError: ForbiddenError where the server has no such token (any more), 500 for an
    expired one, 400 where the certificate is trusted already, with the token as good as before
    (cmd/incusd/certificates.go).
    """
    incus.send("POST", "/certificates", {"trust_token": token})


class Project(NamedTuple):
    """A project, with its settings as text."""

    name: str
    description: str
    config: dict[str, str]


def projects(incus: Incus) -> list[Project]:
    """Return the projects that we have a right to."""
    found = incus.get("/projects", {"recursion": 1})
    return [_project(each) for each in found or ()]


def project(incus: Incus, name: str) -> Project | None:
    """Return a project, or None where there is none or it is not ours: a server says either."""
    try:
        return _project(incus.get(f"/projects/{quoted(name)}"))
    except (NotFoundError, ForbiddenError):
        return None


def usage(incus: Incus, name: str) -> dict[str, tuple[int, int]]:
    """Return what a project uses of its limits: (limit, usage) by name, a limit of -1 is none."""
    said = _object(incus.get(f"/projects/{quoted(name)}/state")).get("resources") or {}
    return {key: (each.get("Limit", -1), each.get("Usage", 0)) for key, each in said.items()}


def profile(incus: Incus, name: str = "default") -> dict[str, Any] | None:
    """Return a profile's config and devices, or None."""
    try:
        return _object(incus.get(f"/profiles/{quoted(name)}"))
    except NotFoundError:
        return None


class Member(NamedTuple):
    """A member of a cluster; `status` is Online, Offline, Evacuated or Blocked."""

    name: str
    url: str
    status: str
    message: str
    architecture: str


def members(incus: Incus) -> list[Member]:
    """Return the members of a cluster. Raises IncusError (500) where it is none."""
    keys = ("server_name", "url", "status", "message", "architecture")
    found = incus.get("/cluster/members", {"recursion": 1})
    return [Member(*(_text(_object(each).get(key)) for key in keys)) for each in found or ()]


def resources(incus: Incus, member: str = "") -> dict[str, Any]:
    """Return the hardware of a server, or of a member: processors, memory in bytes."""
    return _object(incus.get("/resources", {"target": member} if member else None))


def driver(incus: Incus, pool: str) -> str:
    """Return what a pool is made of: btrfs, dir, lvm, zfs, ceph, …"""
    return _text(_object(incus.get(f"/storage-pools/{quoted(pool)}")).get("driver"))


def space(incus: Incus, pool: str, member: str = "") -> tuple[int, int] | None:
    """Return the used and all bytes of a pool, or None where we may not know."""
    path = f"/storage-pools/{quoted(pool)}/resources"
    try:
        said = _object(incus.get(path, {"target": member} if member else None)).get("space") or {}
    except IncusError:
        return None
    return int(said.get("used", 0)), int(said.get("total", 0))


def _project(given: Any) -> Project:
    said = _object(given)
    config = said.get("config")
    settings = {str(key): str(text) for key, text in (config or {}).items()}
    return Project(_text(said.get("name")), _text(said.get("description")), settings)


def _object(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise GarbageError("the server's answer is not as Incus has it")
    return given


def _text(given: Any) -> str:
    return given if isinstance(given, str) else ""


def _texts(given: Any) -> tuple[str, ...]:
    return tuple(map(str, given)) if isinstance(given, list) else ()
