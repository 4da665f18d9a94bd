"""The plain form of `run`, `exec` and `shell`, read without argparse: the way into a running box.

argparse is a quarter of what such a start costs. Whatever is not plain, or not running, is left to
the commands themselves, which then say what is wrong.
"""

from collections.abc import Sequence

from containai.boxes import workspace as workspaces
from containai.errors import ContainAIError
from containai.layout import Layout
from containai.ssh import session


def enter(command: str, words: Sequence[str], remainder: Sequence[str]) -> None:
    """Become the session that is asked for, or return where that takes more.

    `words` stand before a `--`, `remainder` after it.
    """
    if bool(remainder) == (command == "shell") or len(words) > 1 or words[:1] == [""]:
        return  # without a COMMAND, `run` has to look for an agent
    if words and words[0].startswith("-"):
        return
    layout = Layout.from_environment()
    try:
        path = words[0] if words else None
        workspace = workspaces.resolve(layout, path, force=command == "exec")
    except ContainAIError:
        return
    name = workspaces.box_name(workspace.path, layout.uid)
    if session.is_warm(layout, name, workspace.path, workspace.inode):
        session.enter(layout, name, remainder, workspace.directory)
