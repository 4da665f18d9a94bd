"""A package that boxes do without, as a base of steps."""

from containai.host import packages
from containai.host.machine import Machine
from containai.provision.step import Described, Scope
from containai.work.actions import Action, Finding, Run


class OptionalPackage(Described):
    """Installed where installing it helps; its own service stays off."""

    package: str
    otherwise = "it is installed, where there is a package"

    def absent(self, host: Machine, seen: str, *, helps: bool = True) -> Finding[None]:
        """Return the finding where it is not there; `helps` is whether the package would.

        A machine without network, whose package lists do not know it, should not wait for the
        archive at every setup.
        """
        installable = helps and packages.has_apt(host) and packages.known(host, self.package)
        return Finding(not installable, seen, optional=True)

    def plan(self, host: Machine, finding: Finding[None]) -> list[Action]:
        """Install it."""
        if finding.ok:
            return []
        install = packages.quiet_install_argv(host, [self.package])
        return [Run(install, title=f"install {self.package}")]

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """Packages stay: others may use them by now."""
        return []
