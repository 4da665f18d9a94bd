"""What a session is given by options, variables and a terminal; and what programs of a desktop."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from containai.cli.command import Argument
from containai.errors import UsageError

if TYPE_CHECKING:
    from containai.app import App
    from containai.ssh.session import Session

#: What a program with windows has to know: of its display, and of its session.
DESKTOP = (
    "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS",
    "XDG_CURRENT_DESKTOP", "XDG_SESSION_TYPE",
)  # fmt: skip

ENV = Argument(
    "--env",
    "a variable for this session; without =VALUE as it is here, and in no command line",
    metavar="NAME[=VALUE]",
    short="-e",
    many=True,
)

TERMINAL = (
    Argument("--tty", "with a terminal, whatever stdin and stdout are; a job, too", short="-t"),
    Argument("--no-tty", "without one, even where both are terminals", short="-T"),
)


def at_terminal(entered: "Session", *, tty: bool, no_tty: bool) -> "Session":
    """Return a session with or without a terminal, as options say."""
    return entered._replace(terminal=tty) if tty or no_tty else entered


def shown_terminal(argv: Sequence[str] | None, *, tty: bool, no_tty: bool) -> list[str] | None:
    """Return ssh's command line of a session, with or without a terminal, as options say."""
    if argv is None or not (tty or no_tty):
        return [*argv] if argv is not None else None
    at = argv.index("--") - 1
    return [*argv[:at], "-t" if tty else "-T", *argv[at + 1 :]]


def check_terminal(*, tty: bool, no_tty: bool) -> None:
    """Raise UsageError where options say both."""
    if tty and no_tty:
        raise UsageError("--tty and --no-tty exclude each other", hint="leave out one of -t and -T")


def given(app: "App", words: Sequence[str] | None) -> dict[str, str]:
    """Return what ssh is given for what options say: all in one variable. Raises UsageError."""
    if not words:
        return {}
    from containai.config import env

    return env.for_session(values(app, words))


def values(app: "App", words: Sequence[str] | None) -> dict[str, str]:
    """Return what options say. Raises UsageError."""
    if not words:
        return {}
    from containai.config import env

    try:
        return env.of_session(words, app.environ)
    except ValueError as wrong:
        raise UsageError(f"--env: {wrong}", hint="for example: --env NPM_TOKEN") from None
