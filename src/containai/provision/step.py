"""A step: a read-only check, a plan that would make it right, and the way back."""

from enum import StrEnum
from typing import Any, NamedTuple, Protocol, TypeVar

from containai.config.settings import Settings
from containai.errors import ContainAIError
from containai.host.machine import Machine
from containai.work.actions import Action, Finding


class Choices(NamedTuple):
    """What the user chose for this machine: settings, and options of `cai setup`."""

    settings: Settings
    #: An archive of the image that is loaded instead of building it, or "".
    image_archive: str = ""
    #: A directory that packages are taken from instead of the network, or "".
    offline_dir: str = ""
    #: Why the user's settings cannot be read, where they are the defaults for that.
    unread: ContainAIError | None = None


class Scope(NamedTuple):
    """What `cai uninstall` takes away beside what setup made: nothing of it unless told."""

    containers: bool = False
    volumes: bool = False
    images: bool = False
    #: All of those, and settings, keys and the engine's data.
    purge: bool = False


Data = TypeVar("Data")


class Area(StrEnum):
    """What a step is about, in the order in which one builds on another."""

    HOST = "host"
    ENGINE = "engine"
    RUNTIME = "runtime"
    NETWORK = "network"
    SSH = "ssh"
    IMAGES = "images"
    BOXES = "boxes"
    VOLUMES = "volumes"
    CONFIGURATION = "configuration"
    AGENTS = "agents"


class Step(Protocol[Data]):
    """One thing that setup, doctor and uninstall know how to check, to make right and to undo."""

    area: Area
    title: str
    #: What has to hold, and what is done if it does not: for the reference, as are the next two.
    holds: str
    otherwise: str
    #: How it is looked at, and what it means for a user where it does not hold.
    looks: str
    means: str
    #: What making it right may stop or remove, as "stops every box"; "" for nothing. Doctor asks.
    interrupts: str
    #: Its check takes long, loads the machine or needs a box to answer: made only where asked for.
    slow: bool

    def check(self, host: Machine) -> Finding[Data]:
        """Look, and change nothing. Raises a ContainAIError for what no plan can mend."""

    def plan(self, host: Machine, finding: Finding[Data]) -> list[Action]:
        """Return what would make right what its check has just found; nothing where it is."""

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """Return what takes it away again; nothing where there is nothing of it."""


#: A step whatever its check measures.
AnyStep = Step[Any]


class Described:
    """What most steps say of themselves; `area`, `looks` and `means` are each one's own."""

    interrupts = ""
    slow = False


class Fact(Described):
    """A step that only looks: its check says what is not as it has to be, or raises.

    What such a finding says is wrong has a hint with what to do.
    """

    def plan(self, host: Machine, finding: Finding[None]) -> list[Action]:
        """Nothing of ours would make it right."""
        return []

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """Nothing of it is ours."""
        return []
