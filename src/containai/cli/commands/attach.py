"""`cai attach [PATH] [JOB]`."""

from containai.app import App
from containai.boxes.target import Target
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Enter
from containai.errors import JobError


def run(app: App, target: Target, *, job: str | None, read_only: bool) -> Enter:
    """Take up the terminal of a job, or follow its output."""
    from containai.flows import jobs

    target, job = jobs.words_of(target, job)
    way = jobs.way_to(app, target, job)
    box, found = way.box, jobs.found(way, job)
    if not found.goes_on:
        code = "" if found.code is None else f", with code {found.code}"
        raise JobError(
            f"the job {found.name!r} has ended{code}",
            hint=f"what it printed: cai logs --name {box.name} {found.name}",
        )
    if not found.terminal:
        app.ui.tell(
            f"cai: {found.name} has no terminal: this is its output; Ctrl-C leaves it running\n"
        )
    return Enter(jobs.attached(app, box, found.name, watch=read_only))


COMMANDS = (
    Command(
        "attach",
        "take up a job of a box: its terminal, or its output",
        run,
        group="box",
        arguments=(
            Argument("--read-only", "look on: what is typed does not reach it"),
            Argument("JOB", "its name (default: the job that runs)", last=True, optional=True),
        ),
        examples=(
            Example("cai attach", "the job that runs in the box of this directory"),
            Example("cai attach --name api claude-1", "a job of a box by its name, from anywhere"),
        ),
        more="Ctrl-b d leaves the terminal of a job (it is tmux's), and so does closing yours; the "
        "job goes on. If it ends meanwhile, its exit code is cai's. A word that is no directory "
        "here is a JOB.",
        has_target=True,
        has_value=False,
    ),
)
