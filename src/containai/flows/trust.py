"""`cai trust`: which files of workspaces are trusted, and how that is said."""

import os
from typing import NamedTuple

from containai import trust
from containai.app import App
from containai.boxes import workspace as workspaces
from containai.errors import ContainAIError, UntrustedError, WorkspaceError
from containai.flows import workspace_image
from containai.trust import Trust, Trusted

_MEANS = {
    trust.CONFIG: "Its settings count for boxes of this workspace, but for those that only your "
    "own config.toml may say.\n",
    trust.DOCKERFILE: workspace_image.MEANS,
}


class Listed(NamedTuple):
    """A workspace, a file of it, what its user says of that, the digest of what is trusted."""

    workspace: str
    file: str
    trust: str
    sha256: str


def given(app: App, path: str | None) -> list[Listed]:
    """Trust the files of a workspace as they are, if the user agrees.

    Raises WorkspaceError where there is none, ImageError or UsageError for one that is not right,
    UntrustedError where nobody agrees.
    """
    workspace = workspaces.resolve(app.layout, path, force=True).path
    found = [_now(app, workspace, name) for name in trust.NAMES]
    now = [each for each in found if each is not None]
    if not now:
        raise WorkspaceError(
            f"{workspace!r} has nothing to trust",
            hint=f"that would be in {trust.DIRECTORY}: {' or '.join(trust.NAMES)}",
        )
    doubtful = [each for each in now if _said(app, each) is not Trust.YES]
    if doubtful:
        for each in doubtful:
            before = trust.find(app.layout, workspace, each.name)
            app.ui.tell(trust.compared(each, before) + _MEANS[each.name] + "\n")
        if not app.ui.ask(f"Trust {'it as it is' if len(doubtful) == 1 else 'them as they are'}?"):
            raise UntrustedError("nothing is trusted", hint="run: cai trust --yes")
        for each in doubtful:
            trust.keep(app.layout, each)
    return [_as(each, Trust.YES) for each in now]


def removed(app: App, workspace: str) -> list[Listed]:
    """Trust nothing of a workspace any more, which may be gone. Raises ContainAIError."""
    before = trust.refuse_none(app.layout, workspace)
    trust.forget(app.layout, workspace)
    return [_as(each, Trust.NO) for each in before]


def listed(app: App) -> list[Listed]:
    """Return all that is trusted, and what has become of it."""
    return [_as(each, _today(app, each)) for each in trust.every(app.layout)]


def _now(app: App, workspace: str, name: str) -> Trusted | None:
    """Return a file as it is, read once, and right as far as can be seen; None for none."""
    if name == trust.DOCKERFILE:
        own = workspace_image.look(app, workspace)
        return own.now if own is not None else None
    config = trust.config_of(workspace)
    if config is not None:
        app.at(workspace).trusting(trust.as_settings(config))
    return config


def _said(app: App, now: Trusted) -> Trust:
    return trust.said(now, trust.find(app.layout, now.workspace, now.name))


def _today(app: App, before: Trusted) -> str:
    if not os.path.isdir(before.workspace):
        return "gone"
    try:
        now = _now(app, before.workspace, before.name)
    except ContainAIError:
        return Trust.CHANGED
    return "gone" if now is None else trust.said(now, before)


def _as(each: Trusted, said: str) -> Listed:
    return Listed(each.workspace, each.shown, str(said), each.sha256)
