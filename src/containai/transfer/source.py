"""The user's repository as its files say it is. git is not asked here, and reads no configuration.

An agent can have written all of `.git`: a box of this machine has the workspace mounted. git runs
what a configuration says (filters, fsmonitor, hooks, external programs), so what is needed of it is
read here, and what git is run with (git.py) has only that. No link is followed: one could lead to
another repository of the user's, whose history would go to the box.
"""

import os
import re
import stat
from typing import NamedTuple

from containai.errors import WorkspaceError
from containai.host import files, gitconfig, repository
from containai.host.repository import NotLinkedError

#: A commit's, tree's or file's name: SHA-1 or SHA-256.
OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
#: The longest of the small files that are read here, in bytes.
_LIMIT = 64 << 20
#: The most of `shallow`, in bytes: it goes on a command line (execve(2), MAX_ARG_STRLEN).
_SHALLOW = 60_000
#: What of a configuration says how files lie there, and can run nothing.
_TAKEN = (
    "core.filemode", "core.symlinks", "core.ignorecase", "core.precomposeunicode",
    "core.sparsecheckout", "core.sparsecheckoutcone", "core.trustctime", "core.checkstat",
)  # fmt: skip
_VALUE = re.compile(r"[A-Za-z0-9]*")


class Source(NamedTuple):
    """A workspace that is a git repository's work tree.

    `head` is a commit, "" where there is none yet; `branch` what it is on, without refs/heads/, ""
    where it is on none. `shallow` is the text of the file of that name.
    """

    workspace: str
    directory: str
    common: str
    head: str
    branch: str
    sha256: bool = False
    shallow: str = ""
    options: tuple[tuple[str, str], ...] = ()

    @property
    def objects(self) -> str:
        """Where its objects are."""
        return os.path.join(self.common, "objects")

    @property
    def staged(self) -> str:
        """The user's index."""
        return os.path.join(self.directory, "index")


def source(workspace: str, home: str) -> Source | None:
    """Return what a workspace is of git's, or None where it is no repository's work tree.

    `workspace` is a real path. Raises WorkspaceError for a repository that cannot be handled.
    """
    try:
        linked = repository.linked(workspace, home)
        directory = linked.directory if linked else os.path.join(workspace, ".git")
        common = linked.top if linked else directory
        if not os.path.lexists(directory):
            return None
        _look(directory, common)
        return _read(workspace, directory, common)
    except (NotLinkedError, OSError, ValueError) as wrong:
        raise WorkspaceError(
            f"the git repository of {workspace!r} cannot be used: {wrong}",
            hint="see: git fsck; it has to lie in the workspace, without links",
        ) from None


def _look(directory: str, common: str) -> None:
    """Raise ValueError for what leads elsewhere: links, and objects of other repositories."""
    for path in (directory, common):
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise ValueError(f"{path!r} is a link, or no directory")
    tops = [os.path.join(common, name) for name in ("objects", "refs")]
    for top in (*tops, os.path.join(common, "objects/pack"), os.path.join(common, "refs/remotes")):
        if os.path.lexists(top):
            _refuse_links(top)
    if os.path.lexists(alternates := os.path.join(common, "objects/info/alternates")):
        text = files.read_beneath(common, "objects", "info", "alternates", limit=_LIMIT)
        if text and text.strip():
            why = "it borrows objects of another repository; have its own: git repack -a -d, rm"
            raise ValueError(f"{why} {alternates!r}")


def _refuse_links(top: str) -> None:
    if stat.S_ISLNK(os.lstat(top).st_mode):
        raise ValueError(f"{top!r} is a link")
    with os.scandir(top) as entries:
        for entry in entries:
            if entry.is_symlink():
                raise ValueError(f"{entry.path!r} is a link")


def _read(workspace: str, directory: str, common: str) -> Source:
    config = _text(common, "config") or ""
    entries = gitconfig.parse(config)
    if os.path.lexists(os.path.join(directory, "config.worktree")):
        entries += gitconfig.parse(_text(directory, "config.worktree") or "")
    if gitconfig.value(entries, "extensions.refstorage") not in ("", "files"):
        raise ValueError(
            "its references are not kept as files: git refs migrate --ref-format=files"
        )
    if any(each.section == "remote" and each.key == "promisor" for each in entries):
        raise ValueError(
            "it is a partial clone; have all of it: git fetch --refetch --filter=tree:9999"
        )
    chosen = {name: gitconfig.value(entries, name) for name in _TAKEN}
    options = tuple((k, v) for k, v in chosen.items() if v and _VALUE.fullmatch(v))
    head, branch = _head(directory, common)
    sha256 = gitconfig.value(entries, "extensions.objectformat") == "sha256"
    shallow = _text(common, "shallow") or ""
    if not all(OID.fullmatch(line) for line in shallow.split()):
        raise ValueError("'shallow' is none of git's")
    if len(shallow) > _SHALLOW:
        raise ValueError("its history has too many ends; have all of it: git fetch --unshallow")
    return Source(workspace, directory, common, head, branch, sha256, shallow, options)


def _head(directory: str, common: str) -> tuple[str, str]:
    text = (_text(directory, "HEAD") or "").strip()
    if not text.startswith("ref:"):
        return _oid(text), ""
    name = text.removeprefix("ref:").strip()
    if not is_ref(name) or not name.startswith("refs/heads/"):
        raise ValueError(f"HEAD leads to {name!r}")
    return read_ref(common, name), name.removeprefix("refs/heads/")


def read_ref(common: str, name: str) -> str:
    """Return what a reference names, or "" where there is none. Raises ValueError, OSError."""
    try:
        text = _text(common, *name.split("/"))
    except IsADirectoryError:
        text = None
    except OSError:
        if not os.path.isdir(os.path.join(common, name)):
            raise
        text = None
    if text is not None:
        return _oid(text.strip())
    for line in (_text(common, "packed-refs") or "").splitlines():
        oid, _, packed = line.partition(" ")
        if packed == name:
            return _oid(oid)
    return ""


def is_ref(name: str) -> bool:
    """Whether this is a whole name of a reference (git-check-ref-format(1)) that can be shown."""
    odd = set(" ~^:?*[\\\x7f")
    return (
        len(name) < 1024
        and name.startswith("refs/")
        and name.isprintable()
        and not odd & set(name)
        and not any(words in name for words in ("..", "@{"))
        and all(
            part and not part.startswith((".", "-")) and not part.endswith((".lock", "."))
            for part in name.split("/")
        )
    )


def _oid(text: str) -> str:
    if not OID.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is no name of a commit")
    return text


def _text(directory: str, *names: str) -> str | None:
    content = files.read_beneath(directory, *names, limit=_LIMIT)
    return None if content is None else os.fsdecode(content)
