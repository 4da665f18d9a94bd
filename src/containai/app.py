"""What every command works with: where things are, what the user set, the engine, who speaks."""

import os
from collections.abc import Mapping
from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING, Self

from containai.layout import Layout
from containai.work.ui import Ui

if TYPE_CHECKING:
    from containai.away.lifecycle import AwayBoxes
    from containai.away.place import Place
    from containai.boxes.lifecycle import Boxes
    from containai.config.layers import Own
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
        #: The workspace whose settings these are; "" for what holds everywhere.
        self.workspace = ""
        #: Whether it is for a box only where a spare one can be it.
        self.only_spares = False
        #: Whether somebody is there who can be asked something.
        self.at_terminal = all(map(os.isatty, (0, 1, 2)))

    def at(self, workspace: str) -> Self:
        """Return this with the settings of a workspace, by its real path, and all else the same."""
        if workspace == self.workspace:
            return self
        there = copy(self)
        there.workspace = workspace
        for part in ("settings", "boxes"):
            there.__dict__.pop(part, None)
        return there

    @cached_property
    def settings(self) -> "Settings":
        """What the user set, and the workspace. Raises ContainAIError where that cannot be read."""
        settings = self._loaded(None)
        if self.workspace and settings.workspace_config:
            from containai import trust

            own = trust.settings_of(self.layout, self.workspace)
            if own is not None:
                settings = self._loaded(own)
        return settings.over(self.flags)

    def settle(self) -> "Settings":
        """Return the settings; those of a damaged file are what they are without it from now on.

        For what mends the file, or has to work without.
        """
        from containai.errors import DamagedError

        try:
            return self.settings
        except DamagedError:
            from containai.config.settings import Settings

            self.settings = Settings.load(os.devnull, self.environ).over(self.flags)
        return self.settings

    def trusting(self, own: "Own") -> "Settings":
        """Return the settings that would hold with a file of the workspace. Raises as above."""
        return self._loaded(own._replace(trusted=True))

    def _loaded(self, own: "Own | None") -> "Settings":
        from containai.config.settings import Settings

        return Settings.load(self.layout.config_file, self.environ, self.workspace, own)

    @cached_property
    def host(self) -> "Machine":
        """The machine."""
        from containai.host.machine import Machine

        return Machine(
            self.layout,
            elsewhere=lambda: self.settings.host_path,
            carried=lambda: (self.settings.network_certificates, self.settings.network_proxies),
            say=self.ui.say,
        )

    @cached_property
    def engine(self) -> "Engine":
        """ContainAI's Docker engine."""
        from containai.engine.client import Engine

        return Engine(self.host)

    @cached_property
    def boxes(self) -> "Boxes":
        """The boxes of this user, with the user's settings."""
        from containai.boxes import limits, variables
        from containai.boxes.lifecycle import Boxes
        from containai.boxes.wishes import Wishes

        settings = self.settings
        return Boxes(
            self.engine,
            port_range=settings.ssh_port_range,
            forward_agent=settings.ssh_forward_agent,
            ssh_timeout=settings.ssh_timeout,
            only_spares=self.only_spares,
            limits=lambda: limits.said(settings.value, self.host.capacity()),
            data_volume=settings.box_data_volume,
            wishes=Wishes(settings.workspace_protect, settings.workspace_read_only, settings.mount),
            variables=lambda: variables.seen(
                self.layout, settings.variables, self.environ, self.workspace
            ),
        )

    def place(self, name: str) -> "Place":
        """Return a remote place, by what the user calls it.

        Raises UsageError where there is no such place.
        """
        from containai.away import places

        return places.open_place(self.host, name)

    def away(self, place: str) -> "AwayBoxes":
        """Return the boxes of this user on a remote place, by what the user calls that.

        Raises as `place`.
        """
        from containai.away.lifecycle import AwayBoxes
        from containai.boxes import variables

        settings = self.settings
        return AwayBoxes(
            self.host,
            self.place(place),
            variables=variables.seen(self.layout, settings.variables, self.environ, self.workspace),
            forward_agent=settings.ssh_forward_agent is True,
            seconds=settings.ssh_timeout,
        )
