"""How boxes were made, and what became of them: their images, and what the kernel ended in them."""

import time
from collections.abc import Mapping, Sequence

from containai.boxes import kills
from containai.boxes.box import Box
from containai.boxes.kills import Kill
from containai.engine.client import Engine
from containai.engine.container import Image
from containai.errors import ContainAIError
from containai.host.machine import Machine
from containai.images import recipe
from containai.images.labels import LABEL_IMAGE
from containai.layout import LABEL_RECIPE
from containai.provision.step import Area, Fact
from containai.provision.steps.own import Only, settings
from containai.work.actions import Finding


class MadeBy(Only, Fact):
    """Boxes are made as this version makes them."""

    area = Area.BOXES
    title = "versions of boxes"
    holds = "your boxes are made as this version makes them, from the image of its recipe"
    otherwise = "`cai run --fresh` makes one anew; its data volume and workspace stay"
    looks = "the engine is asked for their images and mounts"
    means = "the box works, without what newer ones have"

    def judged(self, host: Machine, own: Sequence[Box]) -> Finding[None]:
        """Compare the recipes of their images with those of this version."""
        engine = Engine(host)
        images = {box.image_id: engine.image(box.image_id) for box in own if box.image_id}
        names = {image.label(LABEL_IMAGE) for image in images.values() if image is not None}
        digests = {name: _digest(host, name) for name in names if name and name in recipe.PARENTS}
        found = {
            box.name: why for box in own if (why := _why(box, images.get(box.image_id), digests))
        }
        if not found:
            return Finding(True, f"of {len(own)} boxes" if own else "no box")
        seen = "; ".join(f"{name}: {why}" for name, why in found.items())
        hint = f"make it anew, which asks first: cai run --fresh --name {next(iter(found))}"
        return Finding(False, seen, optional=True, hint=hint)


def _digest(host: Machine, name: str) -> str:
    """Return that of this version's recipe, or nothing where settings are in its way."""
    try:
        return recipe.find(name, settings(host)).digest
    except ContainAIError:
        return ""


def _why(box: Box, image: Image | None, digests: Mapping[str, str]) -> str:
    """Return how a box is made otherwise; `digests` are of this version's recipes, by name."""
    if not box.data:
        return "made by an earlier version: it has no data volume"
    if image is None:
        return "its image is gone"
    name = image.label(LABEL_IMAGE) or ""
    wanted = digests.get(name, "")
    is_other = bool(wanted) and image.label(LABEL_RECIPE) != wanted
    return f"of another image {name} than new ones" if is_other else ""


class Kills(Only, Fact):
    """The kernel has ended nothing in a box for want of memory."""

    area = Area.BOXES
    title = "memory of boxes"
    holds = "within a day, the kernel has ended nothing in a box because its memory was used up"
    otherwise = "`cai limit --memory` gives it more"
    looks = "what the keeper of lxcfs notes; told until the box has more"
    means = "a compiler, a test or the agent itself was ended in the middle"

    def judged(self, host: Machine, own: Sequence[Box]) -> Finding[None]:
        """Read the notes."""
        noted = [kill for box in own for kill in kills.of(host.layout, box) if _counts(box, kill)]
        if not noted:
            return Finding(True, "none was used up")
        latest = {kill.box: kill for kill in noted}
        seen = "; ".join(kill.described() for kill in latest.values())
        last = noted[-1]
        return Finding(False, seen, optional=True, hint=last.hint)


def _counts(box: Box, kill: Kill) -> bool:
    """Whether it was lately, and the box has not got more since."""
    more = not kill.below and kill.limit and kill.limit != (box.limits.memory or 0)
    return kill.time > time.time() - kills.RECENT and not more
