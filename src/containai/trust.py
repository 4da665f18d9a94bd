"""What a workspace has in `.containai` of its own, and what of it its user trusts, as it was then.

An agent can write those files: they are read with care. What is trusted is kept in a directory of
the user's, a file for each workspace; nothing of it is in the workspace.
"""

import json
import os
from enum import StrEnum
from typing import NamedTuple

from containai.config.layers import Own
from containai.errors import ContainAIError, DamagedError, WorkspaceError
from containai.host import files
from containai.layout import Layout
from containai.light import sha256

#: Where they are in a workspace, and their names: what its image is made of, its settings.
DIRECTORY = ".containai"
DOCKERFILE, CONFIG = "Dockerfile", "config.toml"
NAMES = (CONFIG, DOCKERFILE)
#: How large settings may be, in bytes: Python's parser takes time by the square of some.
CONFIG_LIMIT = 16 << 10


class Trust(StrEnum):
    """What its user said of a file."""

    YES = "trusted"
    CHANGED = "changed"
    NO = "not trusted"


class Trusted(NamedTuple):
    """A workspace's path, what is trusted there, and the name of the file."""

    workspace: str
    text: str
    name: str = DOCKERFILE

    @property
    def sha256(self) -> str:
        """The digest of the file."""
        return sha256(self.text.encode())

    @property
    def shown(self) -> str:
        """The file's path in its workspace."""
        return f"{DIRECTORY}/{self.name}"


def settings_of(layout: Layout, workspace: str) -> Own | None:
    """Return the file of settings of a workspace, or None where it has none.

    Raises WorkspaceError for one that cannot be read.
    """
    now = config_of(workspace)
    if now is None:
        return None
    is_trusted = said(now, find(layout, workspace, CONFIG)) is Trust.YES
    return as_settings(now)._replace(trusted=is_trusted)


def as_settings(config: Trusted) -> Own:
    """Return a file of settings as these are loaded from it."""
    return Own(os.path.join(config.workspace, config.shown), config.text)


def config_of(workspace: str) -> Trusted | None:
    """Return the file of settings of a workspace, as it is. Raises as `settings_of`."""
    try:
        content = files.read_beneath(workspace, DIRECTORY, CONFIG, limit=CONFIG_LIMIT)
        return None if content is None else Trusted(workspace, content.decode(), CONFIG)
    except OSError as wrong:
        why = files.why_not(wrong)
    except ValueError:
        why = "it is not valid UTF-8"
    raise WorkspaceError(
        f"{DIRECTORY}/{CONFIG} of {workspace!r} cannot be read: {why}",
        hint="make a file of it; or do without: cai config set workspace.config false",
    )


def said(now: Trusted, before: Trusted | None) -> Trust:
    """Return what its user said of a file: of one like it was `before`, if that was trusted."""
    if before is None:
        return Trust.NO
    return Trust.YES if now == before else Trust.CHANGED


def compared(now: Trusted, before: Trusted | None) -> str:
    """Return what there is to read before a file is trusted: what changed, or all of it."""
    import difflib

    new = now.text.splitlines()
    old = before.text.splitlines() if before is not None else new
    changes = difflib.unified_diff(old, new, lineterm="", n=len(old))
    # Where there is nothing to compare, or an end of line is all that differs.
    numbered = [f"{number:4}  {line}" for number, line in enumerate(new, 1)]
    lines = [f"  {line}" for line in list(changes)[3:]] or numbered
    how = {Trust.NO: "not trusted yet", Trust.CHANGED: "not as you trusted it"}
    state = said(now, before)
    text = "".join(f"{line}\n" for line in lines)
    return f"{now.shown} of {now.workspace!r} is {how.get(state, state)}:\n\n{text}\n"


def find(layout: Layout, workspace: str, name: str = DOCKERFILE) -> Trusted | None:
    """Return what is trusted of a workspace's file of that name, or None."""
    found = _kept(record(layout, workspace))
    return next((each for each in found if each[::2] == (workspace, name)), None)


def every(layout: Layout) -> list[Trusted]:
    """Return all that is trusted, by path."""
    try:
        names = os.listdir(layout.trusted)
    except (FileNotFoundError, NotADirectoryError):
        return []
    paths = [os.path.join(layout.trusted, name) for name in names if name.endswith(".json")]
    found = [each for path in paths for each in _kept(path)]
    return sorted(found, key=lambda each: (each.workspace, each.name))


def keep(layout: Layout, given: Trusted) -> None:
    """Trust a file of a workspace, in place of what was trusted there."""
    files.private_directory(layout.config_dir)
    files.private_directory(layout.trusted)
    path = record(layout, given.workspace)
    with files.lock(os.path.join(layout.trusted, "lock"), wait=30, what="trusting a file"):
        before = [each for each in _kept(path) if each.workspace == given.workspace]
        texts = {each.name: each.text for each in before} | {given.name: given.text}
        kept = {"workspace": given.workspace, "files": texts}
        files.write(path, json.dumps(kept, indent=2) + "\n", 0o600)


def forget(layout: Layout, workspace: str) -> None:
    """Trust nothing of a workspace any more."""
    files.remove(record(layout, workspace))


def record(layout: Layout, workspace: str) -> str:
    """Return the file that has what is trusted of a workspace, whether it is there or not."""
    digest = sha256(os.fsencode(workspace))
    return os.path.join(layout.trusted, f"{digest[:32]}.json")


def is_record(text: str) -> bool:
    """Whether a file says what is trusted of a workspace."""
    return bool(_parsed(text))


def _kept(path: str) -> list[Trusted]:
    """Return what a file says, or nothing for one that is damaged: that is trust in nothing."""
    try:
        return _parsed(files.read(path) or "")
    except DamagedError:
        return []


def _parsed(text: str) -> list[Trusted]:
    try:
        kept = files.from_json(text)
        # One that was written before there were settings to trust has the Dockerfile's text.
        texts = kept["files"] if "files" in kept else {DOCKERFILE: kept["text"]}
        found = [Trusted(kept["workspace"], text, name) for name, text in texts.items()]
    except (ValueError, LookupError, TypeError, AttributeError):
        return []
    return [each for each in found if all(isinstance(part, str) for part in each)]


def refuse_none(layout: Layout, workspace: str) -> list[Trusted]:
    """Return what is trusted of a workspace. Raises ContainAIError for nothing."""
    found = [each for name in NAMES if (each := find(layout, workspace, name)) is not None]
    if not found:
        raise ContainAIError(f"nothing of {workspace!r} is trusted", hint="see: cai trust --list")
    return found
