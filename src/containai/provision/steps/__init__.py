"""The steps of `cai setup`, a module a family, in the order they build on each other."""

from containai.boxes.box import Box
from containai.host.machine import Machine
from containai.provision.step import AnyStep, Choices
from containai.provision.steps.agents import Agents
from containai.provision.steps.boxes import Contents
from containai.provision.steps.cache import Cache, DockerRegistry
from containai.provision.steps.choice import RuntimeChoice
from containai.provision.steps.conditions import (
    Cgroups,
    Clock,
    Inodes,
    Namespaces,
    Randomness,
    Virtualization,
)
from containai.provision.steps.configuration import Home
from containai.provision.steps.engine import EngineFiles, EngineRunning, Group, Network
from containai.provision.steps.files import Files
from containai.provision.steps.forward import Forward
from containai.provision.steps.holes import Holes
from containai.provision.steps.image import Image
from containai.provision.steps.kernel_limits import KernelLimits
from containai.provision.steps.lxcfs import Lxcfs
from containai.provision.steps.one_box import Ended, Made, Memory, Port, Standing
from containai.provision.steps.owned import of_box, of_user
from containai.provision.steps.platform import Kernel, Ports, Space, System
from containai.provision.steps.programs import Packages, Programs
from containai.provision.steps.ranges import Ranges
from containai.provision.steps.resolver import Dnsmasq, Resolver
from containai.provision.steps.running import LxcfsRunning, Socket, Thawed
from containai.provision.steps.runtime import Runtime
from containai.provision.steps.settings import SettingsRead
from containai.provision.steps.spares import Spares
from containai.provision.steps.sysbox import Attempt, Sysbox
from containai.provision.steps.sysbox_boxes import SysboxBoxes
from containai.provision.steps.uplink import Answers, Firewall, NameServers, Told, Uplink
from containai.provision.steps.user import Context, Entries, Keys


def steps(host: Machine, choices: Choices) -> list[AnyStep]:
    """Return the steps of a whole setup.

    ssh is the user's own affair: through sudo, it is left to that user's first command.
    """
    # Without a network, a package that is only wanted is not waited for.
    settings = choices.settings
    wanted: list[AnyStep] = []
    if not choices.offline_dir:
        wanted = [Lxcfs(), Dnsmasq(), DockerRegistry(settings.image_cache)]
    own: list[AnyStep] = [Keys()] if host.invoker() is None else []
    attempt = Attempt(settings.engine_runtime, offline=choices.offline_dir or None)
    return [
        Files(),
        System(),
        Kernel(),
        Space(),
        Inodes(),
        Ports(settings.ssh_port_range),
        Packages(),
        Programs(settings.engine_provider, choices.offline_dir),
        *wanted,
        KernelLimits(),
        Group(),
        Runtime(sysbox_fs=settings.engine_sysbox_fs),
        Sysbox(attempt),
        EngineFiles(
            settings.network_host_ports,
            proxies=settings.network_proxies,
            cached=settings.image_cache,
        ),
        Network(),
        EngineRunning(),
        Socket(),
        LxcfsRunning(),
        Resolver(),
        Forward(),
        Cache(),
        Image(settings, choices.image_archive),
        RuntimeChoice(attempt, settings),
        Context(),
        *own,
    ]


def checks(host: Machine, choices: Choices) -> list[AnyStep]:
    """Return what doctor looks at: the steps of setup, and what users made with it since.

    Those that are `slow` only where asked for. Uninstall goes through them backwards.
    """
    return [
        Home(),
        *steps(host, choices),
        *(Clock(), Randomness(), Virtualization(), Namespaces(), Cgroups()),
        *(Uplink(), NameServers(), Answers(), Firewall(), Told()),
        SettingsRead(choices.unread),
        Agents(choices.settings),
        Holes(),
        Ranges(),
        Thawed(),
        SysboxBoxes(),
        Entries(),
        Contents(),
        Spares(choices.settings),
        *of_user(),
    ]


def checks_of_box(box: Box) -> list[AnyStep]:
    """Return what doctor looks at where one box is named, whatever its state.

    What needs an answer from inside is unknown where the box does not run. None is `slow`: who
    names a box waits for it.
    """
    return [
        Standing(box),
        Made(box),
        Port(box),
        Memory(box),
        Ended(box),
        *of_box(box),
    ]
