"""The one door to the outside world: every process ContainAI starts is started here.

It is on the warm path, for `replace`: what only the others need is imported by them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping, Sequence

from containai.errors import ContainAIError, SshSetupError
from containai.host.noted import noted, observers, shown, tell
from containai.host.sudo import Sudo
from containai.light import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from typing import IO, NoReturn

#: Where programs are looked for, whatever PATH says: what is on that may be an agent's to write
#: (.venv/bin, node_modules/.bin). These are root's own, of sudo's secure_path too.
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: What a child gets of our environment, with every LC_…: nothing that names a program, a library or
#: a configuration. There are too many such names to list those instead (BASH_ENV, PYTHONPATH,
#: PERL5LIB, GCONV_PATH, OPENSSL_CONF, APT_CONFIG, SSH_ASKPASS, DOCKER_CONFIG, LD_PRELOAD, TMPDIR).
PASSED_ON = frozenset(
    {
        "HOME", "USER", "LOGNAME", "XDG_RUNTIME_DIR", "SSH_AUTH_SOCK",
        "TERM", "COLORTERM", "NO_COLOR", "LANG", "LANGUAGE", "TZ",
        "http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy",
        "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY",
    }
)  # fmt: skip

#: What a program is started by that ends with us, however we end (setpriv(1)).
ENDS_WITH_US = ("setpriv", "--pdeathsig", "TERM", "--")


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


class Programs:
    """The programs of this machine: where they are, and how one is started."""

    def __init__(self, path: str = "", elsewhere: Callable[[], Sequence[str]] = tuple) -> None:
        """`path` is where programs are looked for, not the system's; `elsewhere` what is added."""
        self.path = path or SYSTEM_PATH
        self._elsewhere = elsewhere
        self._sudo = Sudo()

    def is_root(self) -> bool:
        """Whether this is root."""
        return os.geteuid() == 0

    def which(self, program: str, *, root: bool = False) -> str | None:
        """Return the path of a program: in the system's directories, else in those of `host.path`.

        `root` is for what root runs, or a file of root's names: only root may be able to change it.
        So it is, too, for whoever is root.
        """
        root = root or self.is_root()
        for directory in self.path.split(":"):
            if _is_program(path := f"{directory}/{program}", root=root):
                return path
        for directory in self._elsewhere():
            if _is_program(path := f"{directory}/{program}", root=root):
                return path
        return None

    def is_program(self, path: str) -> bool:
        """Whether there is a program at a path."""
        return _is_program(path, root=False)

    def environment(self, **extra: str) -> dict[str, str]:
        """Return the environment for a child: of ours, what steers no program (PASSED_ON)."""
        kept = {k: v for k, v in os.environ.items() if k in PASSED_ON or k.startswith("LC_")}
        # ssh runs a ProxyCommand with the user's shell.
        return kept | {"PATH": self.path, "SHELL": "/bin/sh"} | extra

    def as_root(self, argv: Sequence[str]) -> list[str]:
        """Return the argv that runs as root: as it is for root, else behind sudo.

        Raises PrivilegeError where there is no sudo, or it has refused already.
        """
        if self.is_root():
            return list(argv)
        return self._sudo.argv(argv, self.which("sudo", root=True))

    @noted
    def run(
        self,
        argv: Sequence[str],
        *,
        ok: Sequence[int] | None = (0,),
        stdin: str | bytes | None = None,
        stdin_file: IO[bytes] | None = None,
        stdout_file: IO[bytes] | None = None,
        root: bool = False,
        timeout: float | None = None,
        env: dict[str, str] | None = None,
    ) -> Done:
        """Run a program to its end and return what it printed.

        `ok` are the exit codes to accept, None for all of them; `timeout` is in seconds;
        `stdin_file` is read from where its descriptor stands, `stdout_file` gets what is printed.
        Raises ProcessError for a missing program, another exit code or a time-out.
        """
        import subprocess

        argv, words = self._command(argv, root=root)
        try:
            ended = subprocess.run(
                words,
                input=stdin.encode() if isinstance(stdin, str) else stdin,
                stdin=stdin_file or (subprocess.DEVNULL if stdin is None else None),
                stdout=stdout_file or subprocess.PIPE,
                stderr=subprocess.PIPE,
                timeout=timeout,
                env=env or self.environment(),
                cwd="/",
                check=False,
            )
        except (FileNotFoundError, PermissionError):
            raise self.absent(argv[0]) from None
        except subprocess.TimeoutExpired as late:
            raise ProcessError(
                f"no answer within {timeout:g} s from: {describe(argv)}",
                Done(124, _text(late.stdout), _text(late.stderr)),
            ) from None
        done = Done(ended.returncode, _text(ended.stdout), _text(ended.stderr))
        self._sudo.heed(argv, done.code, done.err, self.run)
        if ok is not None and done.code not in ok:
            raise failure(argv, done)
        return done

    @noted
    def run_limited(
        self, argv: Sequence[str], *, stdin: bytes, limit: int, timeout: float, root: bool = False
    ) -> Done:
        """Run a program whose output nobody answers for; return what it printed, whatever its code.

        Raises ProcessError for more than `limit` bytes, more than `timeout` seconds, or no program.
        """
        import subprocess
        import time

        from containai.host.limited import TooMuch, collected

        argv, words = self._command(argv, root=root)
        end = time.monotonic() + timeout
        with open(os.memfd_create("stdin"), "w+b") as given:
            given.write(stdin)
            given.seek(0)
            out = subprocess.PIPE
            try:
                child = subprocess.Popen(
                    words, stdin=given, stdout=out, stderr=out, env=self.environment(), cwd="/"
                )
            except (FileNotFoundError, PermissionError):
                raise self.absent(argv[0]) from None
        with child:
            try:
                said, why = collected((child.stdout, child.stderr), limit, end)
                code = child.wait(max(0.0, end - time.monotonic()))
            except (TooMuch, TimeoutError, subprocess.TimeoutExpired) as wrong:
                child.kill()
                much = isinstance(wrong, TooMuch)
                what = f"more than {limit} bytes" if much else "longer than allowed"
                raise ProcessError(f"{what}: {describe(argv)}", Done(124, "", "")) from None
            except BaseException:
                child.kill()
                raise
        self._sudo.heed(argv, code, _text(why), self.run)
        return Done(code, _text(said), _text(why))

    @noted
    def stream(
        self,
        argv: Sequence[str],
        on_line: Callable[[str], None],
        *,
        stdin: bytes | None = None,
        root: bool = False,
        env: dict[str, str] | None = None,
        keep: Sequence[str] = (),
        longest: int = -1,
        holds: bool = False,
    ) -> Done:
        """Run a program and hand over every line of its output as it comes (stderr included).

        `keep` are names in `env` that sudo is not to take out; a line of more than `longest`
        characters comes in parts, for output that nobody answers for. One that `holds` has a stdin
        without anything, which ends when this process does. Raises ProcessError for a
        missing program or an exit code other than 0. The last 200 lines are in the error.
        The child ends with us: an interrupt is passed on and waited for.
        """
        import signal
        import subprocess

        argv, words = self._command(argv, root=root, keep=keep)
        null = subprocess.DEVNULL
        last: list[str] = []
        try:
            with open(os.memfd_create("stdin"), "w+b") as given:
                given.write(stdin or b"")
                given.seek(0)
                child = subprocess.Popen(
                    words,
                    stdin=subprocess.PIPE if holds else null if stdin is None else given,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    env=env or self.environment(),
                    cwd="/",
                    text=True,
                    errors="replace",
                )
        except (FileNotFoundError, PermissionError):
            raise self.absent(argv[0]) from None
        with child:
            out = child.stdout
            assert out is not None
            try:
                for line in iter(lambda: out.readline(longest), ""):
                    last = [*last[-199:], line]
                    on_line(line.rstrip("\n"))
            except BaseException:
                child.send_signal(signal.SIGTERM)
                child.wait()
                raise
        done = Done(child.returncode, "".join(last), "")
        self._sudo.heed(argv, done.code, done.out, self.run)
        if done.code != 0:
            raise failure(argv, done)
        return done

    def begin(
        self, argv: Sequence[str], *, stdin: int, stdout: int, env: dict[str, str] | None = None
    ) -> Any:
        """Start a program with a pipe for what it says is wrong: a Popen, which `piped` ends."""
        import subprocess

        (words, err), env = (self._command(argv)[1], subprocess.PIPE), env or self.environment()
        return subprocess.Popen(words, stdin=stdin, stdout=stdout, stderr=err, env=env, cwd="/")

    @noted
    def run_detached(self, argv: Sequence[str], watch: Callable[[], None] = lambda: None) -> int:
        """Run a program that may leave a process behind, without our pipes; return its code.

        `watch` is called until it ends: every second, and less often the longer that takes, as
        looking costs a slow machine more than waiting. What it raises ends the program, and is
        raised.
        """
        import select
        import signal
        import subprocess
        import time

        null, words = subprocess.DEVNULL, self._command(argv)[1]
        child = subprocess.Popen(
            words,
            stdin=null,
            stdout=null,
            stderr=null,
            start_new_session=True,
            env=self.environment(),
            cwd="/",
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

    def replace(
        self,
        argv: Sequence[str | bytes],
        keep: Sequence[str] = (),
        given: Mapping[str, str] | None = None,
    ) -> NoReturn:
        """Become another program; terminal, signals and exit code are then its own.

        `keep` names variables that it gets as well, `given` has some: they have to steer nothing.
        """
        kept = {name: os.environ[name] for name in keep if name in os.environ}
        if observers:
            tell(f"$ exec {shown(argv)}", 0.0, None)
        environment = self.environment(**kept, **(given or {}))
        os.execve(self._program(os.fsdecode(argv[0])), list(argv), environment)

    def _command(
        self, argv: Sequence[str], *, root: bool = False, keep: Sequence[str] = ()
    ) -> tuple[list[str], list[str]]:
        """Return an argv as people see it, and as it is run: with whole paths of programs."""
        shown = self.as_root(argv) if root else list(argv)
        kept = [f"--preserve-env={','.join(keep)}"] if keep else []
        behind = len(shown) > len(argv)
        sudo = [self._program("sudo", root=True), *kept, "--"] if behind else []
        return shown, [*sudo, self._program(argv[0], root=root), *argv[1:]]

    def _program(self, name: str, *, root: bool = False) -> str:
        """Return the path of a program. Raises ProcessError where there is none."""
        path = name if name.startswith("/") else self.which(name, root=root)
        if path is None:
            raise self.absent(name)
        return path

    def absent(self, name: str) -> ProcessError:
        """Return the error for a program that is missing."""
        wrong = ProcessError(
            f"the program {name!r} is missing",
            Done(127, "", ""),
            hint=f"run: cai setup. Looked for in {self.path}; PATH does not count, other "
            "directories are named in the setting host.path",
        )
        if name in ("ssh", "ssh-keygen"):
            wrong.exit_code = SshSetupError.exit_code
        return wrong


def _is_program(path: str, *, root: bool) -> bool:
    if not os.access(path, os.X_OK) or os.path.isdir(path):
        return False
    return not root or only_root_writes(path)


def only_root_writes(path: str) -> bool:
    """Whether only root decides what is at a path: its file, each directory and link on the way.

    A group may write below /usr/local (Debian's `staff`): root's own PATH begins there, so whoever
    is in that group is root. Elsewhere only in directories where nobody can remove what is others'.
    """
    at, links, left = "/", 0, path.split("/")[::-1]
    while left:
        part = left.pop()
        if part in ("", "."):
            continue
        here = os.path.dirname(at) if part == ".." else os.path.join(at, part)
        seen = os.lstat(here)
        if seen.st_uid != 0:
            return False
        if stat.S_ISLNK(seen.st_mode):
            links += 1
            if links > 40:  # as in path_resolution(7)
                return False
            target = os.readlink(here)
            left += target.split("/")[::-1]
            at = "/" if target.startswith("/") else at
            continue
        loose = (
            stat.S_IWOTH if f"{here}/".startswith("/usr/local/") else stat.S_IWOTH | stat.S_IWGRP
        )
        if seen.st_mode & loose and not (
            stat.S_ISDIR(seen.st_mode) and seen.st_mode & stat.S_ISVTX
        ):
            return False
        at = here
    return True


def describe(argv: Sequence[str]) -> str:
    """Return the argv as a person would type it."""
    import shlex

    return shlex.join(argv)


def failure(argv: Sequence[str], done: Done) -> ProcessError:
    """Return the error for a process that ended badly, with the last lines it printed."""
    seen = (done.err.strip() or done.out.strip()).splitlines()[-6:]
    said = ": " + "\n  ".join(seen) if seen else ""
    # A script would hide what was said; a dry run shows it.
    words = ["…" if "\n" in word else describe([word]) for word in argv]
    return ProcessError(f"{' '.join(words)} ended with code {done.code}{said}", done)


def _text(raw: bytes | str | None) -> str:
    return raw.decode(errors="replace") if isinstance(raw, bytes) else raw or ""
