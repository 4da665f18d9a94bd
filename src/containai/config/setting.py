"""What a setting is: a row, and where a value is from."""

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Self, TypeVar, overload

if TYPE_CHECKING:
    from containai.config.settings import Settings

Value = TypeVar("Value")


class Origin(StrEnum):
    """What said a value; a later one wins over those before it."""

    DEFAULT = "default"
    #: The user's own file.
    FILE = "file"
    #: The file that is in a workspace.
    WORKSPACE = "workspace"
    #: The user's own file, in its table for that workspace.
    TABLE = "table"
    ENVIRONMENT = "environment"
    FLAG = "flag"


class Reach(StrEnum):
    """Who may say a setting for one workspace. The file in it is the agent's to write."""

    #: The file in it, whatever is in there: nothing of it reaches beyond the box.
    ALWAYS = "always"
    #: That file, once its user trusts it as it is.
    TRUSTED = "trusted"
    #: Only the user's own file, in its table for the workspace.
    USER = "user"
    #: Nobody: it is the whole machine's, or all workspaces'.
    MACHINE = "machine"


class Source(NamedTuple):
    """Where a value is from: what said it, the name of that (path, variable or flag), the line."""

    origin: Origin
    name: str = ""
    line: int = 0

    def __str__(self) -> str:
        if self.origin in (Origin.FILE, Origin.WORKSPACE, Origin.TABLE):
            return f"{self.name}:{self.line}" if self.line else self.name
        return f"the {self.origin}" + (f" ({self.name})" if self.name else "")


class Setting(Generic[Value]):
    """A row. An attribute of `Settings`: of the class the row itself, of an instance its value.

    `parse` takes what TOML or a word says, and raises ValueError with what it expected. `default`
    is a word too. `doc` is the reference's, its first sentence the help's; `commands` have `flag`.
    With `file_only` no variable says it, as tools set variables by files of a workspace.

    A `table` is of a free form: `parse` gets the whole dict or list that stands below the key, and
    "" as the default; no variable and no flag says it. `shown` makes of a value what `cai config`
    shows of it, and `joined` one of two, of which the second is from where more is known: without
    it the second takes the place of the first.

    `reach` says who may say it for one workspace; `harmless`, of what the file there says and what
    its user does, whether that file may say it without being trusted.
    """

    def __init__(
        self,
        key: str,
        parse: Callable[[object], Value],
        default: str,
        doc: str,
        *,
        flag: str = "",
        metavar: str = "",
        commands: tuple[str, ...] = (),
        file_only: bool = False,
        table: bool = False,
        shown: Callable[[Value], Any] | None = None,
        joined: Callable[[Value, Value], Value] | None = None,
        reach: Reach = Reach.USER,
        harmless: Callable[[Value, Value], bool] | None = None,
    ) -> None:
        self.key = key
        self.parse = parse
        self.default = default
        self.doc = doc
        self.flag = flag
        self.metavar = metavar
        self.commands = commands
        self.file_only = file_only or table
        self.table = table
        self.shown = shown
        self.joined = joined
        self.reach = reach
        self.harmless = harmless

    @overload
    def __get__(self, settings: None, owner: type["Settings"]) -> Self: ...
    @overload
    def __get__(self, settings: "Settings", owner: type["Settings"]) -> Value: ...
    def __get__(self, settings: "Settings | None", owner: type["Settings"]) -> Self | Value:
        return self if settings is None else settings.value(self)

    def __repr__(self) -> str:
        return f"<Setting {self.key}>"

    @property
    def variable(self) -> str:
        """The environment variable that overrides the file, or ""."""
        return "" if self.file_only else "CONTAINAI_" + self.key.upper().replace(".", "_")

    @property
    def help(self) -> str:
        """What it is for, in a line of a command's help."""
        first = self.doc.partition(". ")[0].removesuffix(".").replace("`", "")
        return first[0].lower() + first[1:]

    def checked(self, text: str) -> str:
        """Return a text that `parse` takes, as it is. Raises ValueError."""
        self.parse(text)
        return text

    def refused(self, given: object, users: Value, *, trusted: bool) -> str:
        """Return why the file of a workspace may not say something, or "" where it may.

        What is no value of this setting may be said, too: it is refused where it is taken.
        """
        if self.reach is Reach.ALWAYS or (self.reach is Reach.TRUSTED and trusted):
            return ""
        if self.reach is not Reach.TRUSTED:
            return "only your own config.toml says it"
        if self.harmless is not None:
            try:
                value = self.parse(given)
            except ValueError:
                return ""
            if self.harmless(value, users):
                return ""
        return "it is not trusted: cai trust"
