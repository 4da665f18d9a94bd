"""What the installer tells a runtime of this machine: runtime.json, beside its program."""

import json
import os
from typing import NamedTuple

from . import attached
from .kinds import Kind
from .ranges import Ranges


class Config(NamedTuple):
    """runtime.json, and where it is."""

    runc: str
    state: str
    id_base: int
    id_count: int
    engine_data: str
    #: The first of the ids that trees of the host have on disk for users of containers.
    id_stored: int
    #: Where files for containers that have not run yet are put.
    given: str
    lxcfs: str = "/usr/bin/lxcfs"
    #: Sysbox's own runtime, or "" where there is none.
    sysbox: str = ""
    #: Whether what it starts is served by sysbox-fs.
    sysbox_fs: bool = False
    library: str = ""

    @classmethod
    def read(cls, library: str) -> "Config":
        """Return what is in a directory. Raises OSError, ValueError or TypeError for damage."""
        with open(os.path.join(library, "runtime.json"), encoding="utf-8") as file:
            return cls(**json.load(file), library=library)

    @property
    def stage(self) -> str:
        """Where containers are staged, each in a mount namespace of its own."""
        return os.path.join(self.state, "stage")

    @property
    def attached(self) -> str:
        """What was mounted in containers that ran already, a file each (attached.py)."""
        return os.path.join(self.state, attached.NAME)

    @property
    def ranges(self) -> Ranges:
        """The id ranges of this installation."""
        return Ranges(self.state, self.id_base, self.id_count, self.id_stored)

    def ours(self, kind: Kind) -> str:
        """Return the program of a runtime of ours."""
        return os.path.join(self.library, kind.name)

    def real(self, kind: Kind) -> str:
        """Return the program that a runtime of ours becomes."""
        return str(getattr(self, kind.program))

    def options(self, kind: Kind) -> list[str]:
        """Return the global options with which that program makes a container.

        sysbox-fs answers for mount(2) in all of it, as uid 0 and from within all namespaces of who
        calls: a proc of bubblewrap's it cannot mount (EINVAL), which has no uid 0.
        """
        return ["--no-sysbox-fs"] if kind.program == "sysbox" and not self.sysbox_fs else []
