"""`cai run --detach`: what says that a command is to be a job, and how."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from containai.cli.command import Argument
from containai.errors import UsageError

if TYPE_CHECKING:
    from containai.app import App
    from containai.boxes.jobs import Order

#: What systemd has for Restart= (systemd.service(5)).
RESTARTS = (
    "no", "always", "on-success", "on-failure", "on-abnormal", "on-abort", "on-watchdog",
)  # fmt: skip


def _name(text: str) -> str:
    from containai.boxes import jobs

    return jobs.job_name(text)


def _calendar(text: str) -> str:
    from containai.boxes import jobs

    return jobs.calendar(text)


ARGUMENTS = (
    Argument("--detach", "run it as a job of the box, and print the job's name", short="-d"),
    Argument("--attach", "as --detach, and attach to it: it can be left, and taken up again"),
    Argument("--job", "what the job is called", "JOB", _name),
    Argument(
        "--restart",
        "start the job again: on-failure, always, … (systemd's Restart=), and with its box",
        "WHEN",
        choices=RESTARTS,
    ),
    Argument(
        "--on-calendar",
        "run the job then, and not now: daily, 'Mon..Fri 07:30' (systemd's OnCalendar=)",
        "TIME",
        _calendar,
    ),
)


class Asked(NamedTuple):
    """What those said."""

    attach: bool = False
    tty: bool = False
    job: str | None = None
    restart: str | None = None
    on_calendar: str | None = None

    def order(
        self, app: "App", command: Sequence[str], variables: Mapping[str, str], *, agent: str
    ) -> "Order":
        """Return what is ordered; `agent` is which one the command starts, if one."""
        import shutil

        from containai.boxes import jobs

        columns, rows = shutil.get_terminal_size((120, 40))
        return jobs.Order(
            [*command],
            "",
            variables,
            self.job or "",
            jobs.stem(agent or command[0]),
            terminal=bool(agent) or self.attach or self.tty,
            restart=self.restart or "no",
            calendar=self.on_calendar or "",
            columns=columns,
            rows=rows,
        )


def asked(detach: bool, said: Asked) -> Asked | None:  # noqa: FBT001
    """Return what was said of a job; None where it is none. Raises UsageError."""
    if said.restart not in (None, *RESTARTS):
        raise UsageError(
            f"--restart: {said.restart!r} is none of {', '.join(RESTARTS)}",
            hint="for example: cai run --detach --restart on-failure . -- COMMAND",
        )
    if said.attach and said.on_calendar:
        raise UsageError("--attach: it does not run now", hint="with --on-calendar: --detach")
    if detach or said.attach:
        return said
    if said != Asked():
        raise UsageError(
            "--job, --restart and --on-calendar are of a job",
            hint="for example: cai run --detach --job nightly . -- COMMAND",
        )
    return None
