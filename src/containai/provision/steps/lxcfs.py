"""lxcfs, by which a box sees its own limits. Boxes do without."""

from containai.engine import lxcfs
from containai.host.machine import Machine
from containai.provision.step import Area
from containai.provision.steps.optional import OptionalPackage
from containai.provision.steps.programs import LXCFS
from containai.work.actions import Finding


class Lxcfs(OptionalPackage):
    """Debian's lxcfs. Its own service stays off: the engine has an instance of its own."""

    package = LXCFS
    area = Area.RUNTIME
    title = "lxcfs"
    holds = "wanted, not needed: it shows a box its own limits"
    looks = "its program, and `/dev/fuse`"
    means = "`free`, `top` and `nproc` in a box tell of the whole machine"

    def check(self, host: Machine) -> Finding[None]:
        """Look for the program and for FUSE."""
        missing = lxcfs.missing()
        if not missing:
            return Finding(True, lxcfs.PROGRAM)
        seen = f"{missing} is missing; optional: without it free and top in a box show the host's"
        # Nothing to install makes a /dev/fuse.
        return self.absent(host, seen, helps=missing == lxcfs.PROGRAM)
