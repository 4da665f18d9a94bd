"""What ssh needs to know about a box: a key, an Include, a host block, a pinned host key."""

import contextlib
import os
from collections.abc import Callable
from typing import NamedTuple

from containai.errors import SshSetupError
from containai.host import files, proc
from containai.host.machine import Machine
from containai.layout import AGENT_USER, WORKSPACE_IN_BOX, Layout
from containai.ssh import forwarding, include, session

#: A control connection without sessions is kept this long.
CONTROL_PERSIST = "4h"
#: How often a box beyond this machine is asked for a word where there is none, in seconds.
ALIVE_INTERVAL = 15


class KeyPair(NamedTuple):
    """An OpenSSH key pair: the private file's text and the public line, without a comment."""

    private: str
    public: str


def host_alias(box: str) -> str:
    """Return the name a box's host key is pinned under."""
    return f"containai-{box}"


def host_block(
    layout: Layout,
    box: str,
    *,
    port: int = 0,
    proxy: str = "",
    place: str = "",
    workspace: str,
    inode: str,
    forward_agent: bool | tuple[str, ...],
    told: str = "none",
    start: str = WORKSPACE_IN_BOX,
    variables: str = "",
    version: tuple[int, int] = (0, 0),
) -> str:
    """Return a box's host block.

    It says whatever decides whether a connection works, so that nothing which the user's
    configuration has for every host does: the first value of an option counts. What each line is
    there for is in docs/how-to/ssh.md. `version` is that of this machine's ssh. The way there is a
    published `port`, or where the box is on a remote `place` the command `proxy`.
    The workspace and its inode let the warm path see whose box this is without asking Docker, and
    what the box was `told` of the network, if it is that still; `start` is where sessions do;
    `variables` the line on those that it was given.
    """
    return f"""\
# Box {box}, written by cai. Changes are lost.
{session.identity(workspace, inode)}
{session.told(session.fingerprint(layout), told)}{session.starting(start)}{session.placed(place)}
{variables or session.variables("none", (), ())}
Host {box}
    IgnoreUnknown *
{_led(box, proxy) if proxy else _PUBLISHED.format(port=port)}\
    User {AGENT_USER}
    ProxyUseFdpass no
    Include {include.pattern(layout.ssh_direct)}
    CanonicalizeHostname no
    ConnectTimeout 60
    ConnectionAttempts 1
    HostKeyAlias {host_alias(box)}
    HostKeyAlgorithms ssh-ed25519
    StrictHostKeyChecking yes
    UserKnownHostsFile {_quoted(layout.known_hosts)}
    GlobalKnownHostsFile /dev/null
    IdentityFile {_quoted(layout.ssh_key)}
    ForwardAgent {_agent(layout, box, forward_agent=forward_agent)}
{_SAME}{"".join(lines for since, lines in _SINCE if version >= since)}"""


#: The way to a box of this machine.
_PUBLISHED = """\
    HostName 127.0.0.1
    Port {port}
    AddressFamily inet
    BindAddress 127.0.0.1
    BindInterface lo
    ProxyCommand none
    ServerAliveInterval 0
"""


def _led(box: str, proxy: str) -> str:
    """Return the way to a box that a command leads to: ssh asks for no address.

    What is in between forgets connections that are silent, and a machine that is gone says nothing.
    """
    return f"""\
    HostName {box}
    ProxyCommand {proxy}
    ServerAliveInterval {ALIVE_INTERVAL}
"""


#: What all boxes have. A + leaves ssh's own algorithms as they are, whatever is asked for later.
_SAME = """\
    CheckHostIP no
    NoHostAuthenticationForLocalhost no
    RevokedHostKeys none
    VerifyHostKeyDNS no
    UpdateHostKeys no
    IdentitiesOnly yes
    IdentityAgent SSH_AUTH_SOCK
    AddKeysToAgent no
    PKCS11Provider none
    PreferredAuthentications publickey
    PubkeyAuthentication yes
    PubkeyAcceptedKeyTypes +ssh-ed25519
    Ciphers +aes128-ctr
    MACs +hmac-sha2-256
    KexAlgorithms +curve25519-sha256
    RekeyLimit default 1d
    Compression no
    ControlMaster no
    ControlPath none
    ControlPersist no
    RemoteCommand none
    RequestTTY auto
    PermitLocalCommand no
    ClearAllForwardings no
    ExitOnForwardFailure no
    GatewayPorts no
    ForwardX11 no
    Tunnel no
    ServerAliveCountMax 3
    TCPKeepAlive yes
    LogLevel ERROR
"""

#: What ssh knows from a version on. Of an older one, it would be an error with every host.
_SINCE = (
    (
        (8, 7),
        """\
    SessionType default
    StdinNull no
    ForkAfterAuthentication no
    KnownHostsCommand none
    PermitRemoteOpen any
    LogVerbose none
""",
    ),
    ((10, 0), "    ChannelTimeout none\n"),
)

#: What only readers get that heed an Include: to others, paramiko, it is a host of that name. To
#: OpenSSH, ProxyCommand before has decided it.
DIRECT = "# Read by host blocks, written by cai.\nProxyJump none\n"


def _agent(layout: Layout, box: str, *, forward_agent: bool | tuple[str, ...]) -> str:
    """Return whose agent a box reaches: the user's, its own for some hosts, or none."""
    if isinstance(forward_agent, tuple):
        return _quoted(layout.agent_socket(box))
    return "yes" if forward_agent else "no"


def _quoted(path: str) -> str:
    # ssh_config(5): percent signs start a token; double quotes hold spaces. Not every reader knows
    # them.
    whole = path.replace("%", "%%")
    return whole if not set(whole).intersection(" \t#'\\") else f'"{whole}"'


def withdraw(host: Machine) -> None:
    """Take our Include out of the user's configuration, and end every box's control connection.

    Where it cannot be changed, it stays: it includes nothing then.
    """
    layout = host.layout
    with files.lock(os.path.join(layout.state_dir, "ssh.lock"), wait=30, what="ssh set-up"):
        for box in published(layout):
            close(host, box)
        include.take(layout)


def published(layout: Layout) -> set[str]:
    """Return the names of the boxes that have a host block or a pinned key."""
    try:
        blocks = os.listdir(layout.ssh_blocks)
    except (FileNotFoundError, NotADirectoryError):
        blocks = []
    names = {name.removesuffix(".conf") for name in blocks if name.endswith(".conf")}
    names = {name for name in names if _is_ours(layout, name)}
    prefix = host_alias("")
    for line in (files.read_if_whole(layout.known_hosts) or "").splitlines():
        alias = _alias(line)
        if alias.startswith(prefix):
            names.add(alias.removeprefix(prefix))
    return names


def _is_ours(layout: Layout, box: str) -> bool:
    """Whether a file among the host blocks is one; somebody may have put others there."""
    first = (files.read_if_whole(layout.ssh_block(box)) or "").partition("\n")[0]
    return not first or first.endswith(", written by cai. Changes are lost.")


def with_host_key(known_hosts: str, box: str, public: str | None, port: int = 0) -> str:
    """Return known_hosts with a box's key pinned, or with none for it where `public` is None.

    Under its alias; and under its address, for readers that do not know HostKeyAlias. Whichever
    box had that port before has it no more.
    """
    alias, address = host_alias(box), f",[127.0.0.1]:{port} "
    lines = known_hosts.splitlines()
    lines = [line.replace(address, " ", 1) for line in lines if _alias(line) != alias]
    if public is not None:
        lines.append(f"{alias}{address if port else ' '}{public}")
    return "".join(line + "\n" for line in lines)


def pinned_key(known_hosts: str, box: str) -> str | None:
    """Return the public key pinned for a box, or None."""
    for line in known_hosts.splitlines():
        if _alias(line) == host_alias(box):
            return line.partition(" ")[2]
    return None


def _alias(line: str) -> str:
    """Return the first name of a line of known_hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""
    return line.partition(" ")[0].partition(",")[0]


def new_key(host: Machine) -> KeyPair:
    """Make an ed25519 key pair. Raises ProcessError where ssh-keygen is missing."""
    with files.temporary_directory() as directory:
        path = os.path.join(directory, "key")
        host.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "containai", "-f", path])
        return KeyPair(
            files.read(path) or "", " ".join((files.read(path + ".pub") or "").split()[:2])
        )


def ensure_user(host: Machine, say: Callable[[str], object] = str) -> str:
    """Put this user's key, directories and Include in place; return the public key's line.

    What is said is that the Include cannot be there, and what that means. Raises SshSetupError
    where something else cannot be written.
    """
    layout = host.layout
    try:
        with files.lock(os.path.join(layout.state_dir, "ssh.lock"), wait=30, what="ssh set-up"):
            files.private_directory(layout.config_dir)
            # Dotfile managers make ~/.ssh a link.
            files.private_directory(os.path.realpath(os.path.dirname(layout.ssh_config)))
            files.private_directory(layout.ssh_blocks)
            _ensure_key(host)
            if files.read(layout.ssh_direct) != DIRECT:
                files.write(layout.ssh_direct, DIRECT, 0o600)
            if why := include.put(layout):
                say(include.lacking(layout, why))
            return (files.read(layout.ssh_key + ".pub") or "").strip()
    except OSError as wrong:
        raise SshSetupError(
            f"{wrong.filename}: {wrong.strerror}",
            hint=f"it has to be yours to write: ls -ld {wrong.filename}",
        ) from None


def _ensure_key(host: Machine) -> None:
    layout = host.layout
    private, public = layout.ssh_key, layout.ssh_key + ".pub"
    if not os.path.exists(private):
        pair = new_key(host)
        files.write(private, pair.private, 0o600)
        files.write(public, pair.public + " containai\n")
    elif not os.path.exists(public):
        files.write(public, host.run(["ssh-keygen", "-y", "-P", "", "-f", private]).out)


def publish(layout: Layout, box: str, block: str, host_key: str | None) -> None:
    """Pin a box's host key, then write its host block."""
    pin(layout, box, host_key, block)
    files.write(layout.ssh_block(box), block, 0o600)


def adopt(layout: Layout, spare: str, box: str, block: str) -> None:
    """Have a box's host block, and all that ssh has of the spare that it was: also a connection."""
    with files.lock(os.path.join(layout.state_dir, "ssh.lock"), wait=30, what="ssh set-up"):
        old = files.read(layout.known_hosts) or ""
        key = pinned_key(old, spare)
        new = with_host_key(with_host_key(old, spare, None), box, key, port_of(block))
        files.write(layout.known_hosts, new, 0o600)
        files.write(layout.ssh_block(box), block, 0o600)
    with contextlib.suppress(FileNotFoundError):
        os.rename(layout.control_socket(spare), layout.control_socket(box))
    files.remove(layout.ssh_block(spare))


def forget(host: Machine, box: str) -> None:
    """Close a box's control connection; remove its host block and its pinned key."""
    layout = host.layout
    close(host, box)
    files.remove(layout.ssh_block(box))
    if os.path.exists(layout.known_hosts):
        pin(layout, box, None)


def port_of(block: str) -> int:
    """Return the port that a host block leads to, or 0."""
    words = (line.split() for line in block.splitlines())
    found = (each[1] for each in words if len(each) == 2 and each[0] == "Port")
    port = next(found, "")
    return int(port) if port.isdecimal() else 0


def pin(layout: Layout, box: str, key: str | None, block: str | None = None) -> None:
    """Pin a box's host key, or none for it. `block` is its host block, if that is another now."""
    port = port_of((files.read(layout.ssh_block(box)) if block is None else block) or "")
    with files.lock(os.path.join(layout.state_dir, "ssh.lock"), wait=30, what="ssh set-up"):
        old = files.read(layout.known_hosts) or ""
        new = with_host_key(old, box, key, port)
        if new != old:
            files.write(layout.known_hosts, new, 0o600)


def retire(host: Machine, box: str) -> None:
    """Have a box's control connection take no more sessions: it ends with those in it."""
    _ask_master(host, box, "stop")


def close(host: Machine, box: str) -> None:
    """End a box's control connection, if there is one, and with it the sessions in it."""
    if _ask_master(host, box, "exit"):
        files.remove(host.layout.control_socket(box))


def _ask_master(host: Machine, box: str, request: str) -> bool:
    """Ask a box's control connection for something (ssh(1), -O); return whether there was one."""
    layout = host.layout
    forwarding.withdraw(host, box)
    if not (session.has_own_directory(layout) and os.path.exists(layout.control_socket(box))):
        return False
    argv = ["ssh", "-F", "/dev/null", *session.control_path(layout, box), "-O", request, box]
    with contextlib.suppress(proc.ProcessError):
        host.run(argv, ok=None, timeout=5)
    return True
