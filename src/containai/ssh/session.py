"""Sessions: what is run in a box, over its control socket.

This module is on the warm path: it imports little.
"""

from __future__ import annotations

import _socket  # socket's own imports and enums would be an eighth of a warm start
import os
import zlib
from collections.abc import Sequence

from containai.host import around
from containai.layout import SESSION_VARIABLE, WORKSPACE_IN_BOX, Layout
from containai.light import NamedTuple

_SAFE = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@%+,")


def quoted(argument: bytes) -> bytes:
    """Return one word for the remote shell that is exactly `argument`, whatever its bytes."""
    if argument and _SAFE.issuperset(argument):
        return argument
    return b"'" + argument.replace(b"'", b"'\\''") + b"'"


#: What a box lets pass that takes the variables of a session (config/env.py).
_TAKEN = (
    b'[ "${CONTAINAI_GIVEN-}" ] || { '
    b'echo "cai: the image of this box takes no --env; hint: cai run --fresh" >&2; exit 2; }; '
)


#: What runs a command in a box as its child, and takes it along when its caller is gone.
SUPERVISE = "/usr/local/lib/containai/supervise"
#: What of the caller's terminal and language a command gets; supervise knows what a box has of it.
_LOCALE = ("LANG", "LANGUAGE", "LC_")
#: What sshd in every box takes, too.
_COLOURS = (
    "COLORTERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "NO_COLOR", "FORCE_COLOR", "CLICOLOR",
)  # fmt: skip


class Session(NamedTuple):
    """A command in a box, or an interactive login shell where there is none."""

    layout: Layout
    box: str
    command: Sequence[str]
    #: Where it starts, in the box.
    directory: str
    terminal: bool = False
    #: The variables that it gets beside the caller's own; no command line has their values.
    send: Sequence[str] = ()

    @property
    def argv(self) -> list[bytes | str]:
        """The ssh command line that does the same, as far as ssh does."""
        return ssh_argv(
            self.layout,
            self.box,
            self.command,
            terminal=self.terminal,
            directory=self.directory,
            send=self.send,
        )

    def line(self, token: str) -> bytes:
        """Return the line for the remote shell; `token` is what the session is known by there."""
        enter = _entered(self.directory, given=SESSION_VARIABLE in self.send)
        supervised = b" ".join((SUPERVISE.encode(), *map(quoted, self._words(token)))) + b" -- "
        command = _words(self.command)
        # A box of an older image has none of it. No variables: the shell may be fish.
        return (
            enter
            + b" || exit; [ -x " + SUPERVISE.encode() + b" ] && exec " + supervised + command
            + b"; " + _replaced(self.command)
        )  # fmt: skip

    def kept(self, token: str) -> bytes:
        """Return what a box keeps of a command that is too long for a line."""
        words = [*self._words(token), b"--", *map(os.fsencode, self.command)]
        return b"".join(word + b"\0" for word in words)

    def kept_line(self, token: str) -> bytes:
        """Return the line for the remote shell that runs what is kept."""
        enter = _entered(self.directory, given=SESSION_VARIABLE in self.send)
        return enter + b" && exec " + SUPERVISE.encode() + b" --kept " + token.encode()

    def _words(self, token: str) -> list[bytes]:
        said = [f"{name}={value}" for name, value in os.environ.items() if name.startswith(_LOCALE)]
        return [token.encode(), *map(os.fsencode, said)]


def colours() -> dict[str, str]:
    """Return what programs go by to know what the terminal can show."""
    return {name: os.environ[name] for name in _COLOURS if name in os.environ}


def remote_command(command: Sequence[str], directory: str, *, given: bool = False) -> bytes:
    """Return the line for the remote shell; an empty command is an interactive login shell.

    Where variables are `given` to it, it ends in a box whose image is too old to take them.

    Bytes that are not UTF-8 come from argv as surrogates (PEP 383) and leave as they came.
    """
    return _entered(directory, given=given) + b" && " + _replaced(command)


def _entered(directory: str, *, given: bool) -> bytes:
    return (_TAKEN if given else b"") + b"cd -- " + quoted(os.fsencode(directory))


def _replaced(command: Sequence[str]) -> bytes:
    # dash knows no `exec --`, and bash takes a command that begins with "-" for an option of exec.
    replace = b"" if command and command[0].startswith("-") else b"exec "
    return replace + _words(command)


def _words(command: Sequence[str]) -> bytes:
    if not command:
        return b'"$SHELL" -l'
    return b" ".join(quoted(os.fsencode(word)) for word in command)


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
        *control_path(layout, box),
        *(["-o", "SendEnv=" + " ".join(send)] if send else []),
        "-t" if terminal else "-T",
        "--", box,
        remote_command(
            command,
            os.path.join(WORKSPACE_IN_BOX, directory).rstrip("/"),
            given=SESSION_VARIABLE in send,
        ),
    ]  # fmt: skip


def control_path(layout: Layout, box: str) -> list[str]:
    """Return the options that name the control socket, which no host block does.

    Plain ssh has no master in its way: through one, -N, -f, -O, -W and forwards do otherwise.
    """
    # Percent signs start a token (ssh_config(5), TOKENS).
    return ["-S", layout.control_socket(box).replace("%", "%%")]


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


def forwards_agent(layout: Layout, box: str) -> bool:
    """Whether a box's host block says that it reaches its user's agent."""
    return _line(layout, box, "    ForwardAgent yes\n") != ""


#: How the line begins in which a host block says which remote place its box is on.
_PLACE = "# on="


def placed(place: str) -> str:
    """Return what a host block has more of a box on a remote place; nothing of one that is here."""
    return f"\n{_PLACE}{place}" if place else ""


def place_of(layout: Layout, box: str) -> str:
    """Return the remote place that a box is on by its host block, or "" for this machine."""
    return _line(layout, box, _PLACE).removeprefix(_PLACE).rstrip("\n")


def follow_agent(layout: Layout) -> None:
    """Have boxes reach the agent that there is now, where they reach one; without one the last."""
    now, link = os.environ.get("SSH_AUTH_SOCK", ""), layout.agent_link
    if not now.startswith("/"):
        return
    try:
        if os.readlink(link) == now:
            return
    except OSError:
        if not has_own_directory(layout):
            return
    new = f"{link}-{os.getpid()}"
    try:
        os.symlink(now, new)
        os.rename(new, link)
    except OSError:
        # Nothing else of a session depends on it.
        return


def identity(workspace: str, inode: str) -> str:
    """Return the line of a host block that says which directory its box was started for."""
    return f"{_WORKSPACE}{workspace!r} inode={inode}"


#: How the line begins in which a host block says what workspace its box is of.
_WORKSPACE = "# workspace="


def known(layout: Layout) -> list[tuple[str, str]]:
    """Return the boxes that have a host block, each with its workspace: "" for one of odd letters.

    For completion: a block is read no further than to that line.
    """
    try:
        names = sorted(os.listdir(layout.ssh_blocks))
    except OSError:
        return []
    boxes = [name.removesuffix(".conf") for name in names if name.endswith(".conf")]
    return [(box, _workspace(layout, box)) for box in boxes]


def _workspace(layout: Layout, box: str) -> str:
    path = _written_workspace(layout, box)
    # repr() has a backslash in front of whatever is odd.
    return "" if "\\" in path else path[1:-1]


def _written_workspace(layout: Layout, box: str) -> str:
    """Return the workspace of a host block as it stands there, which is its repr()."""
    line = _line(layout, box, _WORKSPACE)
    return line.removeprefix(_WORKSPACE).rpartition(" inode=")[0]


def at_once(path: str, flags: int) -> int:
    """Open a file; of a pipe, wait for nobody."""
    return os.open(path, flags | os.O_NONBLOCK)


def _line(layout: Layout, box: str, begin: str) -> str:
    """Return the first line of a box's host block that begins so; "" where there is none."""
    try:
        with open(layout.ssh_block(box), encoding="utf-8", opener=at_once) as file:
            return next((line for line in file if line.startswith(begin)), "")
    except (OSError, ValueError):
        return ""


def workspace_of(layout: Layout, box: str) -> str:
    """Return the workspace that a box's host block is of, or "" where that does not say."""
    import ast

    try:
        path = ast.literal_eval(_written_workspace(layout, box))
    except (ValueError, SyntaxError):
        return ""
    return path if isinstance(path, str) else ""


def block_matches(layout: Layout, box: str, workspace: str, inode: str) -> bool | None:
    """Whether a box's host block is of exactly this directory; None where none says of which."""
    written = _line(layout, box, _WORKSPACE)
    return written == identity(workspace, inode) + "\n" if written else None


#: How the line begins that says where sessions start.
_START = "# start="


def starting(directory: str) -> str:
    """Return what a host block has more where sessions start elsewhere than in all boxes."""
    return "" if directory == WORKSPACE_IN_BOX else f"\n{_START}{directory}"


def start(layout: Layout, box: str) -> str:
    """Return where sessions in a box start."""
    line = _line(layout, box, f"{_START}/")
    return line.removeprefix(_START).rstrip("\n") or WORKSPACE_IN_BOX


def told(fingerprint: str, mark: str) -> str:
    """Return the line of a host block that says of which network a box was told, and what."""
    return f"# around={fingerprint} {mark}"


def last_told(layout: Layout, box: str) -> str:
    """Return what a box was last told of the network: nothing, where nobody knows."""
    line = _line(layout, box, "# around=")
    return line.split()[-1] if line else "none"


#: Which form host blocks have: a block of another is written anew when its box is entered.
_FORM = 4


def fingerprint(layout: Layout) -> str:
    """Return what is another whenever boxes may have to be told something else of the network.

    Or whenever their host blocks have to be written anew.
    """
    network = around.fingerprint(layout.root, layout.home, layout.config_file, os.environ)
    return f"{_FORM}.{network}"


#: How the line begins that says on what the variables of a box depend, and what it was given.
_VARIABLES = "# variables="


def variables(mark: str, names: Sequence[str], paths: Sequence[str]) -> str:
    """Return that line: of names in the environment, and of files, as they are now."""
    return "\t".join([f"{_VARIABLES}{_seen(names, paths)} {mark} {','.join(names)}", *paths])


def _seen(names: Sequence[str], paths: Sequence[str]) -> str:
    said = [os.environ.get(name) for name in names]
    return f"{zlib.crc32(repr((said, [around.seen(path) for path in paths])).encode()):08x}"


def _variables(block: str) -> tuple[str, str, Sequence[str], Sequence[str]]:
    line = next((line for line in block.split("\n") if line.startswith(_VARIABLES)), "")
    head, *paths = line.removeprefix(_VARIABLES).split("\t")
    seen, mark, names = (*head.split(" "), "", "", "")[:3]
    return seen, mark, [name for name in names.split(",") if name], paths


def has_variables(block: str) -> bool:
    """Whether the variables that a box was given are as they were then."""
    seen, _, names, paths = _variables(block)
    return seen == _seen(names, paths)


def last_variables(layout: Layout, box: str) -> str:
    """Return the mark of the variables that a box was given last: none, where nobody knows."""
    return _variables(_line(layout, box, _VARIABLES))[1] or "none"


def without_variables(block: str) -> str:
    """Return a host block without that line, which is made from their values."""
    return "".join(
        line for line in block.splitlines(keepends=True) if not line.startswith(_VARIABLES)
    )


def is_warm(layout: Layout, box: str, workspace: str, inode: str) -> bool:
    """Whether a live control connection leads to the box of exactly this directory.

    It is not where the box is to be told of another network than it knows, or other variables.
    """
    try:
        with open(layout.ssh_block(box), encoding="utf-8", opener=at_once) as file:
            block = file.read()
    except (OSError, ValueError):
        return False
    same = identity(workspace, inode) + "\n" in block
    if not (same and told(fingerprint(layout), "") in block):
        return False
    return has_variables(block) and is_live(layout, box)
