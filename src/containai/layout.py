"""Every path, socket, unit, bridge and label of ContainAI, once, as a value.

Nothing is computed at import time. Tests pass another root for a whole ContainAI of their own.
"""

import os
import stat
import zlib

from containai.machine_layout import DEFAULT_ROOT, MachineLayout

#: The home of the agent in every box.
HOME_IN_BOX = "/home/agent"
#: Where a box sees its workspace.
WORKSPACE_IN_BOX = "/home/agent/workspace"
#: Where a box sees its data volume: what is to outlive it.
DATA_IN_BOX = "/mnt/agent-data"
#: A tmpfs here makes a container a box for `cai-runc`, which puts a proc and a sysfs into it.
GUEST_DIRECTORY = "/dev/.containai"
#: The unprivileged user that the agent runs as, in every image.
AGENT_USER = "agent"
AGENT_UID = 1000

#: The variable that has all those in it which one session is given.
SESSION_VARIABLE = "CONTAINAI_SESSION"

#: Bytes that a directory of control sockets may have: a socket path holds 107 (unix(7)), our names
#: take 17 with the slash, and ssh appends 17 of its own while it binds.
SOCKET_DIRECTORY_LENGTH = 107 - 17 - 17

LABEL = "containai."
#: Of a container: it is a box.
LABEL_MANAGED = LABEL + "managed"
#: Of a box: the directory that it was made for, as a real path.
LABEL_WORKSPACE = LABEL + "workspace"
#: Of a box: the port of this machine's loopback that leads to its sshd.
LABEL_SSH_PORT = LABEL + "ssh-port"
#: Of a box or a data volume: the uid of the user whose it is.
LABEL_OWNER = LABEL + "owner"
#: Of a box: where sessions start in it, where that is not ~/workspace.
LABEL_START = LABEL + "start"
#: Of a box that was made before anybody wanted one: which ones it is as good as (boxes/spares.py).
LABEL_SPARE = LABEL + "spare"
#: Of a container that is never started: the id of the box that it holds a volume for.
LABEL_HOLDS = LABEL + "holds"
#: How the names of spare boxes begin until somebody does. No user can choose one.
SPARE = "spare."
#: Of a volume: whose box it is a part of, and the box's name.
LABEL_PART_OF = LABEL + "part-of"
#: Of a volume: what it is for.
LABEL_KIND = LABEL + "kind"
KIND_DATA = "data"
#: Of an image: the digest of the recipe that it was made by.
LABEL_RECIPE = LABEL + "recipe"

#: Of an instance at a remote place: it is a box, of this directory of its user's machine.
REMOTE_WORKSPACE = "user.containai.workspace"
#: The same: the fingerprint of its user's certificate.
REMOTE_OWNER = "user.containai.owner"
#: Of a project there: the package of Incus that its server had when it was prepared last.
REMOTE_PACKAGE = "user.containai.package"

#: What this machine is called among places.
LOCAL = "local"

IMAGE_REPOSITORY = "ghcr.io/containai"
DOCKER_CONTEXT = "docker-containai"


class Layout(MachineLayout):
    """Where things are, for one root (the machine) and one home (the user).

    `root` is "/" except in tests; `home` is the invoking user's; `uid` is the user's own id.
    """

    def __init__(self, root: str, home: str, uid: int, user_runtime_dir: str = "") -> None:
        super().__init__(root)
        self.home = home
        self.uid = uid
        self._user_runtime_dir = user_runtime_dir

    @classmethod
    def from_environment(cls) -> "Layout":
        """Return the layout of this user on this machine. CONTAINAI_ROOT moves the machine part."""
        environ = os.environ
        home = environ.get("HOME") or os.path.expanduser("~")
        root = environ.get("CONTAINAI_ROOT", DEFAULT_ROOT)
        uid = os.getuid()
        runtime = environ.get("XDG_RUNTIME_DIR", "")
        # sudo and su keep the variable of another user, or one whose directory has gone.
        if runtime and not _is_own_directory(runtime, uid):
            runtime = ""
        return cls(root, home, uid, runtime)

    # The user's own.
    @property
    def own_environment(self) -> str:
        """The Python environment of cai itself, where install.sh made it."""
        return os.path.join(self.home, ".local/share/containai/venv")

    @property
    def config_dir(self) -> str:
        """ContainAI's configuration of this user."""
        return os.path.join(self.home, ".config/containai")

    @property
    def config_file(self) -> str:
        """The user's settings."""
        return os.path.join(self.config_dir, "config.toml")

    @property
    def trusted(self) -> str:
        """What the user trusts of workspaces: settings and Dockerfiles, a file a workspace."""
        return os.path.join(self.config_dir, "trusted")

    @property
    def kills_seen(self) -> str:
        """What the user was told of processes that were ended for memory: as new as that is."""
        return os.path.join(self.config_dir, "kills-seen")

    @property
    def ssh_key(self) -> str:
        """Private key of this installation (ed25519)."""
        return os.path.join(self.config_dir, "id_containai")

    @property
    def known_hosts(self) -> str:
        """Pinned host keys, one a box."""
        return os.path.join(self.config_dir, "known_hosts")

    @property
    def remotes(self) -> str:
        """The remote places that the user has added: where they are, and their pins."""
        return os.path.join(self.config_dir, "remotes.json")

    @property
    def remote_key(self) -> str:
        """Private key of this user's certificate, by which remote places know them (P-256)."""
        return os.path.join(self.config_dir, "client.key")

    @property
    def remote_certificate(self) -> str:
        """The certificate itself, signed by its own key."""
        return os.path.join(self.config_dir, "client.crt")

    @property
    def ssh_config(self) -> str:
        """The user's own ssh configuration; gets one Include line."""
        return os.path.join(self.home, ".ssh/config")

    @property
    def ssh_blocks(self) -> str:
        """Directory of the host blocks."""
        return os.path.join(self.home, ".ssh/containai.d")

    @property
    def ssh_direct(self) -> str:
        """What host blocks include."""
        return os.path.join(self.ssh_blocks, "direct")

    def ssh_block(self, box: str) -> str:
        """Path of a box's host block; a spare's is none that ssh reads and editors list."""
        return os.path.join(self.ssh_blocks, box if box.startswith(SPARE) else f"{box}.conf")

    @property
    def state_dir(self) -> str:
        """State of this user's ContainAI: the lock of what ssh has of boxes."""
        return os.path.join(self.home, ".local/state/containai")

    @property
    def spares(self) -> str:
        """Directory of what is known of spare boxes, and of the data volumes that were theirs."""
        return os.path.join(self.state_dir, "spares")

    @property
    def away(self) -> str:
        """Which boxes of the user are on a remote place, and on which."""
        return os.path.join(self.state_dir, "away.json")

    @property
    def away_images(self) -> str:
        """By which fingerprints the images of boxes are known on remote places."""
        return os.path.join(self.state_dir, "away-images.json")

    @property
    def git_links(self) -> str:
        """What boxes have in place of the back links of linked git worktrees, a file each."""
        return os.path.join(self.state_dir, "git")

    @property
    def control_dir(self) -> str:
        """Directory of the ssh control sockets: private to the user, and short.

        The user's runtime directory; where there is none (no systemd, su), below the home; where
        that is too long a path, one that anybody can have made first.
        """
        if self._user_runtime_dir:
            return os.path.join(self._user_runtime_dir, "containai")
        at_home = os.path.join(self.state_dir, "run")
        if len(os.fsencode(at_home)) <= SOCKET_DIRECTORY_LENGTH:
            return at_home
        return self._shared_control_dir

    @property
    def _shared_control_dir(self) -> str:
        return f"/tmp/containai-{self.uid}"  # noqa: S108 - ownership is checked before use

    def control_socket(self, box: str) -> str:
        """Path of a box's control socket.

        The name is a checksum, to be short: of the box and of the configuration it belongs to.
        """
        name = zlib.crc32(f"{self.config_dir}\0{self.root}\0{box}".encode())
        tail = zlib.crc32(box.encode()[::-1] + b"\0" + self.config_dir.encode())
        return os.path.join(self.control_dir, f"{name:08x}{tail:08x}")

    @property
    def agent_link(self) -> str:
        """A link to the ssh agent of whoever ran cai last: where boxes reach it, they do by this.

        Control connections outlive the agent that there was when they began.
        """
        return os.path.join(self.control_dir, "agent")

    def agent_socket(self, box: str) -> str:
        """Path of the socket of a box's own ssh agent, which signs for some hosts only."""
        return self.control_socket(box) + "a"

    def forwarded(self, box: str) -> str:
        """Path of the list of ports that a box's control connection forwards, as ssh is told."""
        return self.control_socket(box) + "f"

    def forward_socket(self, pid: int) -> str:
        """Path of the control socket of a connection that only forwards ports, for one cai."""
        return os.path.join(self.control_dir, f"forward-{pid}")


def is_below(path: str, top: str) -> bool:
    """Whether a path is a directory or in it, by name: both are absolute."""
    return path == top or path.startswith(top.rstrip("/") + "/")


def _is_own_directory(path: str, uid: int) -> bool:
    try:
        seen = os.lstat(path)
    except OSError:
        return False
    return seen.st_uid == uid and stat.S_ISDIR(seen.st_mode)
