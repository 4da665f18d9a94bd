"""Every file of the host that cai reads and that steers it: whose it is, and what it has to be.

`provision/steps/files.py` looks at them. A test compares the table with what commands open.
"""

import glob
import os
import stat
from collections.abc import Callable, Iterator
from enum import Enum
from typing import NamedTuple

from containai import trust
from containai.away import record as away
from containai.config import file as settings_file
from containai.engine import cache, configuration, forward, runtimes
from containai.errors import ContainAIError
from containai.host import files
from containai.incus import known as places
from containai.layout import SPARE, Layout
from containai.provision import record, versions

#: A control socket's name is a checksum; what a connection forwards is beside it.
_CHECKSUM = "[0-9a-f]" * 16


#: What a damaged file of the user's is called once it is moved aside (mv(1) adds ".~1~" to more).
ASIDE = ".damaged"


class Whose(Enum):
    """Whose a file is, and what becomes of a damaged one."""

    #: Root's: nobody else may write it, and it is no link. It goes, and is written anew.
    MACHINE = "machine"
    #: The user's: it is moved aside.
    USER = "user"
    #: Another program's, which says what is wrong with it: cai does without what it would say.
    ANOTHERS = "another's"


class Known(NamedTuple):
    """Files of one kind: patterns (glob(7)) of their paths.

    `wrong` says what is wrong with a text, or "". `directory`: it is to be one.
    `private`: others may not even read it, so that only root can look.
    """

    what: str
    paths: Callable[[Layout], tuple[str, ...]]
    whose: Whose
    wrong: Callable[[str], str] | None = None
    directory: bool = False
    private: bool = False


class Damaged(NamedTuple):
    """A file that is not as it has to be, and why.

    `rights`: it is what it has to be, and who may do what with it is wrong; that can be changed.
    """

    path: str
    why: str
    whose: Whose
    rights: bool = False


def _by(parse: Callable[[str], object]) -> Callable[[str], str]:
    """Return what says why a text cannot be parsed."""

    def wrong(text: str) -> str:
        try:
            parse(text)
        except (ContainAIError, ValueError) as invalid:
            return str(invalid)
        return ""

    return wrong


def _toml(text: str) -> str:
    try:
        text.encode()
        settings_file.parsed("it", text)
    except UnicodeEncodeError:
        return "it is not valid UTF-8"
    except ContainAIError as invalid:
        return str(invalid)
    return ""


def _trust(text: str) -> str:
    return "" if trust.is_record(text) else "it says of no workspace what is trusted"


def _leads_nowhere(text: str) -> str:
    # Docker's client makes no context, and leads none elsewhere, over one that it cannot read.
    try:
        str(files.from_json(text)["Endpoints"]["docker"]["Host"])
    except (LookupError, TypeError):
        return "it leads nowhere"
    except ValueError as invalid:
        return str(invalid)
    return ""


def _units(layout: Layout) -> tuple[str, ...]:
    names = (layout.network_unit, layout.lxcfs_unit, layout.resolver_unit, forward.UNIT, cache.UNIT)
    return (layout.engine_unit_file, *map(layout.unit_file, names))


def _context(layout: Layout) -> tuple[str, ...]:
    from containai.provision.steps.user import context_file  # steps look at this table

    return (context_file(layout.home),)


def _at(*names: str) -> Callable[[Layout], tuple[str, ...]]:
    """Return what gives the attributes of a layout."""
    return lambda layout: tuple(str(getattr(layout, name)) for name in names)


def _in(name: str, *patterns: str) -> Callable[[Layout], tuple[str, ...]]:
    """Return what gives patterns below a directory of a layout."""

    def paths(layout: Layout) -> tuple[str, ...]:
        above = glob.escape(str(getattr(layout, name)))
        return tuple(os.path.join(above, pattern) for pattern in patterns)

    return paths


_MACHINE, _USER, _ANOTHERS = Whose

KNOWN = (
    # Directories first: what is in one that is none cannot be seen.
    Known("cai's own state", lambda layout: (os.path.dirname(layout.install_record),), _MACHINE,
          directory=True),
    Known("locks", _at("lock_dir"), _MACHINE, directory=True),
    Known("runtime", _at("runtime_dir"), _MACHINE, directory=True),
    Known("library of the runtime", _in("runtime_dir", "containai_runtime"), _MACHINE,
          directory=True),
    Known("engine configuration", _at("engine_config"), _MACHINE, configuration.wrong),
    Known("engine's copy of its configuration", _at("engine_running_config"), _MACHINE),
    Known("proxies of the engine", lambda layout: (configuration.proxies_file(layout),), _MACHINE,
          private=True),
    Known("open ports", _at("opened_ports"), _MACHINE),
    Known("forwarded proxies", lambda layout: (forward.path(layout),), _MACHINE),
    Known("cache of images", lambda layout: (cache.path(layout),), _MACHINE),
    Known("units", _units, _MACHINE),
    Known("programs of the engine", _at("engine_program", "network_program"), _MACHINE),
    Known("programs of the runtime",
          _at("runtime_program", "sysbox_wrapper", "published_program"), _MACHINE),
    Known("settings of the runtime", _in("runtime_dir", "runtime.json"), _MACHINE,
          _by(files.from_json)),
    Known("library of the runtime", _in("runtime_dir", "containai_runtime/*.py"), _MACHINE),
    Known("version", _at("version_file"), _MACHINE, versions.wrong),
    Known("choice of the runtime", _at("runtime_choice"), _MACHINE, _by(runtimes.parse_choice)),
    Known("record of packages", _at("install_record"), _MACHINE, _by(record.parse)),
    Known("limits of the kernel", _at("sysctl_file"), _MACHINE),
    Known("locks", _in("lock_dir", "*"), _MACHINE),
    Known("pid of the keeper of lxcfs", _at("lxcfs_pidfile"), _MACHINE),
    Known("lock of the keeper of lxcfs", _at("lxcfs_lock"), _MACHINE, private=True),
    Known("release of Sysbox", _in("sysbox_dir", "release"), _MACHINE),
    # The keeper writes them, and the runtime looks after the ranges: a damaged one is no range.
    Known("processes that were ended", _in("kills", "*"), _ANOTHERS),
    Known("mounts that were added", _in("attached", "*"), _ANOTHERS, private=True),
    Known("id ranges", _in("runtime_state", "*.json"), _ANOTHERS),
    Known("downloads", _in("downloads", "*"), _ANOTHERS),
    Known("subordinate ids", lambda layout: layout.subordinate_ids, _ANOTHERS),
    Known("pid of dockerd", _at("engine_pidfile"), _ANOTHERS),
    Known("pid of containerd", _in("engine_exec", "containerd/containerd.pid"), _ANOTHERS),
    # The user's.
    Known("configuration", _at("config_dir"), _USER, directory=True),
    Known("trust", _at("trusted"), _USER, directory=True),
    Known("host blocks", _at("ssh_blocks"), _USER, directory=True),
    Known("state", _at("state_dir"), _USER, directory=True),
    Known("boxes to keep", _in("state_dir", "keep"), _USER, directory=True),
    Known("settings", _at("config_file"), _USER, _toml),
    Known("trust", _in("trusted", "*.json"), _USER, _trust),
    Known("lock of settings", _in("config_dir", "config.lock"), _USER),
    Known("lock of trust", _in("trusted", "lock"), _USER),
    Known("what you were told", _at("kills_seen"), _USER),
    Known("key", lambda layout: (layout.ssh_key, layout.ssh_key + ".pub"), _USER),
    Known("pinned keys", _at("known_hosts"), _USER),
    Known("remote places", _at("remotes"), _USER, _by(lambda text: places.parsed(text, "it"))),
    Known("certificate for remote places", _at("remote_certificate", "remote_key"), _USER),
    Known("locks of remote places", _in("state_dir", "remote.lock", "remotes.lock"), _USER),
    Known("host blocks", _in("ssh_blocks", "*.conf"), _USER),
    Known("what host blocks include", _at("ssh_direct"), _USER),
    Known("boxes to keep", _in("state_dir", "keep/*"), _USER),
    Known("note of a renaming", _in("state_dir", "renaming"), _USER),
    Known("data volumes of spare boxes", _in("spares", "*"), _USER),
    Known("note on spare boxes", _in("state_dir", "spares.failed"), _USER),
    Known("locks of spare boxes", _in("state_dir", "spares.lock", "spares.making"), _USER),
    Known("host blocks of spare boxes", _in("ssh_blocks", f"{SPARE}*"), _USER),
    Known("boxes on remote places", _at("away"), _USER, _by(away.parsed)),
    Known("images on remote places", _at("away_images"), _USER, _by(files.from_json)),
    Known("locks of boxes on remote places", _in("state_dir", "away.lock", "away/*"), _USER),
    Known("version of ssh", _in("state_dir", "ssh-client"), _USER),
    Known("lock of ssh", _in("state_dir", "ssh.lock"), _USER),
    Known("links of git", _in("state_dir", "git/*"), _USER),
    Known("forwarded ports", _in("control_dir", _CHECKSUM + "f"), _USER),
    Known("Docker context", _context, _USER, _leads_nowhere),
    Known("ssh configuration", _at("ssh_config"), _ANOTHERS),
    Known("configuration of Docker's client", _in("home", ".docker/config.json"), _ANOTHERS),
    Known("configuration of git", _in("home", ".gitconfig", ".config/git/config"), _ANOTHERS),
)  # fmt: skip


def damaged(layout: Layout, *, user: bool) -> Iterator[Damaged]:
    """Yield what is not as it has to be; of the user's files only if told, and in an own home."""
    wanted = {Whose.MACHINE}
    if user and _owner(layout.home) in (layout.uid, 0):
        wanted.add(Whose.USER)
    for known in KNOWN:
        for path in present(layout, known) if known.whose in wanted else ():
            if why := _why(layout, known, path):
                yield Damaged(path, why, known.whose, _is_rights(layout, known, path))


def _owner(path: str) -> int:
    try:
        return os.stat(path).st_uid
    except OSError:
        return -1


def _is_rights(layout: Layout, known: Known, path: str) -> bool:
    """Whether all that is wrong are the rights to something: root's directory, the user's own."""
    try:
        seen = os.lstat(path)
    except OSError:
        return False
    if _kind(known, seen):
        return False
    if known.whose is Whose.MACHINE:
        return known.directory
    wanted = stat.S_IRUSR | (stat.S_IXUSR if known.directory else 0)
    return seen.st_uid == layout.uid and seen.st_mode & wanted != wanted


def present(layout: Layout, known: Known) -> list[str]:
    """Return the files of a kind that are there, links that lead nowhere included."""
    found = [
        path
        for pattern in known.paths(layout)
        for path in ([pattern] if os.path.lexists(pattern) else sorted(glob.glob(pattern)))
    ]
    return [path for path in dict.fromkeys(found) if f"{ASIDE}." not in f"{path}."]


def _why(layout: Layout, known: Known, path: str) -> str:
    try:
        # What is of the user's may be a link: dotfile managers make them.
        seen = os.lstat(path) if known.whose is Whose.MACHINE else os.stat(path)
        if why := _kind(known, seen) or _not_theirs(layout, known, seen):
            return why
        if known.directory:
            return "" if os.access(path, os.R_OK | os.X_OK) else "cannot be read"
        if known.private and not os.access(path, os.R_OK):
            return ""
        text = files.read(path) or ""
    except FileNotFoundError:
        return "is a link that leads nowhere" if os.path.islink(path) else ""
    except ContainAIError as wrong:
        return str(wrong).removeprefix(f"{path} ")
    except OSError as wrong:
        return f"cannot be read: {wrong.strerror}"
    why = known.wrong(text) if known.wrong is not None else ""
    return f"is damaged: {why}" if why else ""


def _not_theirs(layout: Layout, known: Known, seen: os.stat_result) -> str:
    if known.whose is Whose.MACHINE:
        return files.loose(seen, layout.owners)
    # Modes are the user's: on a drive of Windows, say, everybody may do everything.
    return "" if seen.st_uid in (layout.uid, 0) else f"belongs to user {seen.st_uid}"


def _kind(known: Known, seen: os.stat_result) -> str:
    if stat.S_ISLNK(seen.st_mode):
        return "is a link"
    if known.directory:
        return "" if stat.S_ISDIR(seen.st_mode) else "is no directory"
    return files.not_a_file(seen)
