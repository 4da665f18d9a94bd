"""What every command works with: where things are, what the user set, the engine, who speaks."""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from containai.layout import Layout
from containai.work.ui import Ui

if TYPE_CHECKING:
    from containai.boxes.lifecycle import Boxes
    from containai.config.settings import Settings
    from containai.engine.client import Engine
    from containai.host.machine import Machine


class App:
    """Made once for a command and handed down. A part is made when it is first asked for."""

    def __init__(
        self,
        layout: Layout,
        ui: Ui,
        *,
        host: "Machine | None" = None,
        environ: Mapping[str, str] | None = None,
        flags: Mapping[str, str] | None = None,
    ) -> None:
        """`environ` may override settings, and `flags`, setting's key → text, do.

        `host` is the machine, where it is not the one that this runs on.
        """
        self.layout = layout
        self.ui = ui
        if host is not None:
            self.host = host
        self.flags = flags or {}
        self.environ = environ or {}

    @cached_property
    def settings(self) -> "Settings":
        """What the user set. Raises ContainAIError where that cannot be read."""
        from containai.config.settings import Settings

        return Settings.load(self.layout.config_file, self.environ).over(self.flags)

    @cached_property
    def host(self) -> "Machine":
        """The machine."""
        from containai.host.machine import Machine

        return Machine(
            self.layout,
            elsewhere=lambda: self.settings.host_path,
            carried=lambda: (self.settings.network_certificates, self.settings.network_proxies),
        )

    @cached_property
    def engine(self) -> "Engine":
        """ContainAI's Docker engine."""
        from containai.engine.client import Engine

        return Engine(self.host)

    @cached_property
    def boxes(self) -> "Boxes":
        """The boxes of this user, with the user's settings."""
        from containai.boxes.lifecycle import Boxes
        from containai.boxes.limits import Limits

        settings = self.settings
        return Boxes(
            self.engine,
            port_range=settings.ssh_port_range,
            forward_agent=settings.ssh_forward_agent,
            limits=Limits(settings.box_memory, settings.box_cpus),
        )
