"""git on this machine, with a repository of ours that borrows the user's objects.

Its configuration is ours alone: no hook, filter, fsmonitor, external diff, alias, helper or remote
of the workspace's is ever known to it, and no transport is allowed. It lies in the user's state
directory, which no box has.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

from containai.errors import CopyError
from containai.host import files, gitconfig
from containai.host.gitconfig import Entry
from containai.host.proc import Done, ProcessError, Programs, failure
from containai.transfer.source import OID, Source

#: What is set whatever the user or the workspace says: nothing of it runs a program.
_FIXED = """\
[core]
	bare = false
	hooksPath = /dev/null
	fsmonitor = false
	untrackedCache = false
	splitIndex = false
	commitGraph = false
	multiPackIndex = false
	attributesFile = /dev/null
	alternateRefsCommand = :
	pager = cat
	protectHFS = true
	protectNTFS = true
	logAllRefUpdates = false
	preloadIndex = true
	bigFileThreshold = 16m
[gc]
	auto = 0
[maintenance]
	auto = false
[protocol]
	allow = never
[submodule]
	recurse = false
[diff]
	ignoreSubmodules = all
[pack]
	useBitmaps = false
	compression = 1
	threads = 2
[index]
	sparse = false
[advice]
	detachedHead = false
"""
#: Whose temporary commits are. Their time is always the same, so equal work has an equal name.
WHOSE = "ContainAI <cai@localhost>"
_WHEN = "@1 +0000"
#: No variables beside.
NOWHERE: Mapping[str, str] = {}
#: After how many packs they are made one.
_PACKS = 16


class Store:
    """Our repository for one box."""

    def __init__(self, programs: Programs, directory: str, source: Source) -> None:
        self.programs, self.directory, self.source = programs, directory, source
        self._env = programs.environment(
            GIT_DIR=directory,
            GIT_CONFIG_NOSYSTEM="1",
            GIT_CONFIG_GLOBAL=os.devnull,
            GIT_ATTR_NOSYSTEM="1",
            GIT_NO_REPLACE_OBJECTS="1",
            GIT_NO_LAZY_FETCH="1",
            GIT_TERMINAL_PROMPT="0",
            GIT_OPTIONAL_LOCKS="0",
            GIT_LITERAL_PATHSPECS="1",
            GIT_AUTHOR_NAME="ContainAI",
            GIT_AUTHOR_EMAIL="cai@localhost",
            GIT_AUTHOR_DATE=_WHEN,
            GIT_COMMITTER_NAME="ContainAI",
            GIT_COMMITTER_EMAIL="cai@localhost",
            GIT_COMMITTER_DATE=_WHEN,
            LC_ALL="C",
        )

    def env(self, **extra: str) -> dict[str, str]:
        """Return the environment that git is run with."""
        return self._env | extra

    def worktree(self, index: str) -> dict[str, str]:
        """Return what git needs beside to see the workspace, with an index of our choice."""
        return {"GIT_WORK_TREE": self.source.workspace, "GIT_INDEX_FILE": index}

    def run(
        self,
        *words: str,
        ok: Sequence[int] | None = (0,),
        stdin: str | bytes | None = None,
        stdin_file: IO[bytes] | None = None,
        stdout_file: IO[bytes] | None = None,
        at: Mapping[str, str] = NOWHERE,
    ) -> Done:
        """Run git to its end, with `at` in its environment.

        Raises CopyError for a failure that nobody foresaw.
        """
        try:
            return self.programs.run(
                ["git", *words],
                ok=ok,
                stdin=stdin,
                stdin_file=stdin_file,
                stdout_file=stdout_file,
                env=self.env(**at),
            )
        except ProcessError as wrong:
            raise told(wrong) from None

    def text(self, *words: str, stdin: str | None = None, at: Mapping[str, str] = NOWHERE) -> str:
        """Return the one line that git prints."""
        return self.run(*words, stdin=stdin, at=at).out.strip()

    def parts(
        self, *words: str, stdin: bytes | None = None, at: Mapping[str, str] = NOWHERE
    ) -> list[bytes]:
        """Return what git prints with a zero behind each (-z), as bytes."""
        with open(os.memfd_create("git"), "w+b") as file:
            self.run(*words, stdin=stdin, stdout_file=file, at=at)
            file.seek(0)
            return file.read().split(b"\0")[:-1]

    def known(self, oids: Sequence[str]) -> list[str]:
        """Return which of these are commits that are here."""
        asked = "".join(f"{oid}\n" for oid in dict.fromkeys(oids) if OID.fullmatch(oid))
        if not asked:
            return []
        answers = self.run("cat-file", "--batch-check", stdin=asked).out.splitlines()
        return [line.split()[0] for line in answers if line.split()[1] == "commit"]

    def is_whole(self, commit: str) -> bool:
        """Whether a commit is here with all its files: git gc may have taken what nobody needs."""
        if not self.known([commit]):
            return False
        words = ("rev-list", "--objects", "--no-walk", "--quiet", commit)
        return not self.run(*words, ok=None).code

    def tree(self, commit: str) -> str:
        """Return the tree of a commit, or that of nothing for ""."""
        if not commit:
            return self.text("hash-object", "-t", "tree", "-w", "--stdin", stdin="")
        return self.text("rev-parse", "--verify", "--end-of-options", f"{commit}^{{tree}}")

    def commit(
        self, tree: str, *parents: str, message: str = "", at: Mapping[str, str] = NOWHERE
    ) -> str:
        """Make a commit that no reference leads to."""
        above = [word for parent in parents if parent for word in ("-p", parent)]
        return self.run("commit-tree", tree, *above, stdin=message, at=at).out.strip()

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether a commit is in the history of another."""
        return not self.run("merge-base", "--is-ancestor", old, new, ok=(0, 1)).code

    def tidy(self) -> None:
        """Make many packs one, without what nothing leads to any more."""
        packs = os.path.join(self.directory, "objects/pack")
        if os.path.isdir(packs) and len(os.listdir(packs)) > 2 * _PACKS:
            self.run("repack", "-a", "-d", "-l", "-q")


def told(wrong: ProcessError) -> CopyError:
    """Return the error for a git that failed, or is not there."""
    if wrong.done.code == 127:
        hint = "install it: sudo apt-get install git"
        return CopyError("git is missing on this machine", hint=hint)
    said = [line for line in wrong.done.err.splitlines() if line.strip()][-3:]
    why = " ".join(said) or str(wrong)
    return CopyError(f"git: {why}", hint="look: git status; git fsck; then try again")


def ended(argv: Sequence[str], done: Done) -> None:
    """Raise CopyError for a git that ran beside us and failed."""
    if done.code:
        raise told(failure(argv, done))


@contextlib.contextmanager
def opened(programs: Programs, directory: str, source: Source, home: str) -> Iterator[Store]:
    """Have our repository of a box, made where there is none. Whoever calls holds its lock.

    What a killed process left in it is taken away.
    """
    objects = os.path.join(directory, "objects")
    for path in (os.path.join(objects, "pack"), os.path.join(objects, "info")):
        os.makedirs(path, 0o700, exist_ok=True)
    os.makedirs(os.path.join(directory, "refs"), 0o700, exist_ok=True)
    _clear(directory)
    files.write(os.path.join(directory, "HEAD"), "ref: refs/heads/none\n")
    files.write(os.path.join(directory, "config"), _config(source, home))
    files.write(os.path.join(objects, "info/alternates"), _quoted(source.objects) + "\n")
    if source.shallow:
        files.write(os.path.join(directory, "shallow"), source.shallow)
    else:
        files.remove(os.path.join(directory, "shallow"))
    _copied_info(source, directory)
    yield Store(programs, directory, source)


@contextlib.contextmanager
def references(store: Store) -> Iterator[Store]:
    """Have a repository of ours whose references and objects are the user's own.

    Links lead there, as in git's contrib/workdir/git-new-workdir.
    """
    source, home = store.source, os.path.dirname(store.directory)
    directory = tempfile.mkdtemp(prefix="refs-", dir=home)
    try:
        files.write(os.path.join(directory, "HEAD"), "ref: refs/heads/none\n")
        shutil.copyfile(os.path.join(store.directory, "config"), os.path.join(directory, "config"))
        for name in ("refs", "objects", "packed-refs", "logs", "shallow"):
            there = os.path.join(source.common, name)
            if os.path.islink(there):
                raise CopyError(f"{there!r} is a link", hint="git makes none: remove it")
            # packed-refs also where it is none yet: git would replace no link, but what it names.
            if os.path.exists(there):
                os.symlink(there, os.path.join(directory, name))
        yield Store(store.programs, directory, source)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _clear(directory: str) -> None:
    for parent, _, names in os.walk(directory):
        for name in names:
            if name.endswith(".lock") or name.startswith(("tmp_", "index-", ".tmp-")):
                os.unlink(os.path.join(parent, name))
    above = os.path.dirname(directory)
    for name in os.listdir(above):
        if name.startswith("refs-"):
            shutil.rmtree(os.path.join(above, name), ignore_errors=True)


def _config(source: Source, home: str) -> str:
    entries = [
        Entry("core", None, "repositoryformatversion", "1" if source.sha256 else "0"),
        *(Entry("core", None, name.partition(".")[2], value) for name, value in source.options),
    ]
    if source.sha256:
        entries.append(Entry("extensions", None, "objectFormat", "sha256"))
    excludes = _user_value(home, "core.excludesfile")
    if excludes:
        entries.append(Entry("core", None, "excludesFile", excludes))
    return _FIXED + gitconfig.written(entries)


def user_identity(home: str) -> tuple[str, str]:
    """Return the name and the address that the user's commits have, "" where there is none."""
    return gitconfig.identity(lambda path: _of_home(home, path))


def _user_value(home: str, name: str) -> str:
    """Return a value of the user's own configuration, which no box can write."""
    entries: list[Entry] = []
    for path in gitconfig.PATHS:
        with contextlib.suppress(ValueError):
            content = _of_home(home, path) or b""
            entries += gitconfig.included(content, path, lambda at: _of_home(home, at), [])
    return gitconfig.value(entries, name)


def _of_home(home: str, path: str) -> bytes | None:
    with contextlib.suppress(OSError), open(os.path.join(home, path), "rb") as file:
        return file.read(1 << 20)
    return None


def _copied_info(source: Source, directory: str) -> None:
    """Have what of `info` says which files are ignored, and which of them lie there at all."""
    os.makedirs(os.path.join(directory, "info"), 0o700, exist_ok=True)
    for top, name in (
        (source.common, "exclude"), (source.common, "attributes"),
        (source.directory, "sparse-checkout"),
    ):  # fmt: skip
        path = os.path.join(directory, "info", name)
        with contextlib.suppress(OSError):
            content = files.read_beneath(top, "info", name, limit=1 << 20)
            if content is None:
                files.remove(path)
            else:
                files.write(path, os.fsdecode(content))


def _quoted(path: str) -> str:
    """Return a path as it stands in `alternates`: quoted as C does it (gitrepository-layout(5))."""
    for each, written in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n")):
        path = path.replace(each, written)
    return f'"{path}"'
