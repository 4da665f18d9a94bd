"""What a box is, as the arguments of `docker create`. Pure."""

from typing import NamedTuple

from containai.boxes import limits
from containai.boxes.limits import Limits
from containai.boxes.places import Mount
from containai.engine import network as networks
from containai.layout import (
    DATA_IN_BOX,
    GUEST_DIRECTORY,
    KIND_DATA,
    LABEL_KIND,
    LABEL_MANAGED,
    LABEL_OWNER,
    LABEL_PART_OF,
    LABEL_SPARE,
    LABEL_SSH_PORT,
    LABEL_START,
    LABEL_WORKSPACE,
    SPARE,
    WORKSPACE_IN_BOX,
)
from containai.machine_layout import RUNTIME

#: systemd's request for an orderly halt of a container (systemd(1), SIGRTMIN+3).
STOP_SIGNAL = "SIGRTMIN+3"
STOP_TIMEOUT = 100
INIT = ("/sbin/init", "--log-level=err")
SSH_PORT_IN_BOX = 22
#: What systemd and a nested Docker need. It all holds in the box's own user namespace only; which
#: runtime starts the box is what makes it so.
RIGHTS = (
    "--cap-add", "ALL",
    # docker-default forbids every mount.
    "--security-opt", "apparmor=unconfined",
    # A masked or read-only path in /proc keeps nested runtimes from mounting their own: the kernel
    # wants one fully visible proc.
    "--security-opt", "systempaths=unconfined",
    # Makes it a box: see runtime/guest.py.
    "--tmpfs", f"{GUEST_DIRECTORY}:mode=700,size=16k",
)  # fmt: skip
#: The host, by the names that other Dockers have for it: what its user opened is there.
HOST_NAMES = (
    "--add-host", "host.docker.internal:host-gateway",
    "--add-host", f"{networks.HOST_NAME}:host-gateway",
)  # fmt: skip
DOCKER_IN_BOX = "/var/lib/docker"


class BoxSpec(NamedTuple):
    """Everything that a box is made of."""

    name: str
    workspace: str
    image: str
    ssh_port: int
    owner: int
    runtime: str = RUNTIME
    network: str = "bridge"
    limits: Limits = Limits()
    cpuset: str = ""
    #: Whether what is mounted in the workspace is left out.
    skip_mounts: bool = False
    #: Whether it can only read the workspace.
    read_only: bool = False
    #: What it has of the host beside its workspace; one that lies in another comes after it.
    mounts: tuple[Mount, ...] = ()
    #: Where sessions start.
    start: str = WORKSPACE_IN_BOX
    #: Whether the host's kernel knows IPv6: the box then has ::1.
    ipv6: bool = False
    #: The data volume's name, and the other boxes that have it.
    data: str = ""
    sharing: tuple[str, ...] = ()
    #: Of one that is for no workspace yet: which ones it is as good as.
    spare: str = ""


def hostname(name: str, spare: str) -> str:
    """Return a box's host name: its own, which a spare has none yet."""
    return SPARE.rstrip(".") if spare else name


def part_of(owner: int, name: str) -> str:
    """Return the label of the volumes that are parts of a user's box of that name."""
    return f"{LABEL_PART_OF}={owner}:{name}"


def mount(**fields: str) -> str:
    """Return a value for --mount, which is a line of CSV: a path may have commas and quotes."""
    return ",".join(_csv(f"{key}={value}") for key, value in fields.items())


def data_labels(owner: int, workspace: str) -> dict[str, str]:
    """Return the labels of a data volume."""
    return {
        LABEL_MANAGED: "true",
        LABEL_OWNER: str(owner),
        LABEL_WORKSPACE: workspace,
        LABEL_KIND: KIND_DATA,
    }


def _data(spec: BoxSpec) -> list[str]:
    """Return the mount of the data volume, which is there; nothing of the image comes into it."""
    if not spec.data:
        return []
    fields = {"type": "volume", "source": spec.data, "target": DATA_IN_BOX, "volume-nocopy": "true"}
    labels = data_labels(spec.owner, spec.workspace).items()
    return [
        "--mount",
        ",".join([mount(**fields), *(mount(**{"volume-label": f"{k}={v}"}) for k, v in labels)]),
    ]


def _csv(field: str) -> str:
    if any(c in field for c in ',"'):
        return '"' + field.replace('"', '""') + '"'
    return field


def create_arguments(spec: BoxSpec) -> list[str]:
    """Return the arguments of the docker client that make the box, not started."""
    labels = {
        LABEL_MANAGED: "true",
        **({LABEL_SPARE: spec.spare} if spec.spare else {LABEL_WORKSPACE: spec.workspace}),
        LABEL_SSH_PORT: str(spec.ssh_port),
        LABEL_OWNER: str(spec.owner),
        **({LABEL_START: spec.start} if spec.start != WORKSPACE_IN_BOX else {}),
    }
    workspace = [Mount(spec.workspace, WORKSPACE_IN_BOX, not spec.read_only)] * (not spec.spare)
    return [
        "create",
        "--name", spec.name,
        "--hostname", hostname(spec.name, spec.spare),
        "--runtime", spec.runtime,
        "--cgroupns", "private",
        *RIGHTS,
        *limits.creating(spec.limits, spec.cpuset),
        # With the machine, or with its engine, boxes come back; one that was stopped stays so.
        "--restart", "unless-stopped",
        # A console: without one systemd has nowhere to say what is wrong before its journal runs.
        "--tty",
        "--stop-signal", STOP_SIGNAL,
        "--stop-timeout", str(STOP_TIMEOUT),
        *(word for key, value in labels.items() for word in ("--label", f"{key}={value}")),
        "--publish", f"127.0.0.1:{spec.ssh_port}:{SSH_PORT_IN_BOX}",
        *HOST_NAMES,
        # Docker takes it away with all other IPv6.
        *(("--sysctl", "net.ipv6.conf.lo.disable_ipv6=0") if spec.ipv6 else ()),
        "--tmpfs", "/run:exec,mode=755",
        "--tmpfs", "/run/lock",
        *(word for bind in (*workspace, *spec.mounts) for word in _bind(spec, bind)),
        # For the box's own Docker, whose data cannot be on overlay, as the box's root file system
        # is. Nameless: it is this container's and no other's, and goes with it.
        "--mount", mount(
            type="volume", target=DOCKER_IN_BOX,
            **{"volume-label": part_of(spec.owner, spec.name)},
            **({"volume-opt": f"size={spec.limits.disk}"} if spec.limits.disk else {}),
        ),
        *_data(spec),
        spec.image,
        *INIT,
    ]  # fmt: skip


def _bind(spec: BoxSpec, bind: Mount) -> list[str]:
    options = {} if bind.writable else {"readonly": "true"}
    if spec.skip_mounts and bind.source == spec.workspace:
        options["bind-nonrecursive"] = "true"
    return ["--mount", mount(type="bind", source=bind.source, target=bind.target, **options)]
