"""How words are run in a box as its agent, wherever it is: through the engine, or over ssh.

What it answers is the box's.
"""

import os
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from containai.boxes.box import Box
from containai.engine.client import Engine
from containai.errors import SshConnectError
from containai.host.machine import Machine
from containai.host.proc import Done, ProcessError
from containai.layout import AGENT_USER, HOME_IN_BOX
from containai.ssh import session

#: What ssh ends with where the connection was lost (ssh(1), EXIT STATUS).
_LOST = 255


class Way(Protocol):
    """The way into one box. Words name a program by its whole path."""

    @property
    def box(self) -> Box:
        """The box, which has to run where it is asked something."""
        ...

    def ask(self, words: Sequence[str], *, stdin: bytes, limit: int, timeout: float) -> Done:
        """Run a command to its end, whatever its code. Raises ProcessError as `run_limited`."""
        ...

    def stream(
        self, words: Sequence[str], on_line: Callable[[str], None], *, longest: int, holds: bool
    ) -> None:
        """Run a command, and hand over its output line by line, as `Engine.stream` does.

        Raises a ContainAIError where that ends badly.
        """
        ...


class ByEngine(NamedTuple):
    """The way into a box of this machine."""

    engine: Engine
    box: Box

    def _words(self, words: Sequence[str]) -> list[str]:
        # An image can say another directory, which need not be there.
        before = ("exec", "--interactive", "--workdir", "/", "--user", AGENT_USER)
        return [*before, self.box.container, *words]

    def ask(self, words: Sequence[str], *, stdin: bytes, limit: int, timeout: float) -> Done:
        """See `Way`."""
        engine = self.engine
        argv, root = engine.argv(*self._words(words)), engine.needs_root
        return engine.host.run_limited(argv, stdin=stdin, limit=limit, timeout=timeout, root=root)

    def stream(
        self, words: Sequence[str], on_line: Callable[[str], None], *, longest: int, holds: bool
    ) -> None:
        """See `Way`."""
        self.engine.stream(*self._words(words), on_line=on_line, longest=longest, holds=holds)


class BySsh(NamedTuple):
    """The way into a box on a remote place: over its control connection where that stands."""

    host: Machine
    box: Box

    def argv(self, words: Sequence[str]) -> list[str]:
        """Return the command line that runs a command in the box."""
        # Its workspace is the agent's to remove.
        argv = session.ssh_argv(
            self.host.layout, self.box.name, words, terminal=False, directory=HOME_IN_BOX
        )
        return [*map(os.fsdecode, argv)]

    def ask(self, words: Sequence[str], *, stdin: bytes, limit: int, timeout: float) -> Done:
        """See `Way`."""
        return self.host.run_limited(self.argv(words), stdin=stdin, limit=limit, timeout=timeout)

    def stream(
        self, words: Sequence[str], on_line: Callable[[str], None], *, longest: int, holds: bool
    ) -> None:
        """See `Way`."""
        try:
            self.host.stream(self.argv(words), on_line, longest=longest, holds=holds)
        except ProcessError as failed:
            if failed.done.code != _LOST:
                raise
            raise SshConnectError(
                f"the way into the box {self.box.name!r} broke off",
                hint="whether it runs: cai ls",
            ) from None
