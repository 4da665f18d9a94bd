"""What this machine has to be: nothing here makes it so."""

import os

from containai.boxes import ports
from containai.config.values import PortRange
from containai.errors import UnsupportedError
from containai.host import space
from containai.host.machine import Machine
from containai.provision.step import Area, Fact
from containai.work.actions import Finding

#: Overlay on idmapped layers came with this version (see Documentation/filesystems/overlayfs).
MINIMUM_KERNEL = (5, 19)


class Kernel(Fact):
    """A kernel that boxes can run on."""

    area = Area.HOST
    title = "kernel"
    holds = "5.19 or newer"
    otherwise = "code 19"
    looks = "the kernel's own version"
    means = "the layers of a box cannot be given ids of their own: no box starts"

    def check(self, host: Machine) -> Finding[None]:
        """Raises UnsupportedError for a kernel that is too old."""
        seen = host.kernel()
        if seen < (5, 0) and host.is_wsl():
            raise UnsupportedError(
                f"kernel {seen[0]}.{seen[1]}: this is WSL 1, and boxes need WSL 2",
                hint="in Windows: wsl --set-version DISTRIBUTION 2 (wsl --list --verbose)",
            )
        if seen < MINIMUM_KERNEL:
            raise UnsupportedError(
                f"kernel {seen[0]}.{seen[1]} is too old: boxes need "
                f"{MINIMUM_KERNEL[0]}.{MINIMUM_KERNEL[1]} or newer",
                hint="on Debian 12: its own kernel 6.1, or the one from backports",
            )
        return Finding(True, f"{seen[0]}.{seen[1]}")


class System(Fact):
    """A Linux whose ways are known: how services are run, and what else guards the machine."""

    area = Area.HOST
    title = "system"
    holds = (
        "SELinux does not enforce: boxes were never tried under it. Without systemd (WSL, "
        "containers) the engine is a background process. [What differs in "
        "WSL](../how-to/windows-and-macos.md)."
    )
    otherwise = "nothing is changed, code 19"
    looks = "`/etc/os-release`, SELinux's `enforce`, what PID 1 is"
    means = (
        "whether boxes were ever tried on such a system, and whether they are back by themselves "
        "after a boot"
    )

    def check(self, host: Machine) -> Finding[None]:
        """Raises UnsupportedError where SELinux is enforcing."""
        if host.selinux_enforcing():
            raise UnsupportedError(
                "SELinux is enforcing here, and boxes were never tried under it",
                hint="for a try at your own risk: sudo setenforce 0",
            )
        name = host.os_release().get("PRETTY_NAME", "an unknown Linux")
        is_wsl = host.is_wsl()
        where = " in WSL" if is_wsl else ""
        if host.has_systemd():
            return Finding(True, f"{name}{where}, systemd", hint=_IN_WSL if is_wsl else "")
        seen = f"{name}{where}, no systemd: the engine is a background process"
        return Finding(True, seen, hint=f"{_IN_WSL}. {_SYSTEMD_IN_WSL}" if is_wsl else "")


#: What is otherwise there, as docs/how-to/windows-and-macos.md says in full.
_IN_WSL = (
    "workspaces have to be in Linux's own files, not on a drive of Windows (/mnt/c); boxes end "
    "when Windows ends WSL"
)
_SYSTEMD_IN_WSL = (
    "So that they start with it: [boot] and systemd=true in /etc/wsl.conf, then wsl --shutdown"
)


class Space(Fact):
    """Room for packages and for the image, seen before anything is written."""

    area = Area.HOST
    title = "space"
    holds = "5 GiB before the first setup, 256 MiB afterwards"
    otherwise = "code 20, before anything is written"
    looks = "what is left of the file system of the engine's data"
    means = "pulls, builds and whatever boxes write fail"

    def check(self, host: Machine) -> Finding[None]:
        """Raises NoSpaceError where setup would fill the disk."""
        layout = host.layout
        fresh = not os.path.exists(layout.engine_config)
        needed = space.FOR_IMAGE + space.FOR_PROGRAMS if fresh else space.TO_WORK
        hint = "free some space there" if fresh else "free some space: cai ls, cai rm"
        free = space.require(host, layout.engine_data, needed, hint=hint)
        return Finding(True, f"{free / (1 << 30):.1f} GiB left at {layout.engine_data}")


class Ports(Fact):
    """A port for the next box."""

    area = Area.SSH
    title = "ssh ports"
    holds = "one port of `ssh.port_range` is free"
    otherwise = "code 21"
    looks = "a port of the range is bound for a moment"
    means = "no new box is made, as none could be reached"

    def __init__(self, ports: PortRange) -> None:
        self.range = ports

    def check(self, host: Machine) -> Finding[None]:
        """Raises PortsExhaustedError where every port of the range is taken."""
        port = ports.choose(self.range, ())
        return Finding(True, f"{self.range.first}-{self.range.last}, {port} is free")
