"""Looks through a home, or what is like one, and packs what is to be brought into a box.

The same code decides for a dry run and for the import: only where the archive goes differs.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, NamedTuple, Protocol

from containai.agents import AGENTS
from containai.errors import CopyError
from containai.host.homes import File, Left
from containai.host.tar import BLOCK, END, Entry, Kind, Piece, header
from containai.kept import Kind as Shape
from containai.sync import filters, git, manifest
from containai.sync.choice import Choice
from containai.sync.filters import Asked, Filtered, Treatment
from containai.sync.manifest import Row

#: The largest file, all files together, and how many they may be.
LARGEST, ALL, COUNT = 32 << 20, 128 << 20, 20_000

_TREAT: dict[Treatment, Callable[[bytes, str, Asked], Filtered]] = {
    Treatment.SETTINGS: filters.settings,
    Treatment.CLAUDE: filters.claude,
    Treatment.ROTATING: filters.rotating,
    Treatment.GIT: git.filtered,
}
_AGENTS = frozenset(agent.name for agent in AGENTS)


class Home(Protocol):
    """What files come from."""

    #: Its path, which files may name; "" where nobody knows.
    home: str

    def files(self, path: str, passed: Callable[[str], str]) -> Iterator[File | Left]:
        """Return the file at a path, or all below that directory, but for what is passed over."""
        ...

    def read(self, path: str, limit: int) -> bytes | None:
        """Return what is in a file, or None where it is none that is read."""
        ...


class Item(NamedTuple):
    """A file that is brought: its path is below the home, there and here."""

    path: str
    whose: str
    #: The manifest's row that it is of.
    row: str
    size: int
    login: bool
    #: What of it is not brought, and why.
    left_out: tuple[str, ...]
    #: What in it runs programs.
    programs: tuple[str, ...]


class Gathered(NamedTuple):
    """What is brought, and what is not."""

    items: Sequence[Item]
    left: Sequence[Left]

    @property
    def size(self) -> int:
        """What all of it has, in bytes."""
        return sum(item.size for item in self.items)


def gather(
    home: Home, choice: Choice, out: IO[bytes], rows: Iterable[Row] | None = None
) -> Gathered:
    """Write what is to be brought of a home to a tar archive, and return what that is.

    Raises CopyError where it is more than anybody has of settings.
    """
    packer = _Packer(home, choice, out)
    for row in manifest.rows() if rows is None else rows:
        packer.add(row)
    out.write(END)
    out.flush()
    return Gathered(packer.items, packer.left)


class _Packer:
    """Packs row after row."""

    def __init__(self, home: Home, choice: Choice, out: IO[bytes]) -> None:
        self._home = home
        self._choice = choice
        self._out = out
        self._size = 0
        self._seen: set[str] = set()
        self.items: list[Item] = []
        self.left: list[Left] = []
        self._asked = Asked(choice.secrets, choice.rotating, home.home, self._read)

    def _read(self, path: str) -> bytes | None:
        return self._home.read(path, LARGEST)

    def add(self, row: Row) -> None:
        """Pack what a row is of."""
        for found in self._home.files(row.path, self._passed):
            if found.path in self._seen:
                continue
            self._seen.add(found.path)
            if isinstance(found, Left):
                # What is made again is as nothing; that it was passed over is of no interest.
                self.left += [found] if found.why != _AGAIN else []
                continue
            why = self._refused(row, found)
            if why:
                self.left.append(Left(found.path, why))
                continue
            try:
                self._pack(row, found)
            except OSError as wrong:
                why = f"it cannot be read: {wrong.strerror or wrong}"
                self.left.append(Left(found.path, why))

    def _passed(self, path: str) -> str:
        name = path.rpartition("/")[2]
        if name in manifest.PASSED_OVER or name.endswith((".swp", ".swo", ".sock", ".pyc")):
            return _AGAIN
        if path in manifest.PASSED_OVER_BELOW:
            return manifest.PASSED_OVER_BELOW[path]
        return self._choice.refused(path) if self._choice.exclude else ""

    def _refused(self, row: Row, found: File) -> str:
        if why := self._choice.refused(found.path):
            return why
        if row.stays:
            return row.stays
        if (row.path != found.path) != (row.kind is Shape.DIRECTORY):
            return f"no {row.kind}"
        if row.login and not self._choice.secrets:
            return "a login"
        if found.size > LARGEST:
            return f"larger than {LARGEST >> 20} MiB"
        return ""

    def _pack(self, row: Row, found: File) -> None:
        content = found.read()
        done = self._filtered(row, found.path, content)
        if done.content is None:
            self.left.append(Left(found.path, _why(row, done)))
            return
        self._size += len(done.content)
        if self._size > ALL or len(self.items) >= COUNT:
            raise CopyError(
                f"these settings are more than {ALL >> 20} MiB, or {COUNT} files",
                hint=f"leave some out: cai import --exclude '{row.path}'; see --dry-run",
            )
        size = len(done.content)
        entry = Entry(
            found.path.encode("utf-8", "surrogateescape"),
            Kind.FILE,
            0o700 if found.executable else 0o600,
            max(0, found.changed) * 10**9,
            size,
            pieces=[Piece(0, size)] if size else [],
        )
        self._out.write(header(entry) + done.content + bytes(-size % BLOCK))
        self.items.append(
            Item(found.path, row.whose, row.path, size, row.login, done.left_out, done.programs)
        )

    def _filtered(self, row: Row, path: str, content: bytes) -> Filtered:
        treat = _TREAT.get(row.treatment)
        if treat is not None:
            return treat(content, path, self._asked)
        is_settings = row.whose in _AGENTS and path.endswith((".json", ".toml", ".md"))
        if is_settings and row.kind is Shape.DIRECTORY:
            # Plugins and the like name each other's places.
            return Filtered(filters.rehomed(content, self._home.home))
        return Filtered(content)


def _why(row: Row, done: Filtered) -> str:
    """Return why nothing of a file is brought."""
    instead = [f"instead: {row.instead}"] if row.instead else []
    return "; ".join([*(done.left_out or ("nothing of it is brought",)), *instead])


#: Why something that is made again is passed over.
_AGAIN = "it is made again"
