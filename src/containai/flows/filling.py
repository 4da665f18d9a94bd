"""Whether the data volume of a box that is about to be made is to be filled: seen before it is."""

from containai.app import App
from containai.boxes import volumes
from containai.boxes.claiming import NoSpareError
from containai.boxes.workspace import Workspace


def is_wanted(app: App, workspace: Workspace, *, is_new: bool = False) -> bool:
    """Whether `import.auto` has something brought, or offered, into a volume with nothing in it.

    `is_new` says that it is made anew. Raises NoSpareError where that has to be asked, and nothing
    but a spare is to be brought up.
    """
    how = app.settings.import_auto
    # Nobody is there to be asked: looking through the home takes longer than a spare box.
    if how == "never" or (how == "ask" and not app.at_terminal):
        return False
    name = app.boxes.data_volume or volumes.own(app.engine, workspace.path)
    if not is_new and volumes.get(app.engine, name) is not None:
        return False
    if not app.only_spares or how == "always":
        return True
    from containai.flows import bringing

    if bringing.found(app).items:
        raise NoSpareError
    return False
