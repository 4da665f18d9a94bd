"""Environment variables that are no settings."""

from collections.abc import Mapping
from typing import NamedTuple


class Variable(NamedTuple):
    """A row: its name, and what it is for."""

    name: str
    doc: str


AGREED = Variable("CAI_YES", "`1`, `true` or `yes` answers every question with yes, like `--yes`.")
ROOT = Variable(
    "CONTAINAI_ROOT",
    "Puts everything of the machine (engine, runtime, ids, bridge) below another directory; the "
    "tests live on it.",
)
OUTPUT = Variable(
    "CAI_OUTPUT",
    "`quiet`, `verbose` or `debug`: as the flags of these names say it, which win over it.",
)
VARIABLES = (
    AGREED,
    OUTPUT,
    ROOT,
    Variable("CAI_PYTHON", "A Python for `./install.sh` that is not the system's."),
    Variable("CAI_RELEASES", "Where `install.sh` fetches releases, if not from GitHub."),
    Variable("HOME", "Where your settings, your key and your ssh entries are."),
    Variable(
        "XDG_RUNTIME_DIR",
        "Where the control sockets are, if it is a directory of yours.",
    ),
    Variable("NO_COLOR", "Anything in it: no colours. So does `TERM=dumb`."),
)


def agreed(environ: Mapping[str, str]) -> bool:
    """Whether the environment answers every question with yes."""
    return environ.get(AGREED.name, "") in ("1", "true", "yes")
