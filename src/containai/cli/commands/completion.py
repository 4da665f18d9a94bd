"""`cai completion [SHELL]`."""

import os
import sys

from containai.app import App
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Note, Report
from containai.errors import ContainAIError, UsageError

#: Shell → where it looks for a completion of its user's, below the directory of their data.
PLACES = {
    "bash": "bash-completion/completions/cai",
    "zsh": "zsh/site-functions/_cai",
    "fish": "fish/vendor_completions.d/cai.fish",
}


def run(app: App, *, shell: str | None, install: bool, remove: bool) -> Report:
    """Return the script that completes command lines of cai in a shell, or put it in place."""
    if install or remove:
        if install and remove:
            raise UsageError("--install or --remove, not both", hint="cai completion --help")
        shells = [shell] if shell else list(PLACES)
        return _installed(app, shells) if install else _removed(app, shells)
    if shell is None:
        raise UsageError("completion needs SHELL", hint="for example: cai completion bash")
    return Report({"shell": shell, "script": script(shell)}, [script(shell)])


def script(shell: str) -> str:
    """Return the script of a shell. It calls the cai that this is, by its whole path."""
    with open(
        os.path.join(os.path.dirname(__file__), "../shells", shell), encoding="utf-8"
    ) as file:
        text = file.read()
    return text.replace("@CAI@", " ".join(_quoted(shell, word) for word in _own_words()))


def _own_words() -> list[str]:
    """Return the command line of the cai that this is, without links resolved: they outlive it."""
    own = os.path.abspath(sys.argv[0])
    if os.path.basename(own) in ("cai", "containai") and os.access(own, os.X_OK):
        return [own]
    return [sys.executable, "-I", "-m", "containai"]


def _quoted(shell: str, word: str) -> str:
    if shell == "fish":
        word = word.replace("\\", "\\\\").replace("'", "\\'")
    else:
        word = word.replace("'", "'\\''")
    return f"'{word}'"


def _place(app: App, shell: str) -> str:
    """Return the file of a shell's script (XDG Base Directory: a relative path does not count)."""
    below = app.environ.get("XDG_DATA_HOME", "")
    if not below.startswith("/"):
        below = os.path.join(app.layout.home, ".local/share")
    return os.path.join(below, PLACES[shell])


def _installed(app: App, shells: list[str]) -> Report:
    from containai.host import files

    written, notes = [], []
    for shell in shells:
        # A shell that is asked for comes later, perhaps.
        if len(shells) > 1 and app.host.which(shell) is None:
            continue
        where = _place(app, shell)
        _refuse_others(where)
        try:
            os.makedirs(os.path.dirname(where), exist_ok=True)
            files.write(where, script(shell))
        except OSError as wrong:
            raise ContainAIError(
                f"{wrong.filename or where}: {wrong.strerror}", hint="it has to be yours to write"
            ) from None
        written.append({"shell": shell, "file": where})
        if shell == "zsh":
            notes.append(_for_zsh(os.path.dirname(where)))
    return Report(written, [f"{row['shell']}: wrote {row['file']}\n" for row in written], 0, notes)


def _for_zsh(directory: str) -> Note:
    return Note(
        f"zsh looks there where ~/.zshrc says so before compinit: fpath+=({directory})",
        "new shells complete then; ~/.zcompdump is made anew by rm ~/.zcompdump",
    )


def _removed(app: App, shells: list[str]) -> Report:
    from containai.host import files

    gone = []
    for shell in shells:
        where = _place(app, shell)
        if os.path.lexists(where) and _is_ours(where):
            files.remove(where)
            gone.append({"shell": shell, "file": where})
    return Report(gone, [f"{row['shell']}: removed {row['file']}\n" for row in gone])


def _refuse_others(where: str) -> None:
    if os.path.lexists(where) and not _is_ours(where):
        raise ContainAIError(
            f"{where} is there and is not cai's", hint="move it away, or leave it as it is"
        )


def _is_ours(where: str) -> bool:
    try:
        with open(where, encoding="utf-8", errors="replace") as file:
            return "printed by: cai completion" in file.read(4096)
    except OSError:
        return False


def _shell(text: str) -> str:
    if text not in PLACES:
        raise ValueError("expected one of: " + ", ".join(PLACES))
    return text


COMMANDS = (
    Command(
        "completion",
        "print what completes command lines of cai in your shell",
        run,
        group="machine",
        arguments=(
            Argument("SHELL", "bash, zsh or fish", parse=_shell, choices=tuple(PLACES)),
            Argument("--install", "write it to where the shell looks; without SHELL, for all here"),
            Argument("--remove", "remove what --install wrote"),
        ),
        examples=(
            Example("cai completion --install", "for every shell that is here"),
            Example(
                "cai completion bash", 'for a line of ~/.bashrc: eval "$(cai completion bash)"'
            ),
            Example("cai completion fish --remove", ""),
        ),
        more="It completes commands, options, settings and what they can be, agents, boxes, "
        "workspaces, volumes and files. Nothing is started for it. `install.sh` does --install.",
    ),
)
