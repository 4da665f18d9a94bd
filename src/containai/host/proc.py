"""The one door to the outside world: every process ContainAI starts is started here.

It is on the warm path, for `replace`: what only the others need is imported by them.
"""

import os
from collections.abc import Callable, Sequence
from typing import IO, Any, NamedTuple, NoReturn

from containai.errors import ContainAIError, PrivilegeError

#: Where the administrator's programs are; Debian's user PATH leaves the sbin directories out.
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Done(NamedTuple):
    """A process that has ended: its exit code and what it printed."""

    code: int
    out: str
    err: str


class ProcessError(ContainAIError):
    """A program is missing, or ended with an exit code that was not asked for."""

    def __init__(self, message: str, done: Done, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.done = done


def which(program: str) -> str | None:
    """Return the path of a program on the user's PATH or where the administrator's are."""
    import shutil

    return shutil.which(program, path=_path())


def _path() -> str:
    # An empty part would mean the current directory, which is the agent's to write. A snap's
    # programs are confined: its docker reaches neither our socket nor our files. (They are in
    # /snap/bin, and without classic confinement in /var/lib/snapd/snap/bin.)
    parts = [*os.environ.get("PATH", "").split(":"), SYSTEM_PATH]
    return ":".join(part for part in parts if part and "/snap/" not in f"{part}/")


def environment(**extra: str) -> dict[str, str]:
    """Return the environment for a child: ours, without what would redirect a Docker client."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DOCKER_", "BUILDKIT_"))}
    kept["PATH"] = _path()
    return kept | extra


def as_root(argv: Sequence[str]) -> list[str]:
    """Return the argv that runs as root: as it is for root, else behind sudo.

    Raises PrivilegeError where there is no sudo.
    """
    if os.geteuid() == 0:
        return list(argv)
    if which("sudo") is None:
        raise PrivilegeError(
            f"root is needed for: {describe(argv)}",
            hint="install sudo and add yourself to its group, or run this command as root",
        )
    return ["sudo", "--", *argv]


def describe(argv: Sequence[str]) -> str:
    """Return the argv as a person would type it."""
    import shlex

    return shlex.join(argv)


def run(
    argv: Sequence[str],
    *,
    ok: Sequence[int] | None = (0,),
    stdin: str | bytes | None = None,
    stdin_file: IO[bytes] | None = None,
    root: bool = False,
    timeout: float | None = None,
    env: dict[str, str] | None = None,
) -> Done:
    """Run a program to its end and return what it printed.

    `ok` are the exit codes to accept, None for all of them; `timeout` is in seconds; `stdin_file`
    is read from where its descriptor stands.
    Raises ProcessError for a missing program, another exit code or a time-out.
    """
    import subprocess

    argv = as_root(argv) if root else list(argv)
    try:
        ended = subprocess.run(
            argv,
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            stdin=stdin_file or (subprocess.DEVNULL if stdin is None else None),
            capture_output=True,
            timeout=timeout,
            env=env or environment(),
            check=False,
        )
    except (FileNotFoundError, PermissionError):
        raise ProcessError(
            f"the program {argv[0]!r} is missing", Done(127, "", ""), hint="run: cai setup"
        ) from None
    except subprocess.TimeoutExpired as late:
        raise ProcessError(
            f"no answer within {timeout:g} s from: {describe(argv)}",
            Done(124, _text(late.stdout), _text(late.stderr)),
        ) from None
    done = Done(ended.returncode, _text(ended.stdout), _text(ended.stderr))
    if ok is not None and done.code not in ok:
        raise failure(argv, done)
    return done


def run_limited(
    argv: Sequence[str], *, stdin: bytes, limit: int, timeout: float, root: bool = False
) -> Done:
    """Run a program whose output nobody answers for; return what it printed, whatever its code.

    Raises ProcessError for more than `limit` bytes, more than `timeout` seconds, or no program.
    """
    import subprocess
    import tempfile
    import time

    argv = as_root(argv) if root else list(argv)
    end = time.monotonic() + timeout
    with tempfile.TemporaryFile() as words:
        words.write(stdin)
        words.seek(0)
        pipe = subprocess.PIPE
        try:
            child = subprocess.Popen(argv, stdin=words, stdout=pipe, stderr=pipe, env=environment())
        except (FileNotFoundError, PermissionError):
            raise ProcessError(f"the program {argv[0]!r} is missing", Done(127, "", "")) from None
    with child:
        try:
            out, err = _collected((child.stdout, child.stderr), limit, end)
            code = child.wait(max(0.0, end - time.monotonic()))
        except (_TooMuch, subprocess.TimeoutExpired) as why:
            child.kill()
            what = (
                f"more than {limit} bytes" if isinstance(why, _TooMuch) else "longer than allowed"
            )
            raise ProcessError(f"{what}: {describe(argv)}", Done(124, "", "")) from None
        except BaseException:
            child.kill()
            raise
    return Done(code, _text(out), _text(err))


class _TooMuch(Exception):  # noqa: N818 - never leaves this module
    """A program said more than it may."""


def _collected(streams: Sequence[Any], limit: int, end: float) -> list[bytes]:
    """Read streams to their ends, which other processes may delay; stop at `end` (monotonic)."""
    import selectors
    import subprocess
    import time

    said: dict[Any, bytes] = dict.fromkeys(streams, b"")
    with selectors.DefaultSelector() as selector:
        for each in streams:
            selector.register(each, selectors.EVENT_READ)
        while selector.get_map():
            left = end - time.monotonic()
            if left <= 0:
                raise subprocess.TimeoutExpired("", 0)
            for key, _ in selector.select(left):
                part = os.read(key.fd, 1 << 16)
                said[key.fileobj] += part
                if not part:
                    selector.unregister(key.fileobj)
            if sum(map(len, said.values())) > limit:
                raise _TooMuch
    return list(said.values())


def failure(argv: Sequence[str], done: Done) -> ProcessError:
    """Return the error for a process that ended badly, with the last lines it printed."""
    seen = (done.err.strip() or done.out.strip()).splitlines()[-6:]
    said = ": " + "\n  ".join(seen) if seen else ""
    # A script would hide what was said; a dry run shows it.
    words = ["…" if "\n" in word else describe([word]) for word in argv]
    return ProcessError(f"{' '.join(words)} ended with code {done.code}{said}", done)


def stream(
    argv: Sequence[str],
    on_line: Callable[[str], None],
    *,
    root: bool = False,
    env: dict[str, str] | None = None,
) -> Done:
    """Run a program and hand over every line of its output as it comes (stderr included).

    Raises ProcessError for a missing program or an exit code other than 0. The last 200 lines are
    in the error. The child ends with us: an interrupt is passed on and waited for.
    """
    import signal
    import subprocess

    argv = as_root(argv) if root else list(argv)
    last: list[str] = []
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=env or environment(),
            text=True,
            errors="replace",
        )
    except (FileNotFoundError, PermissionError):
        raise ProcessError(f"the program {argv[0]!r} is missing", Done(127, "", "")) from None
    with child:
        assert child.stdout is not None
        try:
            for line in child.stdout:
                last = [*last[-199:], line]
                on_line(line.rstrip("\n"))
        except BaseException:
            child.send_signal(signal.SIGTERM)
            child.wait()
            raise
    done = Done(child.returncode, "".join(last), "")
    if done.code != 0:
        raise failure(argv, done)
    return done


def run_detached(argv: Sequence[str], watch: Callable[[], None] = lambda: None) -> int:
    """Run a program that may leave a process behind, without our pipes; return its code.

    `watch` is called until it ends: every second, and less often the longer that takes, as looking
    costs a slow machine more than waiting. What it raises ends the program, and is raised.
    """
    import select
    import signal
    import subprocess
    import time

    null = subprocess.DEVNULL
    child = subprocess.Popen(
        argv, stdin=null, stdout=null, stderr=null, start_new_session=True, env=environment()
    )
    end = os.pidfd_open(child.pid)
    begun = time.monotonic()
    try:
        while not select.select([end], [], [], max(1.0, (time.monotonic() - begun) / 10))[0]:
            watch()
    except BaseException:
        os.killpg(child.pid, signal.SIGKILL)
        raise
    finally:
        child.wait()
        os.close(end)
    return child.returncode


def start(argv: Sequence[str], *, log: str, cwd: str = "/") -> None:
    """Start a daemon in a session of its own, with its output appended to `log`."""
    shell = ["sh", "-c", 'exec setsid --fork "$@" </dev/null >>"$0" 2>&1', log, *argv]
    run(["env", "--chdir", cwd, *shell], root=True)


def replace(argv: Sequence[str | bytes], env: dict[str, str] | None = None) -> NoReturn:
    """Become another program; terminal, signals and exit code are then its own."""
    os.execvpe(argv[0], list(argv), os.environ if env is None else env)


def _text(raw: bytes | str | None) -> str:
    return raw.decode(errors="replace") if isinstance(raw, bytes) else raw or ""
