"""The command line: which command it is, and the one place where errors become words and codes."""

import os
import sys
from collections.abc import Callable, Sequence

from containai import __version__
from containai.cli import loudness, warm
from containai.cli.output import Output
from containai.cli.report import Become, Enter, Note, Report
from containai.errors import ContainAIError, NoSpaceError, NotThereError, UnsupportedError
from containai.host import noted
from containai.host.proc import Programs
from containai.layout import Layout

_HELP = ("-h", "--help")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code. See containai.errors for what codes mean."""
    if None in (sys.stdin, sys.stdout, sys.stderr):
        _open_streams()
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


def _open_streams() -> None:
    """Have all three streams: one that is closed would be given to what is opened next."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
            setattr(sys, name, open(descriptor, mode, encoding="utf-8"))  # noqa: SIM115


def caught(act: Callable[[], tuple[Report | Become | Enter, bool]], output: Output) -> int:
    """Show the outcome of a command, or what it raised; return the exit code."""
    try:
        outcome, as_json = act()
        if isinstance(outcome, Report) and outcome.pager is not None and not as_json:
            outcome = outcome.pager
        if isinstance(outcome, Enter):
            from containai.cli import entering

            output.flush()
            code = entering.enter(outcome, output)
            output.flush()
            # Python's own end takes longer than the command may have.
            os._exit(code)
        if isinstance(outcome, Become):
            output.flush()
            if outcome.text:
                _have_on_stdin(outcome.text)
            Programs(elsewhere=_elsewhere).replace(outcome.argv, outcome.keep, outcome.given)
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
        return _failed(output, str(failed), "see: cai doctor", ContainAIError.exit_code)
    except Exception as failed:
        from containai.cli import unexpected

        told = unexpected.told(failed)
        return _failed(output, str(told), told.hint, told.exit_code)


def _have_on_stdin(text: str) -> None:
    import tempfile

    with tempfile.TemporaryFile() as file:
        file.write(text.encode(errors="replace"))
        file.seek(0)
        os.dup2(file.fileno(), 0)


def _elsewhere() -> Sequence[str]:
    """Return where the user says that programs are; asked only where the system has not one."""
    from containai.config.settings import Settings

    return Settings.load(Layout.from_environment().config_file, os.environ).host_path


def _failed(output: Output, message: str, hint: str, code: int) -> int:
    output.flush()
    output.note(Note(message, hint))
    return code


def _done(words: list[str], output: Output) -> tuple[Report | Become | Enter, bool]:
    """Do what words ask for; return the outcome, and whether it is for machines."""
    if words[:1] == ["__complete"]:
        return Report(views=[_completed(words[1:])]), False
    words, output.loudness = loudness.split(words, os.environ)
    noted.observers[:] = [output.command] if output.loudness == loudness.DEBUG else []
    if words and words[0] in warm.COMMANDS and sys.platform == "linux":
        found = warm.session(Layout.from_environment(), words, output)
        if found is not None:
            return Enter(found), False
    return _by_row(words, output)


#: What is of use on a system without boxes.
_WITHOUT_BOXES = dict.fromkeys(("version", "completion", "help"), "darwin")
_GUIDE = "https://github.com/containai/containai/blob/main/docs/how-to/windows-and-macos.md"


def _elsewhere_than_linux(system: str) -> ContainAIError:
    """Return the error for a system on which no box can be."""
    name, way = {
        "darwin": ("macOS", "a virtual machine on this one (Lima)"),
        "win32": ("Windows", "WSL 2 on this one (wsl --install)"),
    }.get(system, (system, "a virtual machine on this one"))
    return UnsupportedError(
        f"boxes need a Linux machine, and this is {name}",
        hint=f"{way}, or a Linux machine over ssh, with cai in it: {_GUIDE}",
    )


def _completed(words: list[str]) -> str:
    """Return what a shell asks for; nothing where anything is wrong, as nobody would read that."""
    from containai.cli import complete

    try:
        return complete.answer(Layout.from_environment(), words)
    except Exception:
        return ""


def _by_row(words: list[str], output: Output) -> tuple[Report | Become | Enter, bool]:
    from containai.cli import command, registry

    ours = words[: words.index("--")] if "--" in words else words
    if words and registry.passes_all(words[0]):
        ours = words[:1]
    if not words or any(word in _HELP for word in ours):
        text = registry.help_on([word for word in ours if word not in _HELP])
        return Report(views=[text], code=0 if words else 2), False
    if words[0] in ("-V", "--version"):
        if not words[1:]:
            return Report(views=[f"cai {__version__}\n"]), False
        words = ["version", *words[1:]]
    row, rest = registry.find(words)
    asked = command.parse(row, rest)
    if sys.platform not in ("linux", _WITHOUT_BOXES.get(row.path)):
        raise _elsewhere_than_linux(sys.platform)

    from containai.app import App
    from containai.cli.terminal import Terminal
    from containai.config import variables

    terminal = Terminal(output, agreed=asked.agreed or variables.agreed(os.environ))
    try:
        layout = Layout.from_environment()
        app = App(layout, terminal, environ=os.environ, flags=asked.flags)
        return row.run(app, **asked.keywords), asked.as_json
    except NotThereError as refused:
        raise NotThereError(f"{row.path}: {refused}", hint=refused.hint) from None
    finally:
        terminal.close()
