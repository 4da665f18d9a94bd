"""The host key that a box is believed with: what the engine says that it has."""

from containai.boxes import archives, design, sshd
from containai.engine.client import Engine
from containai.host import files
from containai.ssh import hosts

#: What an archive with a key in it may have, in bytes; a box could make its key endless.
_KEY_LIMIT = 1 << 16
_KEY = f"/{design.HOST_KEY_IN_BOX}"
#: What sshd has is the private half; where root of the box locked that up, the other says it, too.
_PUBLIC = f"ssh-keygen -y -P '' -f {_KEY} 2>/dev/null </dev/null || cat {_KEY}.pub"
#: A key of a box is root's alone before it has anything in it.
_PUT = (
    f"umask 077; rm -rf {_KEY} {_KEY}.pub; cat >{_KEY} && "
    f"ssh-keygen -y -f {_KEY} >{_KEY}.pub && chmod 0644 {_KEY}.pub"
)


def host_key(engine: Engine, name: str, container: str) -> str | None:
    """Return the box's pinned host key; where it is lost, the box's own, through the engine.

    None where the box has none: then it is given one once somebody wants to enter it.
    """
    pinned = hosts.pinned_key(files.read(engine.layout.known_hosts) or "", name)
    if pinned is not None and is_key(pinned):
        return pinned
    return own_key(engine, container) or None


def own_key(engine: Engine, container: str) -> str:
    """Return the host key that a box has, through the engine; "" where it does not say."""
    if sshd.is_running(engine, container):
        # With some engines nothing can be copied out of one that runs.
        done = sshd.ask(engine, container, ("sh", "-c", _PUBLIC))
        said = done.out if done is not None else ""
    else:
        argv = engine.argv("cp", f"{container}:{_KEY}.pub", "-")
        archive = engine.host.run_limited(
            argv, stdin=b"", limit=_KEY_LIMIT, timeout=60, root=engine.needs_root
        ).out
        said = archives.first_file(archive.encode()).decode(errors="replace")
    key = " ".join(said.split()[:2])
    return key if is_key(key) else ""


def replaced(engine: Engine, name: str, container: str) -> bool:
    """Pin the key that a running box has, where that is another; return whether it was one."""
    own = own_key(engine, container)
    known = hosts.pinned_key(files.read(engine.layout.known_hosts) or "", name)
    if not own or own == known:
        return False
    hosts.pin(engine.layout, name, own)
    return True


def given_anew(engine: Engine, name: str, container: str) -> bool:
    """Have a running box that lost its host key have a new one, which is pinned; whether it has."""
    key = hosts.new_key(engine.host)
    done = sshd.ask(engine, container, ("sh", "-c", _PUT), key.private.encode())
    if done is None or done.code != 0:
        return False
    hosts.pin(engine.layout, name, key.public)
    return True


def is_key(key: str) -> bool:
    """Whether this is the public half of a key that a box can have, without a comment."""
    kind, _, rest = key.partition(" ")
    return (
        kind == "ssh-ed25519"
        and rest.isascii()
        and rest.replace("+", "").replace("/", "").rstrip("=").isalnum()
    )
