"""Whose files a workspace's are where a runtime maps ids one to one, as Sysbox does.

cai-runc shows the owner of the workspace as `agent`, whatever the owner's uid is. Sysbox shows
every id of the host below 65,536 as itself: there the agent takes the owner's ids, when its box
is made. An owner of uid 0 is no exception: the agent is then a second name of the box's root,
because what any other user of the box wrote would not be the owner's.
"""

import os

from containai.errors import WorkspaceError
from containai.layout import SYSBOX_RUNC

#: How many ids a box has under Sysbox (sysbox-runc, IdRangeMin).
SYSBOX_IDS = 65536
#: Read by the image's containai-init.service before sshd starts: uid and gid of the agent.
AGENT_ID_IN_BOX = "etc/containai/agent-id"
#: The first value of a keyword counts in sshd's configuration; the image's own file sorts later.
ROOT_LOGIN_IN_BOX = "etc/ssh/sshd_config.d/05-agent-is-root.conf"


def agent_files(runtime: str, workspace: str) -> dict[str, tuple[str, int]]:
    """Return what the box of a workspace needs for its agent's ids: path → (text, mode).

    Raises WorkspaceError for an owner that a box of this runtime cannot have.
    """
    if runtime != SYSBOX_RUNC:
        return {}
    seen = os.stat(workspace)
    if max(seen.st_uid, seen.st_gid) >= SYSBOX_IDS:
        raise WorkspaceError(
            f"{workspace!r} belongs to {seen.st_uid}:{seen.st_gid}, "
            f"and a box under Sysbox has ids below {SYSBOX_IDS} only",
            hint="use the embedded runtime, which takes any owner: cai setup --runtime embedded",
        )
    placed = {AGENT_ID_IN_BOX: (f"{seen.st_uid} {seen.st_gid}\n", 0o644)}
    if seen.st_uid == 0:
        placed[ROOT_LOGIN_IN_BOX] = ("PermitRootLogin prohibit-password\n", 0o644)
    return placed
