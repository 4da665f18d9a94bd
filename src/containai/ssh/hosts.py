"""What ssh needs to know about a box: a key, an Include, a host block, a pinned host key."""

import contextlib
import os
from typing import NamedTuple

from containai.errors import SshSetupError
from containai.host import files, proc
from containai.host.machine import Machine
from containai.layout import AGENT_USER, Layout
from containai.ssh import session

#: A control connection without sessions is kept this long.
CONTROL_PERSIST = "4h"


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
    port: int,
    workspace: str,
    inode: str,
    forward_agent: bool,
    told: str = "none",
) -> str:
    """Return a box's host block.

    ControlPath without ControlMaster: plain ssh shares cai's connection where there is one, and
    makes its own where there is none (as a master it would fail where the directory is missing).
    ProxyJump, so that what the user's configuration has for every host does not apply.
    The workspace and its inode let the warm path see whose box this is without asking Docker, and
    what the box was `told` of the network, if it is that still.
    """
    control = "none" if layout.control_dir_is_shared else _quoted(layout.control_socket(box))
    return f"""\
# Box {box}, written by cai. Changes are lost.
{session.identity(workspace, inode)}
{session.told(session.fingerprint(layout), told)}
Host {box}
    HostName 127.0.0.1
    ProxyJump none
    Port {port}
    User {AGENT_USER}
    HostKeyAlias {host_alias(box)}
    HostKeyAlgorithms ssh-ed25519
    StrictHostKeyChecking yes
    UserKnownHostsFile {_quoted(layout.known_hosts)}
    GlobalKnownHostsFile /dev/null
    IdentityFile {_quoted(layout.ssh_key)}
    IdentitiesOnly yes
    PreferredAuthentications publickey
    ControlPath {control}
    ForwardAgent {"yes" if forward_agent else "no"}
    ForwardX11 no
    LogLevel ERROR
"""


def _quoted(path: str) -> str:
    # ssh_config(5): percent signs start a token; double quotes hold spaces.
    return '"' + path.replace("%", "%%") + '"'


def with_include(config: str, blocks: str) -> str:
    """Return the ssh configuration with our Include as its first effective line.

    Include must come before the first Host or Match: ssh takes it as part of whatever block it
    stands in.
    """
    line = f'Include "{blocks}/*.conf"'
    kept = [other for other in config.splitlines(keepends=True) if other.strip() != line]
    if kept and "".join([line + "\n", *kept]) == config:
        return config
    return line + "\n" + "".join(kept)


def without_include(config: str, blocks: str) -> str:
    """Return the ssh configuration without our Include."""
    line = f'Include "{blocks}/*.conf"'
    return "".join(other for other in config.splitlines(keepends=True) if other.strip() != line)


def has_include(layout: Layout) -> bool:
    """Whether the user's ssh configuration begins with our Include."""
    config = files.read(layout.ssh_config) or ""
    return with_include(config, layout.ssh_blocks) == config


def withdraw(host: Machine) -> None:
    """Take our Include out of the user's configuration, and end every box's control connection.

    A configuration that has nothing else is removed: it was made for the Include.
    """
    layout = host.layout
    with files.lock(os.path.join(layout.state_dir, "ssh.lock"), wait=30, what="ssh set-up"):
        for box in published(layout):
            close(host, box)
        old = files.read(layout.ssh_config)
        new = without_include(old or "", layout.ssh_blocks)
        if old is not None and new != old:
            if new:
                files.write(layout.ssh_config, new, files.mode(layout.ssh_config, 0o600))
            else:
                files.remove(layout.ssh_config)


def published(layout: Layout) -> set[str]:
    """Return the names of the boxes that have a host block or a pinned key."""
    try:
        blocks = os.listdir(layout.ssh_blocks)
    except FileNotFoundError:
        blocks = []
    names = {name.removesuffix(".conf") for name in blocks if name.endswith(".conf")}
    prefix = host_alias("")
    for line in (files.read(layout.known_hosts) or "").splitlines():
        alias = line.split(" ", 1)[0]
        if alias.startswith(prefix):
            names.add(alias.removeprefix(prefix))
    return names


def with_host_key(known_hosts: str, box: str, public: str | None) -> str:
    """Return known_hosts with a box's key pinned, or with none for it where `public` is None."""
    alias = host_alias(box)
    lines = [line for line in known_hosts.splitlines() if line.split(" ", 1)[0] != alias]
    if public is not None:
        lines.append(f"{alias} {public}")
    return "".join(line + "\n" for line in lines)


def pinned_key(known_hosts: str, box: str) -> str | None:
    """Return the public key pinned for a box, or None."""
    for line in known_hosts.splitlines():
        alias, _, key = line.partition(" ")
        if alias == host_alias(box):
            return key
    return None


def new_key(host: Machine) -> KeyPair:
    """Make an ed25519 key pair. Raises ProcessError where ssh-keygen is missing."""
    with files.temporary_directory() as directory:
        path = os.path.join(directory, "key")
        host.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "containai", "-f", path])
        return KeyPair(
            files.read(path) or "", " ".join((files.read(path + ".pub") or "").split()[:2])
        )


def ensure_user(host: Machine) -> str:
    """Put this user's key, directories and Include in place; return the public key's line.

    Raises SshSetupError where something of that cannot be written.
    """
    layout = host.layout
    try:
        with files.lock(os.path.join(layout.state_dir, "ssh.lock"), wait=30, what="ssh set-up"):
            files.private_directory(layout.config_dir)
            # Dotfile managers make ~/.ssh a link.
            files.private_directory(os.path.realpath(os.path.dirname(layout.ssh_config)))
            files.private_directory(layout.ssh_blocks)
            _ensure_key(host)
            old = files.read(layout.ssh_config) or ""
            new = with_include(old, layout.ssh_blocks)
            if new != old:
                files.write(layout.ssh_config, new, files.mode(layout.ssh_config, 0o600))
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


def publish(layout: Layout, box: str, block: str, host_key: str) -> None:
    """Pin a box's host key, then write its host block."""
    _pin(layout, box, host_key)
    files.write(layout.ssh_block(box), block, 0o600)


def forget(host: Machine, box: str) -> None:
    """Close a box's control connection; remove its host block and its pinned key."""
    layout = host.layout
    close(host, box)
    files.remove(layout.ssh_block(box))
    if os.path.exists(layout.known_hosts):
        _pin(layout, box, None)


def _pin(layout: Layout, box: str, key: str | None) -> None:
    with files.lock(os.path.join(layout.state_dir, "ssh.lock"), wait=30, what="ssh set-up"):
        old = files.read(layout.known_hosts) or ""
        new = with_host_key(old, box, key)
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
    socket = host.layout.control_socket(box)
    if not (session.has_own_directory(host.layout) and os.path.exists(socket)):
        return False
    argv = ["ssh", "-F", "/dev/null", "-S", socket, "-O", request, box]
    with contextlib.suppress(proc.ProcessError):
        host.run(argv, ok=None, timeout=5)
    return True
