"""A session in a box: as a local command would be, as far as terminal, signals and code go.

On the warm path: what only a terminal, a signal or a failure needs is imported by them.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found] # signal has enums, a twentieth of a warm start
import os

from containai.cli.output import Output
from containai.cli.report import Enter, Note
from containai.errors import SshConnectError
from containai.host.noted import observers, shown, tell
from containai.light import TYPE_CHECKING, NamedTuple
from containai.ssh import mux, session
from containai.ssh.session import SUPERVISE, Session

if TYPE_CHECKING:
    from typing import NoReturn

#: The exit code where the connection to the box was lost.
LOST = 255
#: The kernel takes no longer word (execve(2), MAX_ARG_STRLEN), and a line has the command twice.
LONGEST_LINE = 120_000
#: What goes to the command: others end this process, and so the command (supervise).
_PASSED_ON = (_signal.SIGINT, _signal.SIGQUIT, _signal.SIGTSTP)
#: How long a signal may take on its way, in seconds.
_SIGNAL_TIMEOUT = 3.0


class Place(NamedTuple):
    """Where a session is: what another connection to the same is asked through."""

    session: Session
    token: str

    @property
    def socket(self) -> str:
        """The box's control socket."""
        return self.session.layout.control_socket(self.session.box)

    def signal(self, name: str) -> bool:
        """Send a signal to what runs there; return whether it arrived."""
        line = f"exec {SUPERVISE} --signal {name} {self.token}"
        return mux.run(self.socket, line.encode(), timeout=_SIGNAL_TIMEOUT) == 0

    def keep(self, words: bytes) -> None:
        """Have the box keep words for `supervise --kept`. Raises SshConnectError."""
        path = f'"${{XDG_RUNTIME_DIR:-/tmp}}/cai-{self.token}"'
        line = f"exec sh -c 'umask 077; set -C; exec cat >{path}'"
        if mux.run(self.socket, line.encode(), words) != 0:
            raise SshConnectError(
                "the box took no command that is so long", hint=f"df -h /run in it: {len(words)} B"
            )


def enter(asked: Enter, output: Output) -> int:
    """Be in a session until it ends; return its exit code.

    Raises SshConnectError where the box's control connection has gone meanwhile.
    """
    place = Place(asked.session, os.urandom(6).hex())
    if observers:
        tell(f"$ {shown(asked.argv)}", 0.0, None)
    line = asked.session.line(place.token)
    if len(line) > LONGEST_LINE:
        place.keep(asked.session.kept(place.token))
        line = asked.session.kept_line(place.token)
    variables = {**session.colours(), **asked.given}
    try:
        if asked.session.terminal:
            from containai.cli import relay

            code = relay.relay(place, mux.Request(line, variables, os.environ.get("TERM", "")))
        else:
            code = _attached(place, mux.Request(line, variables))
    except mux.RefusedError:
        _alone(asked)
    except OSError as wrong:
        raise SshConnectError(
            f"the connection to the box {asked.session.box!r} cannot be used: {wrong.strerror}",
            hint="try again",
        ) from None
    return code if code is not None else _without_code(asked.session, output)


def _attached(place: Place, request: mux.Request) -> int | None:
    """Have the session read and write our own streams; return its exit code, if it has one."""
    stdin, typed = os.pipe() if os.isatty(0) else (0, 0)
    connection = mux.Connection(place.socket, request, (stdin, 1, 2))

    def pass_on(number: int, _: object) -> None:
        if not place.signal(_name(number)):
            _die(number)
        if number == _signal.SIGTSTP:
            _signal.signal(number, _signal.SIG_DFL)
            os.kill(os.getpid(), number)
            _signal.signal(number, pass_on)
            place.signal("CONT")

    for number in _PASSED_ON:
        if _signal.getsignal(number) != _signal.SIG_IGN:
            _signal.signal(number, pass_on)
    connection.begin()
    if typed:
        from containai.cli import keyboard

        os.close(stdin)
        keyboard.type_into(connection, typed)
    code = connection.wait_for_output()
    for number in _PASSED_ON:
        if _signal.getsignal(number) == pass_on:
            _signal.signal(number, _signal.SIG_DFL)
    return code


def _name(number: int) -> str:
    import signal

    return signal.Signals(number).name.removeprefix("SIG")


def _die(number: int) -> NoReturn:
    _signal.signal(number, _signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)


def _without_code(asked: Session, output: Output) -> int:
    """Say why a session ended without an exit code; return the one for it."""
    if _is_unread():
        return 141
    if session.is_live(asked.layout, asked.box):
        output.note(Note("the session ended without an exit code: it was ended in the box"))
    else:
        output.note(
            Note(
                f"the connection to the box {asked.box!r} was lost",
                f"what ran has been ended; whether the box runs: cai ls; in again: cai run --name "
                f"{asked.box}",
            )
        )
    return LOST


def _is_unread() -> bool:
    """Whether whoever read our output has gone: ssh then ends a session that has no input."""
    import select

    poll = select.poll()
    poll.register(1, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _alone(asked: Enter) -> NoReturn:
    """Become an ssh with a connection of its own."""
    from containai.host.proc import Programs

    argv = [*asked.argv]
    argv[argv.index("-S") + 1] = "none"
    Programs().replace(argv, given=asked.given)
