"""The programs that ContainAI starts, and which package brings each."""

import os
import re

from containai.engine import lxcfs, resolver
from containai.errors import UnsupportedError
from containai.host import packages
from containai.host.machine import Machine
from containai.provision import providers
from containai.provision.step import Area, Described, Scope
from containai.work.actions import Action, Finding, Run

#: Debian's packages for the programs that are not Docker's.
PACKAGES = {
    "iptables": "iptables",
    "ip": "iproute2",
    # dockerd asks it for `docker top`.
    "ps": "procps",
    "nft": "nftables",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
}

#: What runs as the user; all the rest is root's, and has to be where only root writes.
USERS = ("ssh", "ssh-keygen")

#: The runtime runs on the system's own Python, where only root writes.
PYTHON = "/usr/bin/python3"
#: Wanted, not needed: see the steps lxcfs and dnsmasq.
LXCFS = "lxcfs"
DNSMASQ = "dnsmasq-base"


class Programs(Described):
    """Docker's programs, and those that the network and ssh need."""

    area = Area.HOST
    title = "programs"
    holds = (
        "dockerd, docker, runc, containerd, iptables, ip, nft, ps, ssh, python3, in the "
        "system's directories or those of `host.path`; Docker's versions are shown. Programs of "
        "a snap do not count: they are confined."
    )
    otherwise = "they are installed from `engine.provider`"
    looks = "the directories of programs, and what Docker's say of their versions"
    means = "nothing of ContainAI can run"

    def __init__(self, provider: str = providers.AUTO, offline_dir: str = "") -> None:
        self.provider, self.offline_dir = provider, offline_dir

    def check(self, host: Machine) -> Finding[list[str]]:
        """Look for each program, and at the versions of Docker's."""
        missing = self._missing(host)
        if missing:
            return Finding(False, "missing: " + ", ".join(missing) + _snap(), data=missing)
        return Finding(True, ", ".join(_version(host, name) for name in providers.DISTRO.packages))

    @staticmethod
    def _missing(host: Machine) -> list[str]:
        wanted = [*providers.DISTRO.packages, *PACKAGES]
        missing = [name for name in wanted if host.which(name, root=name not in USERS) is None]
        return missing + ([] if os.path.exists(PYTHON) else [PYTHON])

    def plan(self, host: Machine, finding: Finding[list[str]]) -> list[Action]:
        """Install what is missing. Raises UnsupportedError on a system without apt."""
        missing = finding.data
        if missing is None:
            return []
        if not packages.has_apt(host):
            raise UnsupportedError(
                f"{', '.join(missing)}: missing, and this system's packages are not Debian's",
                hint="install Docker's engine with its package manager, then run cai again; what "
                "is in a directory of its own is found by the setting host.path",
            )
        if self.offline_dir:
            return [providers.offline(host, self.offline_dir)]
        actions: list[Action] = []
        provider = providers.DISTRO
        if not set(missing).isdisjoint(provider.packages):
            provider = providers.choose(host, self.provider)
        if provider is providers.DOCKER_CE:
            actions += providers.add_archive(host)
        brings = PACKAGES | provider.packages
        names = {brings.get(program, "python3") for program in missing}
        if_known = [
            provider.if_known[program] for program in missing if program in provider.if_known
        ]
        if_known += [LXCFS] if lxcfs.missing() == lxcfs.PROGRAM else []
        if_known += [] if resolver.is_there() else [DNSMASQ]
        install = packages.quiet_install_argv(host, sorted(names), if_known)
        title = "install " + " ".join(sorted({*names, *if_known}))
        return [*actions, Run(install, title=title)]

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """Packages stay, as others may use them by now; Docker's archive goes with a purge."""
        ours = (
            os.path.join(host.layout.root, path) for path in (providers.SOURCES, providers.KEYRING)
        )
        there = [path for path in ours if os.path.exists(path)]
        return [Run(["rm", "-f", *there])] if there and scope.purge else []


class Packages(Described):
    """Packages whose installation has ended."""

    area = Area.HOST
    title = "packages"
    holds = "no package of these programs is installed by half"
    otherwise = "apt goes on with it; services that it brings stay off"
    looks = "what dpkg says of each"
    means = "a program is missing, or of two versions; and apt installs nothing else"

    def check(self, host: Machine) -> Finding[list[str]]:
        """Ask dpkg."""
        if not packages.has_apt(host) or host.which("dpkg-query") is None:
            return Finding(True, "not of Debian's kind")
        brought = [PACKAGES, *(provider.packages for provider in providers.PROVIDERS.values())]
        names = {name for each in brought for name in each.values()} | {LXCFS, DNSMASQ}
        half = packages.unfinished(host, sorted(names))
        if half:
            return Finding(False, "installed by half: " + ", ".join(half), data=half)
        return Finding(True, "installed to their end")

    def plan(self, host: Machine, finding: Finding[list[str]]) -> list[Action]:
        """Have apt go on."""
        if finding.data is None:
            return []
        title = "end the installation of " + " ".join(finding.data)
        return [Run(packages.quiet_install_argv(host, finding.data), title=title)]

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """Packages stay."""
        return []


def _version(host: Machine, program: str) -> str:
    said = host.told_version(program)
    version = re.search(r"\d+\.\d+\.\d+\S*", said.out + said.err)
    return f"{program} {version[0].rstrip(',') if version else 'of an unknown version'}"


def _snap() -> str:
    """Return what to say about a Docker from snap: it cannot be used."""
    there = os.path.exists("/snap/bin/docker")
    return "; Docker from snap is there, confined to its own, and left alone" if there else ""
