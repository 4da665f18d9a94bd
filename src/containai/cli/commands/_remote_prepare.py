"""`cai remote prepare`, a row of remote.py."""

from typing import TYPE_CHECKING, Any, TypeVar

from containai.app import App
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Note, Report

if TYPE_CHECKING:
    from containai.incus.prepare import Limits, Wanted

Value = TypeVar("Value", "Wanted", "Limits")


def run(
    app: App,
    *,
    apply: bool,
    user: str | None,
    project: str | None,
    pool: str | None,
    size: str | None,
    bridge: str | None,
    subnet: str | None,
    listen: str | None,
    boxes: int | None,
    memory: str | None,
    cpus: int | None,
    disk: str | None,
    total_memory: str | None,
    total_cpus: int | None,
    total_disk: str | None,
) -> Report:
    """Print what prepares a server; or do it, and print the token of its user."""
    from containai.flows import preparing
    from containai.incus import prepare

    name = user or app.host.user_name(app.layout.uid)
    wanted = _with(
        prepare.Wanted(name), project=project, pool=pool, size=size, bridge=bridge, subnet=subnet,
        address=listen, boxes=boxes,
    )  # fmt: skip
    each = _with(wanted.each, memory=memory, cpus=cpus, disk=disk)
    together = _with(wanted.together, memory=total_memory, cpus=total_cpus, disk=total_disk)
    wanted = wanted._replace(each=each, together=together)
    if not apply:
        parts = [
            {"title": part.title, "script": part.argv[-1]} for part in prepare.commands(wanted)
        ]
        return Report({"parts": parts}, [prepare.script(wanted)])
    token, said = preparing.apply(app, wanted)
    value = {"user": wanted.trusted, "project": wanted.project, "token": token or None}
    if not token:
        return Report(value, notes=[Note(said or f"{wanted.trusted} is trusted already")])
    how = f"{wanted.user} gives it to cai once: cai remote add NAME --token TOKEN"
    return Report(value, [f"{token}\n"], notes=[Note("the token lets one machine in", how)])


def _with(what: Value, **said: Any) -> Value:
    """Return something with what is said of it: None is for as by default."""
    return what._replace(**{key: each for key, each in said.items() if each is not None})


def _count(text: str) -> int:
    if not (text.isdecimal() and text.isascii()) or len(text) > 6:
        raise ValueError("a whole number; 0 is for no limit")
    return int(text)


COMMAND = Command(
    "remote prepare",
    "prepare a server of Incus for boxes, as its administrator",
    run,
    group="places",
    arguments=(
        Argument("--apply", "do it, on this machine, which is the server; as root"),
        Argument("--user", "who gets a token (default: you)", metavar="NAME"),
        Argument("--project", "the project that boxes are in (default: boxes)", metavar="PROJECT"),
        Argument("--pool", "the storage pool (default: default), of btrfs where it is made",
                 metavar="POOL"),
        Argument("--size", "that of a new pool, such as 200GiB (default: Incus's own)",
                 metavar="SIZE"),
        Argument("--bridge", "the network of boxes (default: incusbr0)", metavar="NETWORK"),
        Argument("--subnet", "the server's address there, such as 10.77.0.1/24 (default: a free "
                 "one)", metavar="ADDRESS"),
        Argument("--listen", "where the server listens, if nothing says so yet (default: :8443)",
                 metavar="ADDRESS"),
        Argument("--boxes", "how many boxes the project may have (default: any number)",
                 metavar="N", parse=_count),
        Argument("--memory", "that of a box, unless its user says another (default: 8GiB)",
                 metavar="SIZE"),
        Argument("--cpus", "the processors of a box, likewise (default: 4)", metavar="N",
                 parse=_count),
        Argument("--disk", "the disk of a box, likewise (default: no limit)", metavar="SIZE"),
        Argument("--total-memory", "that of all boxes of the project together", metavar="SIZE"),
        Argument("--total-cpus", "the processors of all boxes together", metavar="N",
                 parse=_count),
        Argument("--total-disk", "the disk of all boxes together", metavar="SIZE"),
    ),
    examples=(
        Example("cai remote prepare --user alice", "print it: read it, and run it as root there"),
        Example("cai remote prepare --user alice --apply", "on the server, as root: do it"),
        Example("cai remote prepare --user bob --project bobs --boxes 10 --apply",
                "another user, in a project of their own"),
    ),
    more="It is for Debian 13: packages, limits of the kernel, where Incus listens, a storage "
    "pool, a network, a restricted project with its profile, and a token, which alone is printed. "
    "What is there already stays, so a second time only what differs is set, and a token that was "
    "not used yet is printed again. Users of one project share its boxes' names and can enter each "
    "other's: who is not to, gets a project of their own. Of a cluster, run the script on each "
    "member; all but packages and limits of the kernel is done by the first.",
    asks=True,
)  # fmt: skip
