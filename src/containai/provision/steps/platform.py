"""What this machine has to be: nothing here makes it so."""

from containai.errors import UnsupportedError
from containai.host import machine
from containai.layout import Layout
from containai.provision.step import Action, Finding, Scope

#: Overlay on idmapped layers came with this version (see Documentation/filesystems/overlayfs).
MINIMUM_KERNEL = (5, 19)


class Kernel:
    """A kernel that boxes can run on."""

    title = "kernel"

    def check(self, layout: Layout) -> Finding:
        """Raises UnsupportedError for a kernel that is too old."""
        seen = machine.kernel()
        if seen < MINIMUM_KERNEL:
            raise UnsupportedError(
                f"kernel {seen[0]}.{seen[1]} is too old: boxes need "
                f"{MINIMUM_KERNEL[0]}.{MINIMUM_KERNEL[1]} or newer",
                hint="on Debian 12: its own kernel 6.1, or the one from backports",
            )
        return Finding(True, f"{seen[0]}.{seen[1]}")

    def plan(self, layout: Layout) -> list[Action]:
        """Nothing here makes a kernel newer."""
        return []

    def undo(self, layout: Layout, scope: Scope) -> list[Action]:
        """There is nothing to take away."""
        return []
