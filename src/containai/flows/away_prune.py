"""Images on remote places that nobody needs: what was brought there by an earlier version."""

import datetime
from collections.abc import Sequence
from typing import NamedTuple

from containai.app import App
from containai.away import places
from containai.away.place import Stored
from containai.errors import ContainAIError
from containai.flows import images, workspace_image
from containai.images import incus, recipe

#: How long a place may take to answer, in seconds.
_TIMEOUT = 8.0
#: So long after it came, in seconds, somebody may be about to make a box of an image.
_FRESH = 600.0


class There(NamedTuple):
    """An image on a place: `id` is its fingerprint, `tags` are its aliases, `size` is in bytes."""

    name: str
    on: str
    recipe: str
    size: int
    created: str
    id: str
    tags: tuple[str, ...]


class Unneeded(NamedTuple):
    """Images that no box there uses and no new one of this user's would; and why others stay.

    `stays` are those of all users of a place, and what its administrator does; `problems` what went
    wrong with a place.
    """

    rows: list[There]
    stays: list[tuple[There, str]]
    problems: list[ContainAIError]


def unneeded(app: App, only: str | None) -> Unneeded:
    """Return what places have that nobody needs: all of the user's, or only one.

    Of one that is named, what goes wrong is raised: UsageError where there is no such place.
    """
    found = Unneeded([], [], [])
    current = _current(app)
    for name in places.names(app.host) if only is None else [only]:
        try:
            stored = app.place(name).stored_images(timeout=_TIMEOUT)
        except ContainAIError as failed:
            if only is not None:
                raise
            found.problems.append(failed)
            continue
        for each in stored:
            if each.key in current or each.users or _is_fresh(each):
                continue
            if each.is_everyones:
                found.stays.append((_there(name, each), each.removal))
            else:
                found.rows.append(_there(name, each))
    return found


def remove(app: App, rows: Sequence[There]) -> tuple[list[There], list[ContainAIError]]:
    """Remove images; return which, and what failed. One that is used by now stays."""
    removed, failures = [], []
    for row in rows:
        app.ui.say(f"removing {row.name} {row.recipe} from {row.on}")
        try:
            place = app.place(row.on)
            now = {each.fingerprint: each for each in place.stored_images(timeout=_TIMEOUT)}
            if row.id in now and now[row.id].users:
                continue
            place.remove_image(row.id)
            removed.append(row)
        except ContainAIError as failed:
            failures.append(failed)
    return removed, failures


def _current(app: App) -> set[str]:
    """Return by what the images are known that new boxes of this user's would be made from."""
    wanted = [*images.layers(app), recipe.wanted(app.settings), *workspace_image.current(app)]
    return {incus.key(each) for each in wanted}


def _is_fresh(image: Stored) -> bool:
    try:
        then = datetime.datetime.fromisoformat(image.created)
        return abs((datetime.datetime.now(datetime.UTC) - then).total_seconds()) < _FRESH
    except (ValueError, TypeError):
        return False


def _there(place: str, image: Stored) -> There:
    return There(
        image.name, place, image.recipe[:16], image.size, image.created, image.fingerprint,
        image.aliases,
    )  # fmt: skip
