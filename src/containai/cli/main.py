"""The command line: which command it is, and the one place where errors become words and codes."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from containai.errors import ContainAIError, NoSpaceError

if TYPE_CHECKING:
    import argparse

#: A row a command: its name, which is its module's too, and what it is for.
COMMANDS = {
    "run": "start the box of a workspace and run a command, or the agent, in it",
    "shell": "open a shell in the box of a workspace",
    "exec": "run a command in a box that is there already",
    "ls": "list the boxes",
    "stop": "shut a box down",
    "rm": "remove a box; the workspace stays",
    "reclaim": "make files that others in a box made in a workspace its owner's",
    "setup": "install and start everything that boxes need",
    "doctor": "check whether everything that boxes need is there",
    "uninstall": "take ContainAI off this machine; settings and data stay unless told",
    "engine": "start, stop or look at ContainAI's own Docker engine",
    "version": "print the version",
}
#: Commands that take `-- COMMAND…`.
WITH_REMAINDER = frozenset({"run", "exec"})
#: Commands that lead into a box.
SESSIONS = frozenset({"run", "exec", "shell"})


def parser_of(command: str) -> "argparse.ArgumentParser":
    """Return a command's parser. Its module is imported for that, and no other's."""
    import argparse

    parser = argparse.ArgumentParser(
        prog=f"cai {command}", description=COMMANDS[command].capitalize() + ".", allow_abbrev=False
    )
    import_module(f"containai.cli.commands.{command}").arguments(parser)
    return parser


def overview() -> str:
    """Return what `cai --help` prints."""
    width = max(map(len, COMMANDS))
    rows = "\n".join(f"  {name:<{width}}  {doc}" for name, doc in COMMANDS.items())
    return (
        "usage: cai COMMAND …\n\n"
        "A computer of its own, on your computer, for your AI coding agent.\n\n"
        f"commands:\n{rows}\n\n"
        "cai COMMAND --help says more. First time: cai run . -- uname -a\n"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code. See containai.errors for what codes mean."""
    try:
        code = _main(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Whoever read our output has gone; flushing it at exit would only fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _main(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(overview())
        return 0 if words else 2
    if words[0] in ("-V", "--version"):
        words[0] = "version"
    command, rest = words[0], words[1:]
    if command not in COMMANDS:
        return _fail(f"there is no command {command!r}", "see: cai --help", 2)
    remainder: list[str] = []
    if command in WITH_REMAINDER and "--" in rest:
        # Split before argparse sees it: what follows is not ours to interpret.
        at = rest.index("--")
        rest, remainder = rest[:at], rest[at + 1 :]
        if not remainder:
            return _fail("nothing follows --", f"for example: cai {command} . -- uname -a", 2)
    return _run(command, rest, remainder)


def _run(command: str, rest: list[str], remainder: list[str]) -> int:
    try:
        if command in SESSIONS:
            from containai.cli import warm

            warm.enter(command, rest, remainder)
        arguments = parser_of(command).parse_args(rest)
        arguments.command = remainder
        code = import_module(f"containai.cli.commands.{command}").run(arguments)
        sys.stdout.flush()
        return int(code or 0)
    except ContainAIError as failed:
        return _fail(str(failed), failed.hint, failed.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted", "", 130)
    except BrokenPipeError:
        raise
    except OSError as failed:
        import errno

        if failed.errno == errno.ENOSPC:
            where = f" ({failed.filename})" if failed.filename else ""
            return _fail(f"no space left on device{where}", "free some", NoSpaceError.exit_code)
        return _fail(str(failed), "", ContainAIError.exit_code)


def _fail(message: str, hint: str, code: int) -> int:
    sys.stdout.flush()
    # What a box said can be in it: it must not steer the terminal.
    shown = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in message)
    sys.stderr.write(f"cai: {shown}\n")
    if hint:
        sys.stderr.write(f"  hint: {hint}\n")
    return code
