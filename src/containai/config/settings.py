"""The settings: one row each feeds the file, the environment, command lines and the reference."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from containai.config import boxes, editors, env, forwards, layers, places, references, values
from containai.config.env import Env
from containai.config.layers import Layer, Own
from containai.config.layers import nearest as nearest
from containai.config.setting import Origin, Reach, Setting, Source, Value
from containai.errors import UsageError

#: How much of a wrong value is shown.
_SHOWN = 100


class Ignored(NamedTuple):
    """What the file of a workspace says in vain: the key, where, and why it may not."""

    key: str
    source: Source
    why: str


class _Said(NamedTuple):
    """A setting's value, what was given for it, and where: `layer` is a file's."""

    value: Any
    given: object
    source: Source
    layer: Layer | None = None


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
        reach=Reach.TRUSTED,
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
        reach=Reach.TRUSTED,
    )
    box_memory = boxes.MEMORY
    box_swap = boxes.SWAP
    box_cpus = boxes.CPUS
    box_pids = boxes.PIDS
    box_disk = boxes.DISK
    box_spares = boxes.SPARES
    box_data_volume = boxes.DATA_VOLUME
    box_on = boxes.ON
    browser_open = forwards.OPEN
    editor_default = editors.DEFAULT
    engine_runtime = Setting(
        "engine.runtime",
        values.runtime,
        "auto",
        "What starts boxes: `sysbox`, `embedded` (cai-runc), or `auto`: Sysbox where it can be had "
        "and passes a live probe, else `embedded`. `cai doctor` says what was chosen and why.",
        flag="--runtime",
        metavar="|".join(values.RUNTIMES),
        commands=("setup",),
        reach=Reach.MACHINE,
    )
    engine_sysbox_fs = Setting(
        "engine.sysbox_fs",
        values.flag,
        "false",
        "Whether sysbox-fs serves boxes on Sysbox: it emulates `/proc/sys` as Kubernetes needs it,"
        " and bubblewrap and the agents' own sandboxes [do not work](../explanation/sysbox.md).",
        reach=Reach.MACHINE,
    )
    engine_provider = Setting(
        "engine.provider",
        values.provider,
        "auto",
        "Where Docker's programs come from if they are missing: `docker-ce` (Docker's archive), "
        "`distro` (Debian's or Ubuntu's), or `auto`, the first of them that can be reached.",
        reach=Reach.MACHINE,
    )
    variables = Setting(
        "env",
        env.parse,
        "",
        "Variables for sessions and services of boxes: `import` names those of your environment, "
        "`file` names files of yours like `~/x.env`, `set` is a table of values. "
        "[How to](../how-to/variables.md).",
        table=True,
        joined=env.joined,
        shown=Env.shown,
        reach=Reach.TRUSTED,
    )
    host_path = Setting(
        "host.path",
        values.directories,
        "none",
        "Directories of programs that the system's own directories do not have, as a list: "
        '`["/opt/homebrew/bin"]`. For what root runs, only root may be able to write them and all '
        "above them.",
        file_only=True,
        reach=Reach.MACHINE,
    )
    image_name = Setting(
        "image.name",
        values.word,
        "full",
        "The image of new boxes: `base`, `sdks` (with tool chains), `full` (with the agents), or a "
        "reference of one that is made from such a layer, like `registry.example.com/team/box:1`, "
        "which is pulled.",
        reach=Reach.TRUSTED,
        harmless=lambda name, _: name in values.LAYERS,
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
        reach=Reach.TRUSTED,
    )
    image_root = Setting(
        "image.root",
        values.word,
        "docker.io/library/ubuntu:24.04",
        "Where the root file system of image `base` is pulled from if a registry answers: any "
        "Debian from 12 or Ubuntu from 24.04; else Debian 13 is bootstrapped from its archive. "
        "Another one is another image, which `cai run` or `cai setup` builds.",
        reach=Reach.TRUSTED,
    )
    image_without = Setting(
        "image.without",
        values.steps,
        "",
        "What image `sdks` is made without, for example `dotnet rust`: `build`, `dotnet`, `go`, "
        "`node`, `python` or `rust`.",
        reach=Reach.TRUSTED,
    )
    image_versions = Setting(
        "image.versions",
        values.versions,
        "",
        "Versions in place of those that image `sdks` is made with, and their checksums, by the "
        "names of `images/versions.env`: `GO=1.26.7 GO_SHA256_amd64=…`.",
        reach=Reach.TRUSTED,
    )
    image_registry = Setting(
        "image.registry",
        references.repository,
        "ghcr.io/containai",
        "Where `cai image pull` gets the layers: a registry, and a path there.",
        file_only=True,
        reach=Reach.MACHINE,
    )
    image_cache = Setting(
        "image.cache",
        values.cached,
        "",
        "Whether images that the Docker of new boxes pulls from Docker Hub are kept for the next "
        "box: `true`, `none`, or the URL of a registry in its place. `cai setup` starts [the "
        "cache](../explanation/docker-in-a-box.md#a-cache-of-images); not said, it stays as it is.",
        file_only=True,
        reach=Reach.MACHINE,
    )
    image_workspace = Setting(
        "image.workspace",
        values.flag,
        "true",
        "Whether a new box of a workspace that has a `.containai/Dockerfile` starts from what that "
        "makes, once you [trust it](../explanation/images.md#an-image-of-a-workspaces-own).",
        reach=Reach.TRUSTED,
    )
    mount = places.MOUNT
    import_auto = Setting(
        "import.auto",
        values.offer,
        "ask",
        "Whether [your logins and settings](../how-to/import.md) come into the first box of a "
        "workspace, with its new data volume: `ask`, at a terminal; `always`; or `never`. Into a "
        "box on a remote place they come only where you are asked. `cai import` brings them at any "
        "time.",
        file_only=True,
        reach=Reach.USER,
    )
    network_certificates = Setting(
        "network.certificates",
        values.flag,
        "true",
        "Whether the certificates that were added to this machine's trusted ones, and those that "
        "variables like `NODE_EXTRA_CA_CERTS` name, are trusted in boxes and while an image is "
        "built.",
        reach=Reach.MACHINE,
    )
    network_host_ports = Setting(
        "network.host_ports",
        values.host_ports,
        "",
        "Ports of the host that boxes may use, for example `5432 53/udp`; `none` closes all. It is "
        "the machine's: `cai setup` or `cai doctor --fix` writes it to "
        "`/etc/containai/host-ports`; without it what is open stays so. In a box the host is "
        "`host.docker.internal`.",
        reach=Reach.MACHINE,
    )
    network_proxies = Setting(
        "network.proxies",
        values.flag,
        "true",
        "Whether boxes, image builds and the engine use the proxies of this machine: those of your "
        "environment (`https_proxy`, ...), else of Docker; and apt's.",
        reach=Reach.MACHINE,
    )
    ssh_port_range = Setting(
        "ssh.port_range",
        values.port_range,
        "2300-2500",
        "Host ports given to boxes, on 127.0.0.1.",
    )
    ssh_forward_agent = forwards.AGENT
    ssh_local_forward = forwards.LOCAL
    ssh_remote_forward = forwards.REMOTE
    ssh_timeout = Setting(
        "ssh.timeout",
        values.seconds,
        "30",
        "How long a box may take, in seconds, from its start until sshd in it lets you in: half a "
        "second is usual. A box or sshd that dies ends the wait at once.",
    )
    workspace_config = Setting(
        "workspace.config",
        values.flag,
        "true",
        "Whether the `.containai/config.toml` of a workspace is heeded; [what it may "
        "say](../explanation/configuration.md).",
        file_only=True,
    )
    workspace_protect = places.PROTECT
    workspace_read_only = places.READ_ONLY

    def __init__(self) -> None:
        default = Source(Origin.DEFAULT)
        self._said: dict[str, _Said] = {
            row.key: _Said(row.parse(row.default), row.default, default) for row in self.rows()
        }
        #: What the file of a workspace says and may not.
        self.ignored: tuple[Ignored, ...] = ()

    @classmethod
    def rows(cls) -> "tuple[Setting[Any], ...]":
        """Return all rows, in order."""
        return tuple(row for row in vars(cls).values() if isinstance(row, Setting))

    @classmethod
    def load(
        cls, path: str, environ: Mapping[str, str], workspace: str = "", own: Own | None = None
    ) -> Self:
        """Return every setting: from the environment, else the file at `path`, else its default.

        Of a `workspace`, that file's table for it, and what is its `own`, come in between, in the
        order of `Origin`. Raises ContainAIError for a file that cannot be read, UsageError for an
        unknown key or a wrong value.
        """
        settings, scratch = cls(), cls()
        users, tables = layers.of_user(path, cls.rows())
        settings._take(users)
        if own is not None:
            settings._heed(layers.of_workspace(own, cls.rows()))
        for table in tables.values():
            # A mistake is one, wherever it stands.
            scratch._take(table)
        if workspace in tables:
            settings._take(tables[workspace])
        for row in cls.rows():
            if row.variable in environ:
                source = Source(Origin.ENVIRONMENT, row.variable)
                settings._set(row, environ[row.variable], source)
        return settings

    def over(self, texts: Mapping[str, str | None]) -> Self:
        """Return these with what flags say over them: setting's key → text, None where not given.

        Raises UsageError for a wrong value.
        """
        settings = type(self)()
        settings._said, settings.ignored = dict(self._said), self.ignored
        for row in self.rows():
            text = texts.get(row.key)
            if text is not None:
                settings._set(row, text, Source(Origin.FLAG, row.flag))
        return settings

    def value(self, row: Setting[Value]) -> Value:
        """Return a setting's value."""
        value: Value = self._said[row.key].value
        return value

    def told(self, row: Setting[Any]) -> object:
        """Return a setting's value for machines: as it was given, a table as it may be shown."""
        said = self._said[row.key]
        if row.table:
            return row.shown(said.value) if row.shown is not None else said.given
        return self.text(row)

    def text(self, row: Setting[Any]) -> str:
        """Return a setting's value as a word says it; a table on one line."""
        value, given, *_ = self._said[row.key]
        if row.table:
            import json

            told = self.told(row)
            if isinstance(told, str) or not told:
                return str(told or "")
            return json.dumps(told, ensure_ascii=False)
        if isinstance(value, bool) or isinstance(given, bool):
            return str(given if isinstance(given, bool) else value).lower()
        return " ".join(map(str, given)) if isinstance(given, list) else str(given)

    def source(self, row: Setting[Any]) -> Source:
        """Return where a setting's value is from."""
        said = self._said[row.key]
        return said.source if said.layer is None else said.layer.source(row.key)

    def flagged(self, row: Setting[Value]) -> Value | None:
        """Return a setting's value where a flag said it, else None."""
        said = self._said[row.key]
        return said.value if said.source.origin is Origin.FLAG else None

    def _take(self, layer: Layer) -> None:
        for row in self.rows():
            if row.key in layer.given:
                self._set(row, layer.given[row.key], Source(layer.origin, layer.path), layer)

    def _heed(self, layer: Layer) -> None:
        """Take what the file of a workspace may say, and note the rest."""
        ignored = []
        for row in self.rows():
            if row.key not in layer.given:
                continue
            given, now = layer.given[row.key], self.value(row)
            why = row.refused(given, now, trusted=layer.trusted)
            if why:
                ignored.append(Ignored(row.key, layer.source(row.key), why))
            else:
                self._set(row, given, Source(layer.origin, layer.path), layer)
        self.ignored = tuple(ignored)

    def _set(
        self, row: Setting[Any], given: object, source: Source, layer: Layer | None = None
    ) -> None:
        try:
            value = row.parse(given)
        except ValueError as wrong:
            where = source if layer is None else layer.source(row.key)
            # Of a table, what is wrong may stand beside what nobody is to see.
            shown = "" if row.table else f" = {_cut(repr(given))}"
            raise UsageError(f"{row.key}{shown} in {where} is not valid", hint=str(wrong)) from None
        before = self._said[row.key]
        if row.joined is not None and before.source.origin is not Origin.DEFAULT:
            value = row.joined(before.value, value)
        self._said[row.key] = _Said(value, given, source, layer)


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def flags(command: str) -> list[Setting[Any]]:
    """Return the settings that the command line of a command can say."""
    return [row for row in Settings.rows() if command in row.commands]
