"""Images of boxes that a server of Incus has, whoever brought them, and who uses them."""

from containai.away.incus_copies import NOWHERE
from containai.away.place import Stored, cannot
from containai.incus import images, instances, server
from containai.incus.client import Incus
from containai.incus.errors import ForbiddenError, IncusError
from containai.incus.images import Image

#: What Incus notes of an instance: the fingerprint of the image that it was made from.
_ORIGIN = "volatile.base_image"
#: The property of an image's metadata that ours have (images/incus/metadata.yaml).
_KEY = "containai"
_ADMINISTRATOR = "its administrator removes it, who sees all that uses it"


def stored(incus: Incus, *, timeout: float) -> list[Stored]:
    """See `Place`."""
    users: dict[str, list[str]] = {}
    for each in instances.listed(incus, timeout=timeout):
        # Of what is on a member that is away, only its name is known.
        if each.status == "Error" and each.location not in NOWHERE and not each.config:
            raise IncusError(
                f"the node {each.location} is away: which image {each.name} uses is not known",
                hint="again, once it is there: cai ls",
            )
        users.setdefault(each.config.get(_ORIGIN, ""), []).append(each.name)
    is_everyones = not _has_own(incus)
    return [
        _stored(each, tuple(sorted(users.get(each.fingerprint, ()))), is_everyones=is_everyones)
        for each in images.listed(incus)
        if _KEY in each.properties
    ]


def remove(incus: Incus, place: str, fingerprint: str) -> None:
    """See `Place`."""
    try:
        images.delete(incus, fingerprint)
    except ForbiddenError:
        cannot("the removal of an image", place, f"{_ADMINISTRATOR}: {_removal(fingerprint)}")


def _has_own(incus: Incus) -> bool:
    """Whether the project has images of its own: without, it has those of the project default."""
    project = server.project(incus, incus.project)
    return project is not None and project.config.get("features.images") == "true"


def _stored(image: Image, users: tuple[str, ...], *, is_everyones: bool) -> Stored:
    said = image.properties
    return Stored(
        fingerprint=image.fingerprint,
        key=said[_KEY],
        name=said.get("variant", ""),
        recipe=said.get("recipe", ""),
        aliases=image.aliases,
        size=image.size,
        created=image.uploaded_at,
        users=users,
        is_everyones=is_everyones,
        removal=_removal(image.fingerprint),
    )


def _removal(fingerprint: str) -> str:
    return f"incus image delete {fingerprint[:12]}"
