"""The way to an editor of the host that works on a box."""

import os
from typing import NamedTuple

from containai.app import App
from containai.boxes import locate
from containai.boxes.target import Target
from containai.config.editors import AUTO, EDITORS, PLACES, Editor, Place
from containai.errors import ContainAIError, SshSetupError
from containai.flows import enter
from containai.ssh import include, session


class Opened(NamedTuple):
    """An editor, the whole command line that opens it, and on what."""

    editor: Editor
    argv: list[str]
    place: Place


def opened(app: App, target: Target, wanted: enter.Wanted, *, elsewhere: bool = False) -> Opened:
    """Have a box that plain ssh reaches; return what opens the user's editor on it.

    With `elsewhere` it is for another machine: the editor need not be on this one. Raises
    ContainAIError where there is no editor, before anything is made, and SshSetupError where an
    editor would not find the box.
    """
    app = enter.at_target(app, target)
    chosen = app.settings.editor_default
    rows = [each for each in EDITORS if chosen in (AUTO, each.name)]
    found = [(each, program) for each in rows if (program := _program(app, each))]
    if not found and not elsewhere:
        raise _none(rows)
    box, workspace = enter.there(app, target, wanted)
    if not (include.is_put(app.layout) or include.is_ours(app.layout)):
        raise SshSetupError(
            f"{app.layout.ssh_config} does not lead to boxes, so no editor finds {box.name!r}",
            hint=f"have it begin with: {include.line(app.layout.ssh_blocks)}",
        )
    place = Place(box.name, box.ssh_port, os.path.join(box.start, workspace.directory).rstrip("/"))
    for editor, program in found:
        if not _is_of_an_agent(app, box.workspace, program):
            shown = os.path.basename(program) if elsewhere else program
            return Opened(editor, [shown, *editor.words(place)], place)
    if not elsewhere:
        raise _none(rows)
    return Opened(rows[0], [rows[0].programs[0], *rows[0].words(place)], place)


def _is_of_an_agent(app: App, workspace: str, program: str) -> bool:
    """Whether a program lies in a workspace: what is there may be an agent's."""
    tops = [workspace, *(known for _, known in session.known(app.layout) if known)]
    return any(locate.part_of(top, os.path.realpath(program)) is not None for top in tops)


def _program(app: App, editor: Editor) -> str | None:
    """Return the path of an editor, or None where it is not on this machine."""
    for name in editor.programs:
        path = app.host.which(name)
        if path is not None:
            return path
        for place in PLACES:
            path = os.path.join(place.replace("~", app.layout.home, 1), name)
            if app.host.is_program(path):
                return path
    return None


def _none(rows: list[Editor]) -> ContainAIError:
    names = ", ".join(each.title for each in rows)
    if len(rows) == 1:
        return ContainAIError(
            f"{names} is not on this machine",
            hint="install it, or name where it is in the setting host.path; for an editor on "
            "another one: cai code --show",
        )
    return ContainAIError(
        f"there is no editor on this machine that works over ssh; known are {names}",
        hint="install one, or name where it is in the setting host.path; for an editor on another "
        "machine: cai code --show",
    )
