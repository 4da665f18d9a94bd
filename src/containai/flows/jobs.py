"""Jobs from end to end: which one words mean, and how one comes into a box."""

import os
from typing import TYPE_CHECKING

from containai.boxes import jobs
from containai.boxes import workspace as workspaces
from containai.boxes.box import Box, Status
from containai.boxes.jobs import Job, Order
from containai.boxes.target import Target
from containai.boxes.way import Way
from containai.errors import ContainAIError, JobError, UsageError
from containai.flows import enter, reaching, whereabouts
from containai.ssh import session

if TYPE_CHECKING:
    from containai.app import App


def started(app: "App", target: Target, wanted: enter.Wanted, order: Order) -> tuple[Box, str]:
    """Have a box, made and started if need be, run a job; return the box and the job's name."""
    # As a session is entered: what is refused there is refused here.
    box, workspace = enter.there(app, target, wanted)
    directory = os.path.join(box.start, workspace.directory).rstrip("/")
    way = reaching.way(app, box)
    return box, jobs.start(way, order._replace(directory=directory))


def words_of(target: Target, job: str | None) -> tuple[Target, str | None]:
    """Return a PATH and a JOB, of which one word may be either: a word that is no directory's."""
    path = target.path
    if job is None and path and "/" not in path and not os.path.isdir(path):
        return target._replace(path=None), path
    return target, job


def way_to(app: "App", target: Target, job: str | None) -> Way:
    """Return the way into the box that has a job. Raises as `reaching.existing` does."""
    try:
        return reaching.way(app, reaching.existing(app, target))
    except ContainAIError as wrong:
        meant = workspaces.meant(app.layout, job) if target == Target() else ""
        if not meant:
            raise
        raise type(wrong)(str(wrong), hint=meant) from None


def found(way: Way, name: str | None) -> Job:
    """Return the job of that name; without one, the job that goes on, if there is no other.

    Raises JobError.
    """
    if name is not None:
        try:
            return jobs.find(way, jobs.job_name(name))
        except ValueError as wrong:
            raise UsageError(
                f"{name!r} is no name of a job: {wrong}", hint="see: cai jobs"
            ) from None
    going = [job for job in jobs.every(way) if job.status == "running"]
    if len(going) != 1:
        names, box = ", ".join(job.name for job in going[:10]), way.box.name
        raise JobError(
            f"{box} has several jobs that run: {names}" if going else f"no job runs in {box}",
            hint="say which" if going else f"see: cai jobs --name {box}",
        )
    return going[0]


def listed(app: "App", target: Target, *, everywhere: bool) -> list[tuple[str, Job]]:
    """Return the jobs of a box, or of all that run, each with its box's name."""
    if not everywhere:
        way = way_to(app, target, None)
        return [(way.box.name, job) for job in jobs.every(way)]
    rows: list[tuple[str, Job]] = []
    for box in [*_running_here(app), *_running_away(app)]:
        try:
            rows += [(box.name, job) for job in jobs.every(reaching.way(app, box))]
        except JobError as wrong:
            app.ui.tell(f"cai: {wrong}\n")
    return rows


def _running_here(app: "App") -> list[Box]:
    """Return the user's boxes that run on this machine; say where its engine does not answer.

    Raises that where there are none elsewhere.
    """
    try:
        boxes = [each.box for each in whereabouts.boxes_here(app)]
        return [box for box in boxes if box.status is Status.RUNNING]
    except ContainAIError as silent:
        if not whereabouts.every_known(app):
            raise
        app.ui.tell(f"cai: {silent}\n")
        return []


def _running_away(app: "App") -> list[Box]:
    """Return the user's boxes that run on remote places; say which places do not answer."""
    known = {each.name: each.box for each in whereabouts.boxes_there(app)}
    if not known:
        return []
    from containai.flows import away_look

    boxes = []
    for answer in away_look.listed(app, on=whereabouts.said(app)):
        if answer.problem:
            app.ui.tell(f"cai: {answer.problem}\n")
        names = [each.name for each in answer.boxes if each.status == Status.RUNNING]
        boxes += [known[name] for name in names if name in known]
    return boxes


def attached(app: "App", box: Box, job: str, *, watch: bool = False) -> session.Session:
    """Return the session that shows a job."""
    words = [jobs.PROGRAM, "watch" if watch else "attach", job]
    return enter.existing(app, Target(name=box.name), words)
