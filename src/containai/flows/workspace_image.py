"""The image that a workspace has of its own: its Dockerfile, if its user trusts it."""

import shlex
from collections.abc import Sequence
from typing import NamedTuple

from containai import trust
from containai.app import App
from containai.boxes.box import Box
from containai.engine.container import Image
from containai.errors import ContainAIError, ImageError, UntrustedError
from containai.host import files
from containai.images import dockerfile, recipe
from containai.images.recipe import WORKSPACE, Recipe
from containai.trust import Trust, Trusted

_LEFT_OUT = "or have boxes without it: cai config set image.workspace false"
#: What it is to trust one.
MEANS = (
    "It is built as root in a container of the engine, which is not a box, with the network; "
    "new boxes of this\nworkspace start from what it makes.\n"
)


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
        return trust.said(self.now, self.before)


def look(app: App, workspace: str) -> Own | None:
    """Return a workspace's own Dockerfile, or None where it has none.

    It is read once: what is shown, what is trusted and what is built are the same bytes. Raises
    ImageError for one that cannot be read or be built.
    """
    try:
        content = files.read_beneath(
            workspace, trust.DIRECTORY, trust.DOCKERFILE, limit=dockerfile.LIMIT
        )
    except OSError as wrong:
        raise ImageError(
            f"{dockerfile.PATH} of {workspace!r} cannot be read: {files.why_not(wrong)}",
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
        if not _agreed(app, own):
            how = "not as you trusted it" if own.before is not None else "not trusted yet"
            raise UntrustedError(
                f"{dockerfile.PATH} of {workspace!r} is {how}",
                hint=f"read it, then: cai trust {shlex.quote(workspace)}; {_LEFT_OUT}",
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
    # Found once: a digest is of many files.
    found: dict[Recipe, tuple[str, Image | None]] = {}
    return [box.name for box in boxes if not _is_of_today(app.at(box.workspace), box, found)]


def _is_of_today(app: App, box: Box, found: dict[Recipe, tuple[str, Image | None]]) -> bool:
    try:
        plain = recipe.wanted(app.settings)
        own = look(app, box.workspace) if app.settings.image_workspace else None
    except ContainAIError:
        return False
    if own is not None and own.trust is not Trust.YES:
        return False
    made = plain if own is None else own.recipe
    if made not in found:
        found[made] = made.reference, app.engine.image(made.reference)
    reference, image = found[made]
    # What was built again has the same name.
    is_same = image is None or box.image_id in ("", image.id)
    return box.image == reference and is_same


def current(app: App) -> list[Recipe]:
    """Return the recipes of all Dockerfiles that are trusted as they are."""
    found = []
    # Settings of one may be trusted, too.
    for workspace in dict.fromkeys(each.workspace for each in trust.every(app.layout)):
        try:
            own = look(app.at(workspace), workspace)
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


def _agreed(app: App, own: Own) -> bool:
    """Show a Dockerfile, and return whether the user trusts it."""
    app.ui.tell(trust.compared(own.now, own.before) + MEANS)
    # Whoever agreed beforehand has not seen it: an agent may have written it since.
    return app.ui.ask("Trust it as it is?", beforehand=False)


def is_own(made: Recipe) -> bool:
    """Whether an image is of a workspace's own Dockerfile."""
    return made.name == WORKSPACE


def layer_of(made: Recipe) -> Recipe:
    """Return the image that settings, or a workspace's Dockerfile, begin with."""
    return made.parent if is_own(made) and made.parent is not None else made
