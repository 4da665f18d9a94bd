"""How a box is reached, and what is asked of it there. Nothing that it answers is believed."""

import shlex
from collections.abc import Callable, Sequence
from typing import NamedTuple

from containai.errors import ContainAIError, CopyError, NoSpaceError, SshConnectError
from containai.host import scripts
from containai.host.proc import Done, Programs

#: How much a box may say to a question, in bytes, and how long that may take, in seconds: a large
#: history is unpacked behind its last byte.
LIMIT, PATIENCE = 256 << 20, 3600.0
#: How much of what it says is shown.
_SHOWN = 300
#: What programs say where a disk is full.
_FULL = ("No space left on device", "Disk quota exceeded", "Wrote only", "unable to write file")
#: Exit codes of our scripts: refused in their own words, and the work of both sides in the way.
REFUSED, CONFLICT, DIVERGED = 3, 5, 6

#: Is told how many bytes went, as they go.
Tell = Callable[[int], None]


class Reach(NamedTuple):
    """A box as it is reached: what runs a line as the agent in its home, and how git gets there.

    `argv` is followed by one word, the line for the remote shell; ("ssh", BOX), for example. `ssh`
    is for GIT_SSH_COMMAND, `host` what git calls the box in an address.
    """

    box: str
    argv: Sequence[str]
    ssh: str = "ssh"
    host: str = ""

    @property
    def url(self) -> str:
        """The address of the box's workspace, for git: it is below the agent's home."""
        return f"{self.host or self.box}:workspace"

    @property
    def remote(self) -> str:
        """The name of the box as a remote of the user's repository."""
        return f"cai-{self.box}"

    def command(self, words: Sequence[str]) -> list[str]:
        """Return the command line that runs a command in the box."""
        return [*self.argv, shlex.join(words)]

    def script(self, name: str, *words: str) -> list[str]:
        """Return the command line that runs one of our scripts there, with what all of them know.

        Python by its name's end, else sh.
        """
        if name.endswith(".py"):
            return self.command(["python3", "-ISc", _text(name), *words])
        text = _text("common.sh") + _text(name)
        return self.command(["sh", "-c", text, name, *words])


def _text(name: str) -> str:
    return scripts.text(f"transfer/inside/{name}")


def asked(
    programs: Programs, reach: Reach, name: str, *words: str, stdin: bytes = b"", also: int = 0
) -> Done:
    """Have one of our scripts run in a box, to its end. `also` is a code to accept beside 0.

    Raises SshConnectError where the box does not answer, NoSpaceError where it is full, CopyError.
    """
    done = programs.run_limited(
        reach.script(name, *words), stdin=stdin, limit=LIMIT, timeout=PATIENCE
    )
    if done.code not in (0, also):
        raise failed(reach, done)
    return done


def failed(reach: Reach, done: Done) -> ContainAIError:
    """Return the error for what ended badly in a box."""
    said = shown(next((line for line in done.err.splitlines()[::-1] if line.strip()), ""))
    if any(words in done.err for words in _FULL):
        return NoSpaceError(f"the box {reach.box} has no room: {said}", hint="free some there")
    if done.code == 255:
        return SshConnectError(
            f"the connection to the box {reach.box} was lost: {said or 'nothing was said'}",
            hint="nothing is half done that a second try does not end: run this again",
        )
    if done.code == 127:
        why = f"the box {reach.box} lacks a program that this needs: {said}"
        return CopyError(why, hint="our image has git and python3: make the box anew from it")
    why = f"in the box {reach.box}: {said or f'it ended with code {done.code}'}"
    return CopyError(why, hint="look there, and run this again")


def shown(text: str) -> str:
    """Return a little of what a box says, without what steers a terminal."""
    return "".join(each if each.isprintable() else "\ufffd" for each in text.strip()[:_SHOWN])
