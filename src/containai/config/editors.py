"""The editors that `cai code` opens on a box: one table, and the setting that chooses."""

import os
from collections.abc import Callable
from typing import NamedTuple

from containai.config.setting import Setting
from containai.layout import AGENT_USER

#: Where editors are that the system's directories do not have: snaps, and the user's own programs.
PLACES = ("/snap/bin", "~/.local/bin", "~/.local/share/JetBrains/Toolbox/scripts")


class Place(NamedTuple):
    """What an editor is to open: a directory of a box that plain ssh knows by its name."""

    box: str
    port: int
    directory: str


class Editor(NamedTuple):
    """A row: what it is called, the names of its program, and the words that open a directory."""

    name: str
    title: str
    programs: tuple[str, ...]
    words: Callable[[Place], list[str]]


def _of_code(place: Place) -> list[str]:
    # As a path, a directory with a dot in its name would be taken for a file.
    return ["--folder-uri", f"vscode-remote://ssh-remote+{place.box}{_quoted(place.directory)}"]


def _of_zed(place: Place) -> list[str]:
    return [f"ssh://{place.box}{_quoted(place.directory)}"]


def _of_gateway(place: Place) -> list[str]:
    said = {
        "type": "ssh", "deploy": "true", "host": place.box, "port": str(place.port),
        "user": AGENT_USER, "projectPath": place.directory,
    }  # fmt: skip
    words = "&".join(f"{key}={_quoted(value, safe='')}" for key, value in said.items())
    return [f"jetbrains-gateway://connect#{words}"]


def _of_emacs(place: Place) -> list[str]:
    return [f"/ssh:{place.box}:{place.directory}/"]


def _quoted(text: str, safe: str = "/") -> str:
    from urllib.parse import quote

    return quote(os.fsencode(text), safe=safe)


#: In the order in which they are looked for.
EDITORS = (
    Editor("code", "VS Code", ("code",), _of_code),
    Editor("code-insiders", "VS Code Insiders", ("code-insiders",), _of_code),
    Editor("cursor", "Cursor", ("cursor",), _of_code),
    Editor("windsurf", "Windsurf", ("windsurf",), _of_code),
    Editor("codium", "VSCodium", ("codium", "vscodium"), _of_code),
    Editor("positron", "Positron", ("positron",), _of_code),
    Editor("zed", "Zed", ("zed", "zeditor"), _of_zed),
    Editor(
        "jetbrains-gateway",
        "JetBrains Gateway",
        ("jetbrains-gateway", "gateway", "gateway.sh"),
        _of_gateway,
    ),
    Editor("emacs", "Emacs", ("emacs",), _of_emacs),
)
AUTO = "auto"
CHOICES = (AUTO, *(each.name for each in EDITORS))


def parse(value: object) -> str:
    """Parse the name of an editor, or auto. Raises ValueError."""
    if value not in CHOICES:
        raise ValueError(f"expected {', '.join(CHOICES[:-1])} or {CHOICES[-1]}")
    return str(value)


DEFAULT = Setting(
    "editor.default",
    parse,
    AUTO,
    "The editor that `cai code` opens. [`"
    + "`, `".join(CHOICES[1:])
    + "`](../how-to/editors.md); or `auto`, the first of these that is installed.",
    flag="--editor",
    metavar="EDITOR",
    commands=("code",),
)
