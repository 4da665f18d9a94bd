"""Which Dockerfiles of workspaces their user trusts: as they were when that was said.

A file for each workspace, in a directory of the user's; nothing of it is in the workspace.
"""

import hashlib
import json
import os
from typing import NamedTuple

from containai.host import files
from containai.layout import Layout


class Trusted(NamedTuple):
    """A workspace's path, and the Dockerfile that is trusted there."""

    workspace: str
    text: str

    @property
    def sha256(self) -> str:
        """The digest of the Dockerfile."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def find(layout: Layout, workspace: str) -> Trusted | None:
    """Return what is trusted of a workspace, or None."""
    found = _parsed(files.read(_path(layout, workspace)))
    return found if found is not None and found.workspace == workspace else None


def every(layout: Layout) -> list[Trusted]:
    """Return all that is trusted, by path."""
    try:
        names = os.listdir(layout.trusted)
    except FileNotFoundError:
        return []
    found = (_parsed(files.read(os.path.join(layout.trusted, name))) for name in names)
    return sorted(each for each in found if each is not None)


def keep(layout: Layout, given: Trusted) -> None:
    """Trust a Dockerfile of a workspace, in place of what was trusted there."""
    files.private_directory(layout.config_dir)
    files.private_directory(layout.trusted)
    path = _path(layout, given.workspace)
    files.write(path, json.dumps(given._asdict(), indent=2) + "\n", 0o600)


def forget(layout: Layout, workspace: str) -> None:
    """Trust none of a workspace any more."""
    files.remove(_path(layout, workspace))


def _path(layout: Layout, workspace: str) -> str:
    digest = hashlib.sha256(os.fsencode(workspace)).hexdigest()
    return os.path.join(layout.trusted, f"{digest[:32]}.json")


def _parsed(text: str | None) -> Trusted | None:
    """Return what a file says, or None for one that is damaged: that is trust in nothing."""
    try:
        said = json.loads(text or "")
        workspace, dockerfile = said["workspace"], said["text"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    if not isinstance(workspace, str) or not isinstance(dockerfile, str):
        return None
    return Trusted(workspace, dockerfile)
