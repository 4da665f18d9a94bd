"""ContainAI on a machine, as `admin` (who has sudo) installs and uses it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from harness.site import IMAGE

from .machine import Machine, Result, User

HOME = "/home/admin"
PROJECT = f"{HOME}/project"
CAI = f"{HOME}/.local/bin/cai"
SOCKET = "/var/run/containai-docker.sock"

#: The words of `cai setup`. Sysbox, where its releases can be reached, would be another test.
SETUP = ("setup", "--yes", "--runtime", "embedded")

#: A shell script that makes the container image `busybox` of one file, without a registry.
BUSYBOX = (
    "mkdir -p ~/image/bin; cp {busybox} ~/image/bin/busybox; ln -sf busybox ~/image/bin/sh; "
    "tar -C ~/image -c . | docker import - busybox >/dev/null"
)
IN_BOX = BUSYBOX.format(busybox="busybox")

#: Seconds that a command of cai may take: a box boots in half a second on a computer, in a minute
#: under emulation, and in several minutes where other work has the processors.
SLOW = 1500


class Product:
    """The `cai` of a machine, and its engine."""

    def __init__(self, machine: Machine, image: str) -> None:
        self.machine, self._image = machine, image

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

    def set_up(self) -> None:
        """Run `cai setup` with the carried image: to build one would take an hour."""
        archive = "/var/tmp/image.tar"
        write = f"{self.machine.carried(self._image)} >{archive}; chmod 0644 {archive}"
        self.machine.run(write, timeout=SLOW)
        self.cai(*SETUP, "--image-archive", archive)
        self.machine.run(f"rm {archive}; sync")

    def cai(self, *words: str, check: bool = True, user: User = "admin") -> Result:
        """Run cai in the project's directory."""
        script = f"cd {PROJECT}; CONTAINAI_IMAGE_NAME={IMAGE} {shlex.join((CAI, *words))}"
        return self.machine.run(script, user=user, check=check, timeout=SLOW)

    def sh(self, script: str) -> str:
        """Run a shell script in the project's box; start what is not running."""
        return self.cai("run", ".", "--", "sh", "-euc", script).stdout.strip()

    def docker(self, *words: str) -> str:
        """Ask ContainAI's engine."""
        argv = ["docker", "--host", f"unix://{SOCKET}", *words]
        return self.machine.run(argv, timeout=SLOW).stdout.strip()

    def boxes(self) -> list[dict[str, Any]]:
        """Return what `cai ls` says."""
        found: list[dict[str, Any]] = json.loads(self.cai("ls", "--json").stdout)
        return found

    def ranges(self) -> list[str]:
        """Return the records of id ranges in use."""
        return self.machine.run(["ls", "/var/lib/containai-runtime/ranges"]).stdout.split()

    def identity(self) -> dict[str, str]:
        """Return what of the project's box must outlive everything but its removal."""
        seen = self.sh(
            "head -1 /proc/self/uid_map | tr -s ' '; cat /etc/ssh/ssh_host_ed25519_key.pub; "
            "cat ~/note /etc/note; cat kept"
        )
        (box,) = self.boxes()
        return {"name": box["name"], "port": str(box["ssh_port"]), "seen": seen}
