"""Whether the data volume of a box that is about to be made is to be filled: asked before it is."""

import os

from containai.app import App
from containai.boxes import volumes
from containai.boxes.workspace import Workspace


def is_wanted(app: App, workspace: Workspace, *, is_new: bool = False) -> bool:
    """Whether `import.auto` has something brought, or offered, into a volume with nothing in it.

    `is_new` says that it is made anew.
    """
    how = app.settings.import_auto
    # Nobody is there to be asked: looking through the home takes longer than a spare box.
    if how == "never" or (how == "ask" and not all(map(os.isatty, (0, 1, 2)))):
        return False
    name = app.boxes.data_volume or volumes.own(app.engine, workspace.path)
    return is_new or volumes.get(app.engine, name) is None
