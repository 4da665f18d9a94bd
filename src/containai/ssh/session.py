"""Sessions: what is run in a box, over its control socket, with ssh's own terminal and exit code.

This module is on the warm path: it imports little.
"""

import _socket  # socket's own imports and enums would be an eighth of a warm start
import os
from collections.abc import Sequence

from containai.host import around
from containai.layout import WORKSPACE_IN_BOX, Layout

_SAFE = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@%+,")


def quoted(argument: bytes) -> bytes:
    """Return one word for the remote shell that is exactly `argument`, whatever its bytes."""
    if argument and _SAFE.issuperset(argument):
        return argument
    return b"'" + argument.replace(b"'", b"'\\''") + b"'"


def remote_command(command: Sequence[str], directory: str) -> bytes:
    """Return the line for the remote shell; an empty command is an interactive login shell.

    Bytes that are not UTF-8 come from argv as surrogates (PEP 383) and leave as they came.
    """
    enter = b"cd -- " + quoted(os.fsencode(directory)) + b" && "
    if not command:
        return enter + b'exec "$SHELL" -l'
    # dash knows no `exec --`, and bash takes a command that begins with "-" for an option of exec.
    replace = b"" if command[0].startswith("-") else b"exec "
    return enter + replace + b" ".join(quoted(os.fsencode(word)) for word in command)


def ssh_argv(
    layout: Layout,
    box: str,
    command: Sequence[str],
    *,
    terminal: bool,
    directory: str = "",
    send: Sequence[str] = (),
) -> list[bytes | str]:
    """Return the ssh command line for a session in a box.

    `send` names variables of this process that go there: no command line has their values.
    """
    return [
        "ssh",
        "-F", layout.ssh_block(box),
        *shared_control_path(layout, box),
        *(["-o", "SendEnv=" + " ".join(send)] if send else []),
        "-t" if terminal else "-T",
        "--", box,
        remote_command(command, os.path.join(WORKSPACE_IN_BOX, directory).rstrip("/")),
    ]  # fmt: skip


def shared_control_path(layout: Layout, box: str) -> list[str]:
    """Return the options that name the control socket where the host block does not."""
    if not layout.control_dir_is_shared:
        return []
    return ["-o", f"ControlPath={layout.control_socket(box)}"]


def has_own_directory(layout: Layout) -> bool:
    """Whether the directory of control sockets is this user's, and closed to others."""
    try:
        seen = os.lstat(layout.control_dir)
    except OSError:
        return False
    # A link is open to everybody by its mode.
    return seen.st_uid == layout.uid and not seen.st_mode & 0o077


def is_live(layout: Layout, box: str) -> bool:
    """Whether a box's control socket has somebody behind it, and only we can have put it there."""
    if not has_own_directory(layout):
        return False
    probe = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        probe.settimeout(1)
        probe.connect(layout.control_socket(box))
    except OSError:
        return False
    finally:
        probe.close()
    return True


def identity(workspace: str, inode: str) -> str:
    """Return the line of a host block that says which directory its box was started for."""
    return f"# workspace={workspace!r} inode={inode}"


def block_matches(layout: Layout, box: str, workspace: str, inode: str) -> bool | None:
    """Whether a box's host block is of exactly this directory; None where there is no block."""
    try:
        with open(layout.ssh_block(box), encoding="utf-8") as file:
            return identity(workspace, inode) + "\n" in file
    except FileNotFoundError:
        return None


def told(fingerprint: str, mark: str) -> str:
    """Return the line of a host block that says of which network a box was told, and what."""
    return f"# around={fingerprint} {mark}"


def last_told(layout: Layout, box: str) -> str:
    """Return what a box was last told of the network: nothing, where nobody knows."""
    try:
        with open(layout.ssh_block(box), encoding="utf-8") as file:
            lines = [line for line in file if line.startswith("# around=")]
    except FileNotFoundError:
        lines = []
    return lines[0].split()[-1] if lines else "none"


def fingerprint(layout: Layout) -> str:
    """Return what is another whenever boxes may have to be told something else of the network."""
    return around.fingerprint(layout.root, layout.home, layout.config_file, os.environ)


def is_warm(layout: Layout, box: str, workspace: str, inode: str) -> bool:
    """Whether a live control connection leads to the box of exactly this directory.

    It is not where the box is to be told of another network than it knows.
    """
    try:
        with open(layout.ssh_block(box), encoding="utf-8") as file:
            block = file.read()
    except FileNotFoundError:
        return False
    same = identity(workspace, inode) + "\n" in block
    return same and told(fingerprint(layout), "") in block and is_live(layout, box)
