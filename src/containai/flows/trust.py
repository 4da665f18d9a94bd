"""`cai image trust`: whose Dockerfile is trusted, and how that is said."""

import os
from typing import NamedTuple

from containai.app import App
from containai.boxes import workspace as workspaces
from containai.errors import ContainAIError, ImageError
from containai.flows import workspace_image
from containai.flows.workspace_image import Trust
from containai.images import dockerfile, trust
from containai.images.trust import Trusted


class Listed(NamedTuple):
    """A workspace, what its user says of its Dockerfile, and the digest of the trusted one."""

    workspace: str
    trust: str
    sha256: str


def given(app: App, path: str | None) -> Listed:
    """Trust a workspace's Dockerfile as it is, if the user agrees.

    Raises ImageError where there is none that can be built, ContainAIError where nobody agrees.
    """
    workspace = workspaces.resolve(app.layout, path, force=True).path
    own = workspace_image.look(app, workspace)
    if own is None:
        raise ImageError(
            f"{workspace!r} has no {dockerfile.PATH}", hint="docs/explanation/images.md shows one"
        )
    if own.trust is not Trust.YES:
        if not workspace_image.agreed(app, own, beforehand=True):
            raise ContainAIError("nothing is trusted", hint="run: cai image trust --yes")
        trust.keep(app.layout, own.now)
    return _as(own.now, Trust.YES)


def removed(app: App, workspace: str) -> Listed:
    """Trust none of a workspace any more, which may be gone. Raises ContainAIError for none."""
    before = trust.find(app.layout, workspace)
    if before is None:
        raise ContainAIError(
            f"nothing of {workspace!r} is trusted", hint="see: cai image trust --list"
        )
    trust.forget(app.layout, workspace)
    return _as(before, Trust.NO)


def listed(app: App) -> list[Listed]:
    """Return all that is trusted, and what has become of it."""
    return [_as(each, _today(app, each)) for each in trust.every(app.layout)]


def _today(app: App, before: Trusted) -> str:
    if not os.path.isdir(before.workspace):
        return "gone"
    try:
        own = workspace_image.look(app, before.workspace)
    except ContainAIError:
        return Trust.CHANGED
    return "gone" if own is None else own.trust


def _as(each: Trusted, said: str) -> Listed:
    return Listed(each.workspace, str(said), each.sha256)
