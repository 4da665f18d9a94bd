"""What there is of a site's boxes, spare or claimed, and of who works with them."""

import contextlib
import json
import os
import re
import subprocess
import sys
from typing import NamedTuple

from containai.boxes import claims
from containai.engine import daemon
from containai.host import files, processes
from containai.layout import DATA_IN_BOX, LABEL_SPARE, WORKSPACE_IN_BOX

from .site import text
from .waiting import eventually

#: What makes the spares that are lacking, as the keeper has it made.
HAVE = """\
import os
from containai.app import App
from containai.flows import keeper
from containai.layout import Layout
keeper.have(App(Layout.from_environment(), keeper._Asking(), environ=os.environ))
"""


class Seen(NamedTuple):
    """A container, with what it got while it ran."""

    id: str
    name: str
    is_spare: bool
    pid: int
    sources: tuple[str, ...]
    workspace: str
    data: str

    @property
    def is_unclaimed(self):
        return self.is_spare and not self.workspace


def words_of(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
        return os.fsdecode(file.read()).split("\0")
    return []


def parent_of(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return int(file.read().rpartition(")")[2].split()[1])
    return 0


def pids():
    return [int(each) for each in os.listdir("/proc") if each.isdigit()]


def names_in(directory):
    with contextlib.suppress(FileNotFoundError):
        return sorted(os.listdir(directory))
    return []


class Around:
    """What there is of a site's boxes, spare or not, and of who works with them.

    Beside those that were there before, and their volumes.
    """

    def __init__(self, site):
        self.site = site
        self.layout = site.layout
        self.others: set[str] = set()
        self.others = {each.name for each in self.containers()}
        self.sockets = set(names_in(self.layout.control_dir))
        self.known = set(self._known())
        self.volumes = set(site.docker("volume", "ls", "--quiet").split())

    def containers(self):
        ids = self.site.docker("ps", "--all", "--quiet", "--no-trunc").split()
        socket = f"unix://{self.layout.engine_socket}"
        argv = ["docker", "--host", socket, "container", "inspect", *ids]
        # Without those that go meanwhile.
        done = subprocess.run(argv, capture_output=True, text=True, check=False) if ids else None
        seen = [self._seen(each) for each in json.loads(done.stdout if done else "[]")]
        return [each for each in seen if each.name not in self.others]

    def _seen(self, inspected):
        mounts = {each["Destination"]: each for each in inspected["Mounts"]}
        binds = [each["Source"] for each in mounts.values() if each["Type"] == "bind"]
        record = self.record(inspected["Id"])
        claimed = record.get("claimed", [])
        places = {target: source for source, target, _ in claimed}
        own = mounts.get(WORKSPACE_IN_BOX, {}).get("Source", "")
        return Seen(
            inspected["Id"],
            inspected["Name"].removeprefix("/"),
            LABEL_SPARE in inspected["Config"]["Labels"],
            inspected["State"]["Pid"],
            (*binds, *(source for source, _, _ in claimed)),
            own or places.get(WORKSPACE_IN_BOX, ""),
            mounts.get(DATA_IN_BOX, {}).get("Name", ""),
        )

    def record(self, container):
        said = json.loads(files.read(os.path.join(self.layout.attached, container)) or "{}")
        return said if isinstance(said, dict) else {}

    def records(self):
        """Return the workspaces for which there is a record of a claim."""
        found = [self.record(each) for each in names_in(self.layout.attached) if "." not in each]
        return {source for each in found for source, _, _ in each.get("claimed", [])}

    def keepers(self):
        """Return the keeper of spares and its children: of a `cai run` that nobody waits for."""
        ours = f"CONTAINAI_ROOT={self.site.root}".encode()
        found = []
        for pid in pids():
            if words_of(pid)[1:4] == ["-m", "containai", "run"] and parent_of(pid) != os.getpid():
                with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
                    if ours in file.read().split(b"\0"):
                        found.append(pid)
        return found

    def end_keeper(self):
        claims.ask(self.layout, claims.END)
        return eventually(lambda: not self.keepers())

    def helpers(self):
        """Return who waits for claims: container → pid."""
        with open("/proc/net/unix", encoding="utf-8", errors="replace") as file:
            fields = [line.split() for line in file]
        bound = {each[6]: each[7] for each in fields if len(each) == 8}
        sockets = {
            f"socket:[{inode}]": match[1]
            for inode, path in bound.items()
            if (match := re.search(r"/([0-9a-f]{64})\.claim$", path))
        }
        found = {}
        for pid in pids():
            if not any(self.site.root + "/" in word for word in words_of(pid)):
                continue
            with contextlib.suppress(OSError):
                for fd in os.listdir(f"/proc/{pid}/fd"):
                    container = sockets.get(os.readlink(f"/proc/{pid}/fd/{fd}"))
                    if container:
                        found[container] = pid
        return found

    def masters(self):
        """Return the processes of control connections: pid → path of its socket, as it was made."""
        path = re.compile(rf"({re.escape(self.layout.control_dir)}/\w{{16}})(?!\w)")
        found = {}
        for pid in pids():
            words = words_of(pid)
            if "-fN" in words or "[mux]" in "".join(words[:1]):
                match = path.search(" ".join(words))
                found |= {pid: match[1]} if match else {}
        theirs = {self.layout.control_socket(each) for each in self.others}
        return {pid: socket for pid, socket in found.items() if socket not in theirs}

    def engine(self, victim):
        if victim == "dockerd":
            return [pid for pid in [daemon.running_pid(self.layout)] if pid]
        config = f"{self.layout.engine_exec}/containerd/containerd.toml"
        return [each.pid for each in processes.find("containerd") if config in each.words]

    def have(self, count):
        done = subprocess.run(
            [sys.executable, "-c", HAVE],
            env=self.site.environment | {"CONTAINAI_BOX_SPARES": str(count)},
            capture_output=True,
            check=False,
        )
        return done.returncode, text(done)

    def settled(self, count):
        """Have so many spares; return what is wrong with that."""
        # Where the keeper is at it already, it is waited for.
        told = []

        def attempt():
            told.append(self.have(count))
            return told[-1][0] == 0

        if not eventually(attempt, 120):
            return [f"spares cannot be made: {told[-1][1][-2000:]}"]
        spares = json.loads(self.site.cai("ls", "--spares", "--json").stdout)
        if [each["is_ready"] for each in spares] != [True] * count:
            return [f"{count} spares were to be ready: {spares}"]
        return []

    def _known(self):
        """Return what ssh knows of boxes."""
        hosts = names_in(self.layout.ssh_blocks)
        blocks = [each.removesuffix(".conf") for each in hosts if each != "direct"]
        known = (files.read(self.layout.known_hosts) or "").splitlines()
        pinned = [re.split("[ ,]", line)[0].removeprefix("containai-") for line in known]
        return [*(f"block {each}" for each in blocks), *(f"pinned key {each}" for each in pinned)]

    def left(self):
        """Return what there is of spares and boxes that there are none of."""
        self.site.prune()
        there = self.containers()
        names = {each.name for each in there} | self.others
        ids = {*self.site.docker("ps", "--all", "--quiet", "--no-trunc").split()}
        layout, left = self.layout, []
        known = (each for each in self._known() if each not in self.known)
        left += [each for each in known if each.split(" ")[-1] not in names]
        sockets = {layout.control_socket(each) for each in names}
        # A killed keeper's is the next one's to replace.
        sockets.add(claims.socket_path(layout))
        there_now = set(names_in(layout.control_dir)) - self.sockets
        found = [os.path.join(layout.control_dir, each) for each in sorted(there_now)]
        lost = [each for each in found if each not in sockets and each != layout.agent_link]
        left += [f"control socket {each}" for each in lost]
        attached = names_in(layout.attached)
        left += [f"attached {each}" for each in attached if each.partition(".")[0] not in ids]
        spare = {each.id for each in there if each.is_unclaimed}
        waiting = self.helpers().items()
        left += [f"helper {pid} of {each}" for each, pid in waiting if each not in spare]
        # Any is somebody's: of a box that stands.
        masters = self.masters()
        if len(masters) > sum(each.pid > 0 for each in there):
            left.append(f"{len(masters)} control connections: {masters}, {names}")
        volumes = set(self.site.docker("volume", "ls", "--quiet").split())
        left += [f"note of a volume {each}" for each in names_in(layout.spares)
                 if each not in volumes]  # fmt: skip
        used = self.site.docker("volume", "ls", "--quiet", "--filter", "dangling=true").split()
        # Of a spare that was killed in the making: whose that is, only its user knows (cai prune).
        mine = self.site.docker("volume", "ls", "--quiet", "--filter", "label=containai.workspace=")
        unsaid = set(mine.split()) - set(names_in(layout.spares))
        return left + [f"volume {each}" for each in used if each not in unsaid | self.volumes]


def is_mounted(pid, path):
    """Whether a process sees a directory of the host's mounted anywhere."""
    own = os.path.join("/", *path.split("/")[-3:])
    with contextlib.suppress(OSError), open(f"/proc/{pid}/mountinfo", encoding="utf-8") as file:
        return any(line.split(" ")[3].endswith(own) for line in file)
    return False
