"""The settings: one row each feeds the file, the environment, command lines and the reference."""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, Generic, NamedTuple, Self, TypeVar, overload

from containai.config import file, references, values
from containai.errors import UsageError

Value = TypeVar("Value")


class Origin(StrEnum):
    """What said a value; a later one wins over those before it."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    FLAG = "flag"


class Source(NamedTuple):
    """Where a value is from: what said it, the name of that (path, variable or flag), the line."""

    origin: Origin
    name: str = ""
    line: int = 0

    def __str__(self) -> str:
        if self.origin is Origin.FILE:
            return f"{self.name}:{self.line}" if self.line else self.name
        return f"the {self.origin}" + (f" ({self.name})" if self.name else "")


class Setting(Generic[Value]):
    """A row. An attribute of `Settings`: of the class the row itself, of an instance its value.

    `parse` takes what TOML or a word says, and raises ValueError with what it expected. `default`
    is a word too. `doc` is the reference's, its first sentence the help's; `commands` have `flag`.
    With `file_only` no variable says it, as tools set variables by files of a workspace.
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
    ) -> None:
        self.key = key
        self.parse = parse
        self.default = default
        self.doc = doc
        self.flag = flag
        self.metavar = metavar
        self.commands = commands
        self.file_only = file_only

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


class Settings:
    """The value of every setting, and where it is from. Nothing of it changes."""

    agent_default = Setting(
        "agent.default",
        values.word,
        "claude",
        "The agent that `cai run` starts without a COMMAND. [Those it knows](agents.md).",
        flag="--agent",
        metavar="NAME",
        commands=("run",),
    )
    agent_logins = Setting(
        "agent.logins",
        values.flag,
        "true",
        "Whether an agent that `cai run` starts is given the variables of your environment that "
        "carry a login to its own service, for example `ANTHROPIC_API_KEY` for `claude`. They are "
        "named when that happens; [which they are](agents.md).",
        file_only=True,
    )
    agent_unattended = Setting(
        "agent.unattended",
        values.flag,
        "false",
        "Whether an agent that `cai run` starts does all it wants to without asking: the box is "
        "its sandbox. It is told when that happens; [with which arguments](agents.md).",
    )
    box_memory = Setting(
        "box.memory",
        values.memory,
        "none",
        "Memory of the box: `512m`, `4g` or `none`; at least `256m`. Swap is not added to it. "
        "The setting is for new boxes.",
        flag="--memory",
        metavar="SIZE",
        commands=("run", "shell"),
    )
    box_cpus = Setting(
        "box.cpus",
        values.processors,
        "none",
        "Processors of the box: `2`, `1.5` or `none`. The setting is for new boxes.",
        flag="--cpus",
        metavar="NUMBER",
        commands=("run", "shell"),
    )
    engine_runtime = Setting(
        "engine.runtime",
        values.runtime,
        "auto",
        "What starts boxes: `sysbox`, `embedded` (cai-runc), or `auto`: Sysbox where it can be had "
        "and passes a live probe, else `embedded`. `cai doctor` says what was chosen and why.",
        flag="--runtime",
        metavar="|".join(values.RUNTIMES),
        commands=("setup",),
    )
    engine_provider = Setting(
        "engine.provider",
        values.provider,
        "auto",
        "Where Docker's programs come from if they are missing: `docker-ce` (Docker's archive), "
        "`distro` (Debian's or Ubuntu's), or `auto`, the first of them that can be reached.",
    )
    host_path = Setting(
        "host.path",
        values.directories,
        "none",
        "Directories of programs that the system's own directories do not have, as a list: "
        '`["/opt/homebrew/bin"]`. For what root runs, only root may be able to write them and all '
        "above them.",
        file_only=True,
    )
    image_name = Setting(
        "image.name",
        values.word,
        "full",
        "The image of new boxes: `base`, `sdks` (with tool chains), `full` (with the agents), or a "
        "reference of one that is made from such a layer, like `registry.example.com/team/box:1`, "
        "which is pulled.",
    )
    image_source = Setting(
        "image.source",
        values.source,
        "auto",
        "Where what is in images comes from: `upstream` is `image.root` of a registry, and the "
        "makers of each tool; `distro` is Debian's archive, PyPI and npm only, for what of it they "
        "have; `auto` is `upstream` where the registry answers, else `distro`.",
        flag="--source",
        metavar="|".join(values.SOURCES),
        commands=("image build",),
    )
    image_root = Setting(
        "image.root",
        values.word,
        "docker.io/library/ubuntu:24.04",
        "Where the root file system of image `base` is pulled from if a registry answers: any "
        "Debian from 12 or Ubuntu from 24.04; else Debian 13 is bootstrapped from its archive. "
        "Another one is another image, which `cai run` or `cai setup` builds.",
    )
    image_without = Setting(
        "image.without",
        values.steps,
        "",
        "What image `sdks` is made without, for example `dotnet rust`: `build`, `dotnet`, `go`, "
        "`node`, `python` or `rust`.",
    )
    image_versions = Setting(
        "image.versions",
        values.versions,
        "",
        "Versions in place of those that image `sdks` is made with, and their checksums, by the "
        "names of `images/versions.env`: `GO=1.26.7 GO_SHA256_amd64=…`.",
    )
    image_registry = Setting(
        "image.registry",
        references.repository,
        "ghcr.io/containai",
        "Where `cai image pull` gets the layers: a registry, and a path there.",
        file_only=True,
    )
    image_cache = Setting(
        "image.cache",
        values.cached,
        "",
        "Whether images that the Docker of new boxes pulls from Docker Hub are kept for the next "
        "box: `true`, `none`, or the URL of a registry in its place. `cai setup` starts [the "
        "cache](../explanation/docker-in-a-box.md#a-cache-of-images); not said, it stays as it is.",
        file_only=True,
    )
    image_workspace = Setting(
        "image.workspace",
        values.flag,
        "true",
        "Whether a new box of a workspace that has a `.containai/Dockerfile` starts from what that "
        "makes, once you [trust it](../explanation/images.md#an-image-of-a-workspaces-own).",
    )
    network_certificates = Setting(
        "network.certificates",
        values.flag,
        "true",
        "Whether the certificates that were added to this machine's trusted ones, and those that "
        "variables like `NODE_EXTRA_CA_CERTS` name, are trusted in boxes and while an image is "
        "built.",
    )
    network_host_ports = Setting(
        "network.host_ports",
        values.host_ports,
        "",
        "Ports of the host that boxes may use, for example `5432 53/udp`; `none` closes all. It is "
        "the machine's: `cai setup` or `cai doctor --fix` writes it to "
        "`/etc/containai/host-ports`; without it what is open stays so. In a box the host is "
        "`host.docker.internal`.",
    )
    network_proxies = Setting(
        "network.proxies",
        values.flag,
        "true",
        "Whether boxes, image builds and the engine use the proxies of this machine: those of your "
        "environment (`https_proxy`, ...), else of Docker; and apt's.",
    )
    ssh_port_range = Setting(
        "ssh.port_range",
        values.port_range,
        "2300-2500",
        "Host ports given to boxes, on 127.0.0.1.",
    )
    ssh_forward_agent = Setting(
        "ssh.forward_agent",
        values.flag,
        "false",
        "Whether your ssh agent is reachable in new boxes.",
    )

    def __init__(self) -> None:
        default = Source(Origin.DEFAULT)
        self._values: dict[str, tuple[Any, Source, object]] = {
            row.key: (row.parse(row.default), default, row.default) for row in self.rows()
        }
        self._file = ""

    @classmethod
    def rows(cls) -> "tuple[Setting[Any], ...]":
        """Return all rows, in order."""
        return tuple(row for row in vars(cls).values() if isinstance(row, Setting))

    @classmethod
    def load(cls, path: str, environ: Mapping[str, str]) -> "Settings":
        """Return every setting: from the environment, else the file at `path`, else its default.

        Raises ContainAIError for a file that cannot be read, UsageError for an unknown key or a
        wrong value.
        """
        settings = cls()
        settings._file = file.read(path)
        given = file.flat(file.parsed(path, settings._file))
        for key in given:
            if key not in settings._values:
                raise _unknown(key, Source(Origin.FILE, path, file.line(settings._file, key)))
        for row in cls.rows():
            if row.variable in environ:
                settings._set(row, environ[row.variable], Source(Origin.ENVIRONMENT, row.variable))
            elif row.key in given:
                settings._set(row, given[row.key], Source(Origin.FILE, path))
        return settings

    def over(self, texts: Mapping[str, str | None]) -> "Settings":
        """Return these with what flags say over them: setting's key → text, None where not given.

        Raises UsageError for a wrong value.
        """
        settings = type(self)()
        settings._file, settings._values = self._file, dict(self._values)
        for row in self.rows():
            text = texts.get(row.key)
            if text is not None:
                settings._set(row, text, Source(Origin.FLAG, row.flag))
        return settings

    def value(self, row: Setting[Value]) -> Value:
        """Return a setting's value."""
        value: Value = self._values[row.key][0]
        return value

    def text(self, row: Setting[Any]) -> str:
        """Return a setting's value as a word says it."""
        value, _, given = self._values[row.key]
        if isinstance(value, bool):
            return str(value).lower()
        return " ".join(map(str, given)) if isinstance(given, list) else str(given)

    def source(self, row: Setting[Any]) -> Source:
        """Return where a setting's value is from."""
        source = self._values[row.key][1]
        if source.origin is Origin.FILE:
            return source._replace(line=file.line(self._file, row.key))
        return source

    def flagged(self, row: Setting[Value]) -> Value | None:
        """Return a setting's value where a flag said it, else None."""
        return self.value(row) if self.source(row).origin is Origin.FLAG else None

    def _set(self, row: Setting[Any], given: object, source: Source) -> None:
        try:
            self._values[row.key] = (row.parse(given), source, given)
        except ValueError as wrong:
            if source.origin is Origin.FILE:
                source = source._replace(line=file.line(self._file, row.key))
            raise UsageError(
                f"{row.key} = {given!r} in {source} is not valid", hint=str(wrong)
            ) from None


def flags(command: str) -> list[Setting[Any]]:
    """Return the settings that the command line of a command can say."""
    return [row for row in Settings.rows() if command in row.commands]


def nearest(word: str, known: Iterable[str]) -> str:
    """Return what is spelled most like a word, or ""."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(word, list(known), 1)), "")


def _unknown(key: str, source: Source) -> UsageError:
    known = [row.key for row in Settings.rows()]
    close = nearest(key, known)
    hint = f"did you mean {close}? " if close else ""
    return UsageError(
        f"{source}: unknown setting {key!r}", hint=f"{hint}known: {', '.join(sorted(known))}"
    )
