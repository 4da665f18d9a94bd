"""The programs of the distribution that ContainAI starts."""

import os

from containai.engine import lxcfs
from containai.errors import UnsupportedError
from containai.host import packages, proc
from containai.layout import Layout
from containai.provision.step import Action, Finding, Run, Scope

#: Debian's packages for the programs that ContainAI starts.
PACKAGES = {
    "dockerd": "docker.io",
    "docker": "docker.io",
    "runc": "runc",
    "containerd": "containerd",
    "iptables": "iptables",
    "ip": "iproute2",
    "nft": "nftables",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
}

#: The client is a part of docker.io up to Debian 12 and in Ubuntu, and a package of its own since.
CLIENT = "docker-cli"

#: The runtime runs on the system's own Python, where only root writes.
PYTHON = "/usr/bin/python3"
#: Wanted, not needed: see the step of that name.
LXCFS = "lxcfs"


class Programs:
    """Docker's programs, and those that Docker and ssh need."""

    title = "programs"

    def check(self, layout: Layout) -> Finding:
        """Look for each program."""
        missing = self._missing()
        return Finding(not missing, "missing: " + ", ".join(missing) if missing else "all there")

    @staticmethod
    def _missing() -> list[str]:
        missing = [program for program in PACKAGES if proc.which(program) is None]
        return missing + ([] if os.path.exists(PYTHON) else [PYTHON])

    def plan(self, layout: Layout) -> list[Action]:
        """Install what is missing. Raises UnsupportedError on a system without apt."""
        missing = self._missing()
        if not missing:
            return []
        if not packages.has_apt():
            raise UnsupportedError(
                f"{', '.join(missing)}: missing, and this system's packages are not Debian's",
                hint="install Docker's engine with its package manager, then run cai again",
            )
        names = {PACKAGES.get(program, "python3") for program in missing}
        if_known = [CLIENT] if "docker" in missing else []
        if_known += [LXCFS] if lxcfs.missing() == lxcfs.PROGRAM else []
        return [Run(["sh", "-c", packages.quiet_install_script(sorted(names), if_known)])]

    def undo(self, layout: Layout, scope: Scope) -> list[Action]:
        """Packages stay: others may use them by now."""
        return []
