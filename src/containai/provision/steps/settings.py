"""The user's settings, as far as every command reads them."""

from containai.config import file
from containai.errors import ContainAIError, DamagedError
from containai.host.machine import Machine
from containai.provision.step import Area, Fact
from containai.work.actions import Finding


class SettingsRead(Fact):
    """The user's config.toml, and variables that override it."""

    area = Area.CONFIGURATION
    title = "settings"
    holds = "`config.toml` and what overrides it can be read, and say what settings may be"
    otherwise = (
        "all else is looked at as if it said nothing; one that is damaged is moved aside by "
        "`--fix` (see `files`), and any other waits for you"
    )
    looks = "it is read as every command does"
    means = "no command that needs a setting runs"

    def __init__(self, unread: ContainAIError | None = None) -> None:
        self.unread = unread

    def check(self, host: Machine) -> Finding[None]:
        """Raises what reading them raised, unless that is mended by now."""
        path = host.layout.config_file
        if isinstance(self.unread, DamagedError):
            file.parsed(path, file.read(path))
        elif self.unread is not None:
            raise self.unread
        return Finding(True, path)
