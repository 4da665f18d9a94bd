"""A machine that does nothing: it records what it is to run, and answers as it was told.

For tests. Files are real, below the root and the home of its layout: what writes root's files and
locks there is run.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, NoReturn

from containai.host import proc, scripts
from containai.host.machine import Capacity, Machine
from containai.host.proc import Done, Programs
from containai.host.surroundings import Surroundings
from containai.layout import Layout
from containai.work.user import User

#: The scripts that only write files: PATH comes first.
_WRITING = ("host/write.sh", "host/locks.sh")


class Replaced(Exception):  # noqa: N818 - what a process that is replaced does not come back from
    """The process would be another program now."""

    def __init__(self, argv: Sequence[str | bytes]) -> None:
        super().__init__(argv)
        self.argv = list(argv)


class FakeMachine(Machine):
    """Programs are there unless `missing`, and end well unless `answer` says something else.

    `ran` has what was run, in order; what root was to run begins with "#".
    """

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        self.ran: list[tuple[str, ...]] = []
        self.missing: set[str] = set()
        self.root = True
        self.systemd = False
        self.surroundings = Surroundings()
        self.wsl = False
        self.selinux = False
        self.user: User | None = None
        self.groups: dict[str, list[str]] = {}
        self.version = (6, 12)
        self.openssh = (10, 0)
        #: As in os-release(5).
        self.release = {"ID": "debian", "VERSION_CODENAME": "trixie", "PRETTY_NAME": "Debian"}
        self.online = [0, 1]
        self.has = Capacity(16 << 30, 0, 2, 1 << 22, 100 << 30, "it is on ext4")
        #: What nobody needs of its memory, in bytes: no spare box is made in the background.
        self.unused = 0
        #: Where something is mounted.
        self.mounted: list[str] = []
        #: What type of file system all is on.
        self.on = "ext4"
        #: What every file system has left, in bytes; None is for what it really has.
        self.free: int | None = None
        #: What runs in the place of a program that runs beside us.
        self.beside = ["true"]
        self._answers: list[tuple[tuple[str, ...], Done, Callable[[], object]]] = []

    def answer(
        self,
        *words: str,
        code: int = 0,
        out: str = "",
        err: str = "",
        act: Callable[[], object] = lambda: None,
    ) -> None:
        """Say how a command ends that begins with these words; the latest that fits counts.

        `act` is done first: it may make a file, or raise.
        """
        self._answers.insert(0, (words, Done(code, out, err), act))

    def which(self, program: str, *, root: bool = False) -> str | None:
        """Return a path for what is not missing."""
        return None if program in self.missing else f"/usr/bin/{program}"

    def is_root(self) -> bool:
        """Whether root runs this."""
        return self.root

    def mounted_in(self, path: str) -> list[str]:
        """Return where something is mounted below a directory."""
        return [point for point in self.mounted if point.startswith(f"{path}/")]

    def file_system(self, path: str) -> str:
        """Return the type of the file system that a path is on."""
        return self.on

    def has_systemd(self) -> bool:
        """Whether systemd runs services."""
        return self.systemd

    def ssh_version(self) -> tuple[int, int]:
        """Return the version of its ssh."""
        return self.openssh

    def told_version(self, program: str) -> Done:
        """Return what a program says of its version, each time anew."""
        return self.run([program, "--version"], ok=None)

    def is_wsl(self) -> bool:
        """Whether it is in Windows."""
        return self.wsl

    def selinux_enforcing(self) -> bool:
        """Whether SELinux denies."""
        return self.selinux

    def group_members(self, name: str) -> list[str] | None:
        """Return who is in a group, if it is there."""
        return self.groups.get(name)

    def is_roots(self, uid: int) -> bool:
        """Whether it is: whoever runs the tests stands for root."""
        import os

        return uid in (0, os.geteuid())

    def kernel(self) -> tuple[int, int]:
        """Return the version of its kernel."""
        return self.version

    def os_release(self) -> dict[str, str]:
        """Return which Linux it is."""
        return self.release

    def invoker(self) -> User | None:
        """Return who went through sudo."""
        return self.user

    def processors(self) -> list[int]:
        """Return the processors that are online."""
        return self.online

    def free_memory(self) -> int:
        """Return how much memory nobody needs."""
        return self.unused

    def capacity(self) -> Capacity:
        """Return what it has for boxes: of memory and so on what was said."""
        return self.has._replace(processors=len(self.online))

    def free_bytes(self, path: str) -> int:
        """Return how much a file system has left."""
        return super().free_bytes(path) if self.free is None else self.free

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
        """Record a command and answer."""
        done = self._answered(argv, ok, root=root)
        if stdout_file is not None:
            stdout_file.write(done.out.encode())
        return super().run(argv, ok=ok, stdin=stdin) if self._writes_below(argv) else done

    def run_limited(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes,
        limit: int,
        timeout: float,
        root: bool = False,
    ) -> Done:
        """Record a command and answer."""
        return self._answered(argv, None, root=root)

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
        """Record a command, hand over what it prints, and answer."""
        done = self._answered(argv, (0,), root=root)
        for line in done.out.splitlines():
            on_line(line)
        return done

    def begin(
        self, argv: Sequence[str], *, stdin: int, stdout: int, env: dict[str, str] | None = None
    ) -> Any:
        """Record a command, and run what stands for it."""
        self._answered(argv, None, root=False)
        return Programs().begin(self.beside, stdin=stdin, stdout=stdout, env=env)

    def run_detached(self, argv: Sequence[str], watch: Callable[[], None] = lambda: None) -> int:
        """Record a command, watch once, and return its code."""
        code = self._answered(argv, None, root=False).code
        watch()
        return code

    def replace(
        self,
        argv: Sequence[str | bytes],
        keep: Sequence[str] = (),
        given: Mapping[str, str] | None = None,
    ) -> NoReturn:
        """Raise Replaced."""
        raise Replaced(argv)

    def _writes_below(self, argv: Sequence[str]) -> bool:
        """Whether a command that nothing is said about writes below a root of a test's own."""
        ours = any(
            list(argv[:4]) == scripts.argv(name) and argv[4].startswith(f"{self.layout.root}/")
            for name in _WRITING
        )
        return ours and self._answer(tuple(argv)) is None

    def _answered(self, argv: Sequence[str], ok: Sequence[int] | None, *, root: bool) -> Done:
        words = tuple(argv)
        self.ran.append(("#", *words) if root else words)
        if words[0] in self.missing:
            raise self.absent(words[0])
        done = Done(0, "", "")
        if (answer := self._answer(words)) is not None:
            done, act = answer
            act()
        if ok is not None and done.code not in ok:
            raise proc.failure(words, done)
        return done

    def _answer(self, words: tuple[str, ...]) -> tuple[Done, Callable[[], object]] | None:
        for begin, done, act in self._answers:
            if words[: len(begin)] == begin:
                return done, act
        return None
