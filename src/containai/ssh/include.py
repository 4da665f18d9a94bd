"""The Include in the user's ssh configuration, by which plain ssh, scp and editors find boxes.

The file is the user's: all else in it stays as it was, byte for byte. Where it cannot be changed,
`cai` does without.
"""

import errno
import os
import stat
from collections.abc import Callable

from containai.host import files
from containai.layout import Layout

#: What stands for itself in a pattern of glob(7) without quotes, beside letters and digits.
_PLAIN = frozenset("/._-+@,:~")


def line(blocks: str) -> str:
    """Return the line that includes the host blocks of a directory."""
    return f"Include {pattern(blocks)}/*.conf"


def pattern(path: str) -> str:
    """Return what Include takes for a path.

    That is a pattern, from OpenSSH 9.9 on with tokens, and Go's reader knows no quotes there: a ?
    stands for what would be odd.
    """
    return "".join(c if c.isalnum() or c in _PLAIN else "?" for c in path)


def put(layout: Layout) -> str:
    """Have the Include in the user's configuration; return why it cannot be there, or "".

    ~/.ssh has to be there.
    """
    return _change(layout, lambda old: added(old, layout.ssh_blocks))


def take(layout: Layout) -> str:
    """Have no Include in it; return why it cannot go, or "".

    A configuration that has nothing else is removed: it was made for the Include.
    """
    return _change(layout, lambda old: removed(old, layout.ssh_blocks))


def is_put(layout: Layout) -> bool:
    """Whether the user's ssh configuration begins with our Include."""
    try:
        old = _read(layout.ssh_config)
    except OSError:
        return False
    return added(old, layout.ssh_blocks) == old


def is_ours(layout: Layout) -> bool:
    """Whether the user's ssh configuration has the line that we put there."""
    try:
        old = _read(layout.ssh_config)
    except OSError:
        return False
    return removed(old, layout.ssh_blocks) != old


def why_not(layout: Layout) -> str:
    """Return why the user's configuration could not be changed now, or ""."""
    path = os.path.realpath(layout.ssh_config)
    try:
        _read(path)
        _refuse_anothers(path)
    except OSError as wrong:
        return files.why_not(wrong)
    directory = os.path.dirname(path)
    if os.path.islink(layout.ssh_config) and not os.path.isdir(directory):
        return f"{directory} is not there"
    there = filter(os.path.lexists, (directory, path))
    # As root may write everything, this is about file systems, and attributes (chattr(1), +i).
    return "" if all(os.access(each, os.W_OK) for each in there) else "it cannot be written"


def lacking(layout: Layout, why: str) -> str:
    """Return what is to be said where the Include cannot be there."""
    return (
        f"{layout.ssh_config} stays as it is ({why}): cai works, but plain ssh, scp and editors do "
        f"not find boxes; have it begin with {line(layout.ssh_blocks)}"
    )


def added(config: bytes, blocks: str) -> bytes:
    """Return a configuration that includes the host blocks before it says anything else.

    Include must come before the first Host or Match: ssh takes it as part of whatever block it
    stands in; and the first value of an option counts. Ours further down goes.
    """
    begin, said, rest = _parted(config)
    if not _includes(said.strip(), blocks):
        return _ours(blocks) + b"\n" + removed(config, blocks)
    return begin + said + removed(rest, blocks)


def removed(config: bytes, blocks: str) -> bytes:
    """Return a configuration without our Include: without lines that say nothing else."""
    lines = config.splitlines(keepends=True)
    ours = (_ours(blocks), _earlier(blocks))
    return b"".join(each for each in lines if each.strip() not in ours)


def _ours(blocks: str) -> bytes:
    return os.fsencode(line(blocks))


def _earlier(blocks: str) -> bytes:
    """Return our line as it was at first."""
    return os.fsencode(f'Include "{blocks}/*.conf"')


def _parted(config: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the comments that a configuration begins with, the first line after, and the rest."""
    at = 0
    for each in config.splitlines(keepends=True):
        if each.strip() and not each.strip().startswith(b"#"):
            return config[:at], each, config[at + len(each) :]
        at += len(each)
    return config, b"", b""


def _includes(said: bytes, blocks: str) -> bool:
    """Whether a line includes the host blocks, however its author wrote that (ssh_config(5))."""
    keyword, *patterns = said.replace(b"=", b" ", 1).replace(b'"', b" ").split() or [b""]
    if keyword.lower() != b"include" or said == _earlier(blocks):
        return False
    directory, name = os.path.split(blocks)
    ways = (blocks, name, f"~/{os.path.basename(directory)}/{name}")
    whole = {os.fsencode(f"{way}/{end}") for way in ways for end in ("*.conf", "*")}
    return said == _ours(blocks) or not whole.isdisjoint(patterns)


def _change(layout: Layout, edit: Callable[[bytes], bytes]) -> str:
    try:
        old = _read(layout.ssh_config)
        new = edit(old)
        if new != old:
            _write(layout.ssh_config, new)
    except OSError as wrong:
        return files.why_not(wrong)
    return ""


def _read(path: str) -> bytes:
    """Return what is in the user's configuration. Raises OSError for what is no file."""
    try:
        # It can be anything, also something that waits for a writer.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "it is no file")
        return file.read()


def _write(path: str, content: bytes) -> None:
    target = os.path.realpath(path)
    _refuse_anothers(target)
    if content or os.path.islink(path):
        files.write_there(target, content, files.mode(target, 0o600))
    else:
        os.unlink(path)


def _refuse_anothers(path: str) -> None:
    """Raise OSError for somebody else's file: its owner might not be allowed to read a new one."""
    if os.path.exists(path) and os.stat(path).st_uid != os.getuid():
        raise OSError(errno.EPERM, "it belongs to somebody else")
