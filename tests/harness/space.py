"""A workspace of a test, and the box it may have."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from containai.boxes import volumes
from containai.boxes.workspace import box_name

from .site import Done, Site, Word


class Space:
    """A workspace of a test, and the box it may have."""

    def __init__(self, site: Site, path: str) -> None:
        self.site = site
        self.path = path
        #: What `cai run` is told so that it takes a workspace of another user's.
        self.force = () if os.stat(path).st_uid == os.getuid() else ("--force",)

    @property
    def box(self) -> str:
        return box_name(self.path, os.getuid())

    def run(self, *command: Word, **options: Any) -> Done:
        """Run a command in the box with `cai run`."""
        return self.site.cai("run", *self.force, self.path, "--", *command, **options)

    def sh(self, script: str, **options: Any) -> str:
        """Run a shell script in the box; return its output."""
        return self.run("sh", "-c", script, **options).stdout.decode().strip()

    def inspect(self) -> dict[str, Any]:
        """Return what the engine knows of the box."""
        return self.site.inspect(self.box)

    @property
    def port(self) -> int:
        return int(self.inspect()["Config"]["Labels"]["containai.ssh-port"])

    def host_key(self) -> str:
        return self.sh("cat /etc/ssh/ssh_host_ed25519_key.pub")

    def id_range(self) -> tuple[int, int]:
        """Return the first host id of the box's root and how many there are."""
        inside, outside, count = self.sh("cat /proc/self/uid_map").splitlines()[0].split()
        assert inside == "0"
        return int(outside), int(count)

    def close_connection(self) -> None:
        """End the shared ssh connection, as a reboot of the host or four hours would."""
        socket = self.site.layout.control_socket(self.box)
        ssh = ["ssh", "-F", "/dev/null", "-S", socket, "-O", "exit", self.box]
        subprocess.run(ssh, capture_output=True, check=False)


MakeSpace = Callable[..., Space]


#: What is said where a box goes and its data does not.
_STAYS = b"its data volume"


def remove(spaces: Sequence[Space]) -> None:
    """Remove boxes and workspaces, and fail for what is said about that."""
    if not spaces:
        return
    site = spaces[0].site
    # Through cai, as a test may have left the engine dead.
    site.cai("engine", "start")
    boxes = {space.box for space in spaces} & site.container_names()
    for box in boxes:
        site.inspect(box)
    if boxes:
        # An orderly stop is not what is tested here, and takes a second each.
        site.docker("kill", *boxes, check=False)
    pipes: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
    }
    ends = [site.start("rm", "--name", box, **pipes) for box in boxes]
    said = [end.communicate()[1] for end in ends]
    # Those outlive boxes.
    own = (name for space in spaces for name in volumes.names(space.path, os.getuid()))
    left = {*own} & {*site.docker("volume", "ls", "--quiet").split()}
    if left:
        site.docker("volume", "rm", *left)
    for space in spaces:
        shutil.rmtree(space.path, ignore_errors=True)
    done = zip(ends, said, strict=True)
    assert [(end.returncode, each) for end, each in done if each and _STAYS not in each] == []


def making(site: Site) -> Iterator[MakeSpace]:
    """Give a function that makes workspaces; remove them and their boxes afterwards."""
    parent = tempfile.mkdtemp(prefix="t", dir=os.path.join(site.root, "ws"))
    os.chmod(parent, 0o755)
    made: list[Space] = []

    def make(name: str = "project", owner: int = 0) -> Space:
        path = os.path.join(parent, name)
        os.mkdir(path)
        os.chown(path, owner, owner)
        made.append(Space(site, path))
        return made[-1]

    yield make
    remove(made)
    shutil.rmtree(parent)
