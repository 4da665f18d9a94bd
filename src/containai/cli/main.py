"""The command line: which command it is, and the one place where errors become words and codes."""

import os
import sys
from collections.abc import Callable, Sequence

from containai.cli import warm
from containai.cli.output import Output
from containai.cli.report import Become, Note, Report
from containai.errors import ContainAIError, NoSpaceError
from containai.host.proc import Programs
from containai.layout import Layout

_HELP = ("-h", "--help", "help")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code. See containai.errors for what codes mean."""
    output = Output(sys.stdout, sys.stderr)
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        code = caught(lambda: _done(words, output), output)
        output.flush()
        return code
    except BrokenPipeError:
        # Whoever read our output has gone; flushing it at exit would only fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def caught(act: Callable[[], tuple[Report | Become, bool]], output: Output) -> int:
    """Show the outcome of a command, or what it raised; return the exit code."""
    try:
        outcome, as_json = act()
        if isinstance(outcome, Become):
            output.flush()
            Programs(elsewhere=_elsewhere).replace(outcome.argv, outcome.keep)
        output.show(outcome, as_json=as_json)
        return outcome.code
    except ContainAIError as failed:
        return _failed(output, str(failed), failed.hint, failed.exit_code)
    except KeyboardInterrupt:
        return _failed(output, "interrupted", "", 130)
    except BrokenPipeError:
        raise
    except OSError as failed:
        import errno

        if failed.errno == errno.ENOSPC:
            where = f" ({failed.filename})" if failed.filename else ""
            said = f"no space left on device{where}"
            return _failed(output, said, "free some", NoSpaceError.exit_code)
        return _failed(output, str(failed), "", ContainAIError.exit_code)


def _elsewhere() -> Sequence[str]:
    """Return where the user says that programs are; asked only where the system has not one."""
    from containai.config.settings import Settings

    return Settings.load(Layout.from_environment().config_file, os.environ).host_path


def _failed(output: Output, message: str, hint: str, code: int) -> int:
    output.flush()
    output.note(Note(message, hint))
    return code


def _done(words: list[str], output: Output) -> tuple[Report | Become, bool]:
    """Do what words ask for; return the outcome, and whether it is for machines."""
    if words and words[0] in warm.COMMANDS:
        argv = warm.session(Layout.from_environment(), words)
        if argv is not None:
            return Become(argv), False
    return _by_row(words, output)


def _by_row(words: list[str], output: Output) -> tuple[Report | Become, bool]:
    from containai.cli import command, registry

    ours = words[: words.index("--")] if "--" in words else words
    if not words or any(word in _HELP[: 2 + (at == 0)] for at, word in enumerate(ours)):
        text = registry.help_on([word for word in ours if word not in _HELP])
        return Report(views=[text], code=0 if words else 2), False
    if words[0] in ("-V", "--version"):
        words = ["version", *words[1:]]
    row, rest = registry.find(words)
    asked = command.parse(row, rest)

    from containai.app import App
    from containai.cli.terminal import Terminal
    from containai.config import variables

    terminal = Terminal(output, agreed=asked.agreed or variables.agreed(os.environ))
    try:
        layout = Layout.from_environment()
        app = App(layout, terminal, environ=os.environ, flags=asked.flags)
        return row.run(app, **asked.keywords), asked.as_json
    finally:
        terminal.close()
