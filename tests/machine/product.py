"""ContainAI on a machine, as `admin` (who has sudo) installs and uses it."""

from __future__ import annotations

import shlex
from pathlib import Path

from .machine import Machine, Result

HOME = "/home/admin"
PROJECT = f"{HOME}/project"
CAI = f"{HOME}/.local/bin/cai"

#: Seconds that a command of cai may take: under emulation, and where other work has the processors.
SLOW = 1500


class Product:
    """The `cai` of a machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def install(self, packages: Path) -> None:
        """Install cai where install.sh would put it, over what is there.

        `packages` is an archive of it and what it imports: pip would take minutes under emulation.
        """
        self.machine.put(packages, f"{HOME}/packages.tar", user="admin")
        self.machine.run(
            f"cd; venv=~/.local/share/containai/venv; mkdir -p ~/.local/bin {PROJECT}\n"
            "[ -d $venv ] || python3 -m venv --without-pip $venv\n"
            "cd $venv/lib/python3*/site-packages; rm -rf -- *\n"
            "tar -xf ~/packages.tar; rm ~/packages.tar\n"
            f'sed "1s|.*|#!$venv/bin/python3|" bin/cai >{CAI}; chmod +x {CAI}',
            user="admin",
            timeout=SLOW,
        )

    def cai(self, *words: str, check: bool = True) -> Result:
        """Run cai in the project's directory."""
        script = f"cd {PROJECT}; {shlex.join((CAI, *words))}"
        return self.machine.run(script, user="admin", check=check, timeout=SLOW)
