"""The image that a workspace has of its own: its Dockerfile, if its user trusts it."""

import errno
import shlex
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from containai.app import App
from containai.boxes.box import Box
from containai.engine.container import Image
from containai.errors import ContainAIError, ImageError, UntrustedError
from containai.host import files
from containai.images import dockerfile, recipe, trust
from containai.images.recipe import WORKSPACE, Recipe
from containai.images.trust import Trusted

_LEFT_OUT = "or have boxes without it: cai config set image.workspace false"
#: What an agent can make of it that is no file, or have opened (fcntl(2), F_SETLEASE).
_ODD = {
    errno.ELOOP: "it is a link, or no file",
    errno.ENOTDIR: "it is a link, or no file",
    errno.EAGAIN: "a process has a lease on it",
}


class Trust(StrEnum):
    """What its user said of a Dockerfile."""

    YES = "trusted"
    CHANGED = "changed"
    NO = "not trusted"


class Own(NamedTuple):
    """A workspace's Dockerfile as it is: what it makes, what its user said of it.

    `before` is the one that was trusted, if there was one.
    """

    now: Trusted
    recipe: Recipe
    before: Trusted | None

    @property
    def trust(self) -> Trust:
        """Whether it is trusted as it is."""
        if self.before is None:
            return Trust.NO
        return Trust.YES if self.now == self.before else Trust.CHANGED


def look(app: App, workspace: str) -> Own | None:
    """Return a workspace's own Dockerfile, or None where it has none.

    It is read once: what is shown, what is trusted and what is built are the same bytes. Raises
    ImageError for one that cannot be read or be built.
    """
    try:
        content = files.read_beneath(
            workspace, dockerfile.DIRECTORY, dockerfile.NAME, limit=dockerfile.LIMIT
        )
    except OSError as wrong:
        why = _ODD.get(wrong.errno or 0, wrong.strerror)
        raise ImageError(
            f"{dockerfile.PATH} of {workspace!r} cannot be read: {why}",
            hint=f"make a file of it; {_LEFT_OUT}",
        ) from None
    if content is None:
        return None
    parsed = dockerfile.parse(content)
    name = parsed.layer or app.settings.image_name
    made = recipe.upon(recipe.find(name, app.settings), parsed.text)
    now = Trusted(workspace, content.decode())
    return Own(now, made, trust.find(app.layout, workspace))


def wanted(app: App, workspace: str) -> Recipe:
    """Return the recipe of a new box of a workspace; ask whether its own Dockerfile is trusted.

    Raises UntrustedError where it is not, and ImageError for one that cannot be built.
    """
    own = _heeded(app, workspace)
    if own is None:
        return recipe.wanted(app.settings)
    if own.trust is not Trust.YES:
        # Whoever agreed beforehand has not seen it: an agent may have written it since.
        if not agreed(app, own, beforehand=False):
            raise UntrustedError(
                f"{dockerfile.PATH} of {workspace!r} is {_said(own)}",
                hint=f"read it, then: cai image trust {shlex.quote(workspace)}; {_LEFT_OUT}",
            )
        trust.keep(app.layout, own.now)
    return own.recipe


def previewed(app: App, workspace: str) -> tuple[Recipe, Trust]:
    """Return the recipe of a new box of a workspace, and whether that is to be trusted first."""
    own = _heeded(app, workspace)
    if own is None:
        return recipe.wanted(app.settings), Trust.YES
    return own.recipe, own.trust


def older(app: App, boxes: Sequence[Box]) -> list[str]:
    """Return the names of those that are not made from what a new one would be; nobody is asked."""
    plain = recipe.wanted(app.settings)
    # Found once: a digest is of many files.
    usual = _found(app, plain)
    return [box.name for box in boxes if not _is_of_today(app, box, usual)]


def _is_of_today(app: App, box: Box, usual: tuple[str, Image | None]) -> bool:
    try:
        own = look(app, box.workspace) if app.settings.image_workspace else None
    except ContainAIError:
        return False
    if own is not None and own.trust is not Trust.YES:
        return False
    reference, image = usual if own is None else _found(app, own.recipe)
    # What was built again has the same name.
    is_same = image is None or box.image_id in ("", image.id)
    return box.image == reference and is_same


def _found(app: App, made: Recipe) -> tuple[str, Image | None]:
    reference = made.reference
    return reference, app.engine.image(reference)


def current(app: App) -> list[Recipe]:
    """Return the recipes of all Dockerfiles that are trusted as they are."""
    found = []
    for each in trust.every(app.layout):
        try:
            own = look(app, each.workspace)
        except ContainAIError:
            continue
        if own is not None and own.trust is Trust.YES:
            found.append(own.recipe)
    return found


def _heeded(app: App, workspace: str) -> Own | None:
    """Return the Dockerfile that counts, and say so where one does not."""
    if app.settings.image_workspace:
        return look(app, workspace)
    try:
        is_there = look(app, workspace) is not None
    except ContainAIError:
        is_there = True
    if is_there:
        app.ui.tell(f"cai: {dockerfile.PATH} is left out (image.workspace)\n")
    return None


def agreed(app: App, own: Own, *, beforehand: bool) -> bool:
    """Show a Dockerfile, and return whether the user trusts it."""
    app.ui.tell(shown(own))
    return app.ui.ask("Trust it as it is?", beforehand=beforehand)


def shown(own: Own) -> str:
    """Return what there is to read before a Dockerfile is trusted."""
    import difflib

    now = own.now.text.splitlines()
    before = own.before.text.splitlines() if own.before is not None else now
    compared = difflib.unified_diff(before, now, lineterm="", n=len(before))
    # Where there is nothing to compare, or an end of line is all that differs.
    numbered = [f"{number:4}  {line}" for number, line in enumerate(now, 1)]
    lines = [f"  {line}" for line in list(compared)[3:]] or numbered
    text = "".join(f"{line}\n" for line in lines)
    return (
        f"{dockerfile.PATH} of {own.now.workspace!r} is {_said(own)}:\n\n{text}\n"
        "It is built as root in a container of the engine, which is not a box, with the network; "
        "new boxes of this\nworkspace start from what it makes.\n"
    )


def _said(own: Own) -> str:
    if own.trust is Trust.CHANGED:
        return "not as you trusted it"
    return "trusted" if own.trust is Trust.YES else "not trusted yet"


def is_own(made: Recipe) -> bool:
    """Whether an image is of a workspace's own Dockerfile."""
    return made.name == WORKSPACE


def layer_of(made: Recipe) -> Recipe:
    """Return the image that settings, or a workspace's Dockerfile, begin with."""
    return made.parent if is_own(made) and made.parent is not None else made
