"""The paths, sockets, units and ids of the machine's part, that all its users share."""

import os
import zlib

DEFAULT_ROOT = "/"
RUNTIME = "cai-runc"
PUBLISHED = "docker-proxy"
#: How many ids a box has (runtime/ranges.py; a test compares them).
BOX_IDS = 262_144
SYSBOX_RUNC = "sysbox-runc"
#: What the engine starts by that name: it prepares a bundle as cai-runc does, for Sysbox's own.
SYSBOX_WRAPPER = "cai-sysbox-runc"


class MachineLayout:
    """Where things of the machine are, for one root: "/" except in tests."""

    def __init__(self, root: str) -> None:
        self.root = os.path.abspath(root)

    def _at(self, path: str) -> str:
        return os.path.join(self.root, path)

    @property
    def is_default(self) -> bool:
        """Whether this is the machine's own ContainAI, not one under a root of a test."""
        return self.root == DEFAULT_ROOT

    @property
    def owners(self) -> tuple[int, ...]:
        """Who may own the files of the machine: root; of a test's own, whoever runs it."""
        return (0,) if self.is_default else (0, os.geteuid())

    # The engine.
    @property
    def engine_socket(self) -> str:
        """The socket of the private dockerd."""
        return self._at("var/run/containai-docker.sock")

    @property
    def engine_config(self) -> str:
        """daemon.json of the private dockerd."""
        return self._at("etc/containai/docker/daemon.json")

    @property
    def engine_data(self) -> str:
        """Data root: images, containers, volumes."""
        return self._at("var/lib/containai-docker")

    @property
    def engine_exec(self) -> str:
        """Exec root: what lives as long as the daemon and its containers."""
        return self._at("var/run/containai-docker")

    @property
    def engine_bundles(self) -> str:
        """Where containerd has a directory for every container that runs."""
        return f"{self.engine_exec}/containerd/daemon/io.containerd.runtime.v2.task/moby"

    @property
    def engine_pidfile(self) -> str:
        """Pid file of the private dockerd."""
        return self._at("var/run/containai-docker.pid")

    @property
    def engine_log(self) -> str:
        """Log of the engine where systemd does not keep one."""
        return self._at("var/log/containai-docker.log")

    @property
    def engine_unit(self) -> str:
        """Name of the engine's systemd unit."""
        return "containai-docker.service"

    @property
    def engine_unit_file(self) -> str:
        """Path of the engine's systemd unit."""
        return self._at(f"etc/systemd/system/{self.engine_unit}")

    @property
    def engine_running_config(self) -> str:
        """The copy of daemon.json that the running dockerd has read."""
        return os.path.join(self.engine_exec, "daemon.json")

    @property
    def lxcfs_unit(self) -> str:
        """Name of the systemd unit of our lxcfs."""
        return "containai-lxcfs.service"

    @property
    def resolver_unit(self) -> str:
        """Name of the systemd unit of the resolver of boxes."""
        return "containai-dns.service"

    @property
    def resolver_log(self) -> str:
        """Log of the resolver where systemd does not keep one."""
        return self._at("var/log/containai-dns.log")

    @property
    def lxcfs_log(self) -> str:
        """Log of our lxcfs where systemd does not keep one."""
        return self._at("var/log/containai-lxcfs.log")

    @property
    def lxcfs_lock(self) -> str:
        """Locked by the process that keeps our lxcfs alive (`cai-runc lxcfs`). Root's alone."""
        return os.path.join(self.runtime_state, "lxcfs.lock")

    @property
    def kills(self) -> str:
        """Where the keeper of lxcfs notes, by container, what the kernel ended for memory."""
        return os.path.join(self.runtime_state, "oom")

    @property
    def attached(self) -> str:
        """Where the runtime records, by container, what was mounted in one that ran."""
        return os.path.join(self.runtime_state, "attached")

    @property
    def lxcfs_pidfile(self) -> str:
        """Pid of that process, for users, who may not ask the lock."""
        return os.path.join(self.runtime_state, "lxcfs.pid")

    @property
    def engine_program(self) -> str:
        """The program that surrounds a start and a stop of dockerd."""
        return os.path.join(self.runtime_dir, "engine")

    @property
    def engine_group(self) -> str:
        """The group that may use the engine's socket: it is root on this machine."""
        return "containai" if self.is_default else "root"

    @property
    def network_program(self) -> str:
        """The program that makes the network of boxes."""
        return os.path.join(self.runtime_dir, "network")

    @property
    def opened_ports(self) -> str:
        """The ports of the host that its administrator opened to boxes, "tcp 5432" a line."""
        return self._at("etc/containai/host-ports")

    @property
    def engine_pins(self) -> str:
        """Where cai-runc notes which port of the bridge has which MAC and address."""
        return os.path.join(self.engine_exec, "pins")

    @property
    def engine_given(self) -> str:
        """What boxes are given before their first boot, until cai-runc takes it (and engine.sh)."""
        return os.path.join(self.engine_exec, "given")

    @property
    def engine_moved(self) -> str:
        """Which ports of containers are to be others once the engine starts (engine.sh)."""
        return os.path.join(self.engine_exec, "moved")

    @property
    def host_resolver(self) -> str:
        """The configuration of the host's resolver (resolv.conf(5)), which boxes follow."""
        own = self._at("etc/resolv.conf")
        return own if os.path.lexists(own) else "/etc/resolv.conf"

    @property
    def network_unit(self) -> str:
        """Name of the systemd unit that makes the network of boxes."""
        return "containai-network.service"

    @property
    def sysctl_file(self) -> str:
        """What raises limits of the kernel at boot. The first by name: any other overrules it."""
        return self._at("etc/sysctl.d/00-containai.conf")

    @property
    def bridge(self) -> str:
        """Name of the engine's bridge (a host-wide name, at most 15 characters)."""
        return "cai0" if self.is_default else f"cai{self.number:08x}"

    @property
    def number(self) -> int:
        """A number of this root's own, 0 for the machine's: of equal choices, which comes first."""
        return 0 if self.is_default else zlib.crc32(self.root.encode())

    # The embedded runtime.
    @property
    def runtime_dir(self) -> str:
        """Where cai-runc is installed; only root writes there."""
        return self._at("usr/local/lib/containai")

    @property
    def runtime_program(self) -> str:
        """The program that daemon.json names."""
        return os.path.join(self.runtime_dir, RUNTIME)

    @property
    def sysbox_wrapper(self) -> str:
        """The program that daemon.json names for Sysbox."""
        return os.path.join(self.runtime_dir, SYSBOX_WRAPPER)

    @property
    def published_program(self) -> str:
        """What dockerd starts for a port that a container publishes (runtime/published.py).

        It has the name of Docker's own, by which people know it.
        """
        return os.path.join(self.runtime_dir, PUBLISHED)

    @property
    def version_file(self) -> str:
        """The version of cai that set this machine up."""
        return os.path.join(self.runtime_dir, "version")

    @property
    def runtime_state(self) -> str:
        """The id ranges in use."""
        return self._at("var/lib/containai-runtime")

    @property
    def id_window(self) -> tuple[int, int]:
        """First host id and number of host ids that boxes get their ranges from.

        0x70000000 to 0x7ffdffff is what systemd's UIDS-GIDS table leaves unused: its own container
        ids end at 1879048191 and its foreign ids start at 2147352576. Of these the ones above the
        ids that directory services give out, which no file of the host lists: SSSD's end at
        2000200000 (ldap_idmap_range_max in sssd-ldap(5)), and FreeIPA's below. That leaves 558
        boxes, and `stored_ids`. Another root (a test) has 63 ranges of its own, above it.
        """
        if self.is_default:
            return 0x77400000, 558 * BOX_IDS
        return 0x90000000 + (self.number % 64) * 0x1000000, 63 * BOX_IDS

    @property
    def stored_ids(self) -> tuple[int, int]:
        """First and number of the ids that workspaces have on disk for users of boxes.

        The range after those of boxes: root of any box is the first of them.
        """
        first, count = self.id_window
        return first + count, BOX_IDS

    # Sysbox: its release unpacked, the data of its daemons, and which runtime was chosen.
    @property
    def sysbox_dir(self) -> str:
        """Where the programs of the pinned release are; only root writes there."""
        return self._at("usr/local/lib/containai-sysbox")

    @property
    def sysbox_program(self) -> str:
        """Its runtime, to which ours hands over."""
        return os.path.join(self.sysbox_dir, SYSBOX_RUNC)

    @property
    def sysbox_data(self) -> str:
        """The data of sysbox-mgr."""
        return self._at("var/lib/containai-sysbox")

    @property
    def sysbox_mount(self) -> str:
        """Where sysbox-fs mounts its file systems."""
        return self._at("var/lib/containai-sysboxfs")

    @property
    def sysbox_log(self) -> str:
        """Log of its daemons where systemd does not keep one."""
        return self._at("var/log/containai-sysbox.log")

    def unit_file(self, unit: str) -> str:
        """Path of a systemd unit of ours."""
        return self._at(f"etc/systemd/system/{unit}")

    @property
    def subordinate_ids(self) -> tuple[str, str]:
        """Which user owns which ids of user namespaces (subuid(5)): uids, gids."""
        return self._at("etc/subuid"), self._at("etc/subgid")

    @property
    def runtime_choice(self) -> str:
        """Which runtime `cai setup` chose for this machine, and why."""
        return self._at("var/lib/containai/runtime.json")

    @property
    def downloads(self) -> str:
        """Pinned files from the network."""
        return self._at("var/lib/containai/downloads")

    @property
    def install_record(self) -> str:
        """What `cai setup` installed on this machine, so that uninstall can name it."""
        return self._at("var/lib/containai/installed.json")

    @property
    def lock_dir(self) -> str:
        """Locks that all users of the engine share; root's, for everybody to read."""
        return self._at("var/lib/containai/locks")

    @property
    def build_dir(self) -> str:
        """Where root file systems are made; empty between builds."""
        return self._at("var/lib/containai/build")
