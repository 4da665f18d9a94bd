"""lxcfs, by which a box sees its own limits. Boxes do without."""

from containai.engine import lxcfs
from containai.host import packages
from containai.host.machine import Machine
from containai.provision.step import Scope
from containai.provision.steps.programs import LXCFS
from containai.work.actions import Action, Finding, Run


class Lxcfs:
    """Debian's lxcfs. Its own service stays off: the engine has an instance of its own."""

    title = "lxcfs"
    holds = "wanted, not needed: it shows a box its own limits"
    otherwise = "it is installed, where there is a package"

    def check(self, host: Machine) -> Finding[None]:
        """Look for the program and for FUSE."""
        missing = lxcfs.missing()
        if not missing:
            return Finding(True, lxcfs.PROGRAM)
        seen = f"{missing} is missing; optional: without it free and top in a box show the host's"
        # Nothing to install makes a /dev/fuse; and a machine without network, whose package lists
        # do not know it, should not wait for the archive at every setup.
        installable = (
            missing == lxcfs.PROGRAM and packages.has_apt(host) and packages.known(host, LXCFS)
        )
        return Finding(not installable, seen, optional=True)

    def plan(self, host: Machine, finding: Finding[None]) -> list[Action]:
        """Install it."""
        if finding.ok:
            return []
        return [Run(packages.quiet_install_argv(host, [LXCFS]), title=f"install {LXCFS}")]

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """Packages stay: others may use them by now."""
        return []
