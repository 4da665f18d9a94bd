"""Jobs from end to end: which one words mean, and how one comes into a box."""

import os
from typing import TYPE_CHECKING

from containai.boxes import jobs, locate
from containai.boxes import workspace as workspaces
from containai.boxes.box import Box, Status
from containai.boxes.jobs import Job, Order
from containai.boxes.target import Target
from containai.errors import ContainAIError, JobError, UsageError
from containai.flows import enter
from containai.ssh import session

if TYPE_CHECKING:
    from containai.app import App


def started(app: "App", target: Target, wanted: enter.Wanted, order: Order) -> tuple[Box, str]:
    """Have a box, made and started if need be, run a job; return the box and the job's name."""
    # As a session is entered: what is refused there is refused here.
    box, workspace = enter.there(app, target, wanted)
    directory = os.path.join(box.start, workspace.directory).rstrip("/")
    return box, jobs.start(app.engine, box, order._replace(directory=directory))


def words_of(target: Target, job: str | None) -> tuple[Target, str | None]:
    """Return a PATH and a JOB, of which one word may be either: a word that is no directory's."""
    path = target.path
    if job is None and path and "/" not in path and not os.path.isdir(path):
        return target._replace(path=None), path
    return target, job


def box_of(app: "App", target: Target, job: str | None) -> Box:
    """Return the box that has a job. Raises as `locate.existing` does."""
    try:
        return locate.existing(app.engine, target, to_enter=True)
    except ContainAIError as wrong:
        meant = workspaces.meant(app.layout, job) if target == Target() else ""
        if not meant:
            raise
        raise type(wrong)(str(wrong), hint=meant) from None


def found(app: "App", box: Box, name: str | None) -> Job:
    """Return the job of that name; without one, the job that goes on, if there is no other.

    Raises JobError.
    """
    if name is not None:
        try:
            return jobs.find(app.engine, box, jobs.job_name(name))
        except ValueError as wrong:
            raise UsageError(
                f"{name!r} is no name of a job: {wrong}", hint="see: cai jobs"
            ) from None
    going = [job for job in jobs.every(app.engine, box) if job.status == "running"]
    if len(going) != 1:
        names = ", ".join(job.name for job in going[:10])
        raise JobError(
            f"{box.name} has several jobs that run: {names}"
            if going
            else f"no job runs in {box.name}",
            hint="say which" if going else f"see: cai jobs --name {box.name}",
        )
    return going[0]


def listed(app: "App", target: Target, *, everywhere: bool) -> list[tuple[str, Job]]:
    """Return the jobs of a box, or of all that run, each with its box's name."""
    if not everywhere:
        box = locate.existing(app.engine, target, to_enter=True)
        return [(box.name, job) for job in jobs.every(app.engine, box)]
    rows: list[tuple[str, Job]] = []
    for box in locate.listed(app.engine):
        if box.status is Status.RUNNING:
            try:
                rows += [(box.name, job) for job in jobs.every(app.engine, box)]
            except JobError as wrong:
                app.ui.tell(f"cai: {wrong}\n")
    return rows


def attached(app: "App", box: Box, job: str, *, watch: bool = False) -> session.Session:
    """Return the session that shows a job."""
    words = [jobs.PROGRAM, "watch" if watch else "attach", job]
    return enter.existing(app, Target(name=box.name), words)
