"""The box as a remote of the user's repository, so that a plain `git fetch` is as careful."""

import os

from containai.errors import CopyError
from containai.host import files, gitconfig
from containai.host.gitconfig import Entry
from containai.transfer.git import Store, references
from containai.transfer.reach import Reach
from containai.transfer.source import Source, is_ref

_LIMIT = 64 << 20
#: What names a remote, as `git remote rename` has it.
_FOLLOWING = {("branch", "remote"), ("branch", "pushremote"), ("remote", "pushdefault")}


def settings(reach: Reach) -> list[tuple[str, str, bool]]:
    """Return what git is told of the box: key, value, and whether a value of the user's stays.

    git has no `fsckObjects` and no `recurseSubmodules` for one remote alone (git-config(1)).
    """
    at = f"remote.{reach.remote}"
    return [
        (f"{at}.url", reach.url, False),
        (f"{at}.fetch", f"+refs/heads/*:{branches(reach)}*", False),
        (f"{at}.tagOpt", "--no-tags", False),
        (f"{at}.skipFetchAll", "true", False),
        ("fetch.fsckObjects", "true", True),
        ("fetch.recurseSubmodules", "false", True),
    ]


def branches(reach: Reach) -> str:
    """Return what references to the box's branches begin with."""
    return f"refs/remotes/{reach.remote}/heads/"


def work(reach: Reach) -> str:
    """Return the reference to all of the box's work."""
    return f"refs/remotes/{reach.remote}/work"


def head(reach: Reach) -> str:
    """Return the reference to the commit that the box is at."""
    return f"refs/remotes/{reach.remote}/head"


def remember(store: Store, reach: Reach) -> None:
    """Have the box as a remote, in the configuration of the user's repository.

    That file alone is read and written: what it says is not followed (git config --file).
    """
    path = _configuration(store.source)
    entries = gitconfig.parse(_read(store.source))
    for name, wanted, stays in settings(reach):
        section, _, key = name.rpartition(".")
        top, _, below = section.partition(".")
        found = [each.value for each in entries if _is(each, top, below, key)]
        if found != [wanted] and not (stays and found):
            store.run("config", "--file", path, "--replace-all", name, wanted)


def forget(store: Store, reach: Reach) -> None:
    """Have the box as a remote no more, and no reference to its work."""
    entries = gitconfig.parse(_read(store.source))
    if any(each.section == "remote" and each.subsection == reach.remote for each in entries):
        path = _configuration(store.source)
        store.run("config", "--file", path, "--remove-section", f"remote.{reach.remote}")
    point(store, reach, {})


def rename(store: Store, reach: Reach, new: Reach) -> None:
    """Have a remote, and what leads to its box's work, by the box's new name."""
    top, other = (f"refs/remotes/{each.remote}/" for each in (reach, new))
    with references(store) as users:
        listed = users.run("for-each-ref", "--format=%(refname) %(objectname)", top).out
    pairs = [line.split(" ") for line in listed.splitlines()]
    found = {name: oid for name, oid in pairs if is_ref(name)}
    # Without any, it was done before, and cut off behind that.
    if found:
        point(store, new, {other + name.removeprefix(top): oid for name, oid in found.items()})
    _follow(store, reach, new)
    forget(store, reach)
    remember(store, new)


def _follow(store: Store, reach: Reach, new: Reach) -> None:
    """Have branches that follow the remote of a box, or push to it, do so by its new name."""
    path = _configuration(store.source)
    # Other values of the key stay. No letter of a box's name means something else in a pattern.
    whole = f"^{reach.remote}$"
    for each in gitconfig.parse(_read(store.source)):
        name = (each.section, each.key)
        if each.value == reach.remote and name in _FOLLOWING:
            below = f".{each.subsection}" if each.subsection is not None else ""
            key = f"{each.section}{below}.{each.key}"
            store.run("config", "--file", path, "--replace-all", key, new.remote, whole)


def point(store: Store, reach: Reach, wanted: dict[str, str]) -> None:
    """Have these references to the box's work in the user's repository, and no others.

    Objects that they lead to are there. Nobody's hooks are run.
    """
    with references(store) as users:
        top = f"refs/remotes/{reach.remote}/"
        listed = users.run("for-each-ref", "--format=%(refname)", top).out.splitlines()
        gone = [name for name in listed if name not in wanted and is_ref(name)]
        for lines in (
            "".join(f"delete {name}\n" for name in gone),
            "".join(f"update {name} {oid}\n" for name, oid in wanted.items()),
        ):
            if lines:
                users.run("update-ref", "--no-deref", "--stdin", stdin=lines)


def move(store: Store, name: str, new: str, old: str) -> None:
    """Have a branch of the user's at another commit. Raises CopyError where it is elsewhere."""
    with references(store) as users:
        users.run("update-ref", "--no-deref", name, new, old or "0" * len(new))


def _is(entry: Entry, top: str, below: str, key: str) -> bool:
    return (entry.section, entry.subsection or "", entry.key) == (top, below, key.lower())


def _configuration(source: Source) -> str:
    path = os.path.join(source.common, "config")
    if os.path.islink(path):
        raise CopyError(f"{path!r} is a link", hint="git makes none: put a file there")
    return path


def _read(source: Source) -> str:
    content = files.read_beneath(source.common, "config", limit=_LIMIT)
    return os.fsdecode(content or b"")
