"""The disk of a fresh server: built with mmdebstrap, furnished, and kept in a cache.

Nothing here mounts or attaches anything: mmdebstrap leaves a directory, `mke2fs -d` makes a file
system of it. Building needs root, for the ownership of the files in between.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

HOST_PACKAGES = ("e2fsprogs", "mmdebstrap", "openssh-client", "qemu-system-x86", "qemu-utils")
DEFAULT_CACHE = Path("/var/cache/containai-tests")
DISK_SIZE = "12G"
KEEP_UNUSED_DAYS = 14  # then an image nobody used makes room

CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
CA_PACKAGED = Path("/usr/share/ca-certificates")
# For the clients that bring their own certificates instead of reading the system's.
CA_VARIABLES = ("NODE_EXTRA_CA_CERTS", "PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")

# What a server has beside the essential packages; everything else a test asks for.
PACKAGES = (
    "apparmor",
    "apt",
    "ca-certificates",
    "dbus",
    "iproute2",
    "kmod",
    "libpam-systemd",
    "nftables",
    "openssh-server",
    "procps",
    "python3",
    "sudo",
    "systemd-sysv",
    "udev",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A distribution's release, and where it comes from."""

    name: str
    sources: tuple[str, ...]
    kernel: str
    keyring: str = ""
    """The Debian package that holds the archive's keys, if the host's own keys do not do."""


RELEASES = {
    release.name: release
    for release in (
        Release(
            name="trixie",
            sources=(
                "deb http://deb.debian.org/debian trixie main",
                "deb http://deb.debian.org/debian trixie-updates main",
                "deb http://deb.debian.org/debian-security trixie-security main",
            ),
            kernel="linux-image-cloud-amd64",
        ),
        # Never built: Ubuntu's archive was out of reach.
        Release(
            name="noble",
            sources=(
                "deb http://archive.ubuntu.com/ubuntu noble main universe",
                "deb http://archive.ubuntu.com/ubuntu noble-updates main universe",
                "deb http://archive.ubuntu.com/ubuntu noble-security main universe",
            ),
            kernel="linux-image-virtual",
            keyring="ubuntu-keyring",
        ),
    )
}

# Run in the new system's root. Like any server it has its package lists: fetching and reading them
# takes minutes under emulation. The masked timers would take apt's lock in the middle of a test, or
# the processor. Of systemd's generators, the one wants a vsock and complains that there is none;
# the others find nothing here, and are a third of each `daemon-reload` under emulation, of which
# packages do dozens. The kernel and its initrd come from outside, so no package makes another.
FURNISH = """
useradd --create-home --shell /bin/bash --groups sudo admin
install -D --mode 0600 --owner admin --group admin /root/.ssh/authorized_keys \
    /home/admin/.ssh/authorized_keys
chown admin:admin /home/admin/.ssh
chmod 0700 /root/.ssh /home/admin/.ssh
update-ca-certificates
apt-get clean
apt-cache gencaches
systemd-machine-id-setup
systemctl enable systemd-networkd.service
systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer \
    systemd-tmpfiles-clean.timer getty@tty1.service serial-getty@ttyS0.service
install -d /etc/systemd/system-generators
for name in debug getty gpt-auto hibernate-resume rc-local run ssh system-update tpm2; do
    ln -s /dev/null /etc/systemd/system-generators/systemd-$name-generator
done
if test -x /usr/sbin/update-initramfs; then
    update-initramfs -u
    echo update_initramfs=no >/etc/initramfs-tools/update-initramfs.conf
fi
"""


class BuildError(Exception):
    """The machine's disk could not be made; the message ends with the tool's last words."""


@dataclass(frozen=True, slots=True)
class Image:
    """A built machine's files, all in one directory of the cache."""

    directory: Path

    @property
    def disk(self) -> Path:
        """The root file system, never written after it was made."""
        return self.directory / "disk.raw"

    @property
    def booted(self) -> Path:
        """The first idle moment, a layer over `disk` and the memory; there, so all is there."""
        return self.directory / "booted"

    @property
    def kernel(self) -> Path:
        return self.directory / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """Absent where the kernel finds its disk by itself."""
        return self.directory / "initrd.img"

    @property
    def key(self) -> Path:
        """The private key that logs in as root and admin."""
        return self.directory / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The machine's own key, under the name `machine`."""
        return self.directory / "known_hosts"


def cached(
    release: Release, packages: Sequence[str], cache: Path, complete: Callable[[Image], None]
) -> Image:
    """Return the image for `release` and `packages`; build it and `complete` it if it is new."""
    cache.mkdir(parents=True, exist_ok=True)
    packages = tuple(sorted({*PACKAGES, *packages}))
    image = Image(cache / f"{release.name}-{_fingerprint(release, packages)}")
    with locked(cache / "lock"):
        if not image.booted.exists():
            shutil.rmtree(image.directory, ignore_errors=True)
            image.directory.mkdir(mode=0o700)
            _build(release, packages, image)
            complete(image)
        os.utime(image.directory)
        _make_room(cache)
    return image


def tool(argv: Sequence[str], log: Path) -> None:
    """Run a program that dies with us, its output going to `log`."""
    with log.open("ab") as output:
        command = ["setpriv", "--pdeathsig", "KILL", *argv]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    if done.returncode:
        raise BuildError(f"{shlex.join(argv)}: exit {done.returncode}\n{log.read_text()[-3000:]}")


def _build(release: Release, packages: Sequence[str], image: Image) -> None:
    if os.geteuid() != 0:
        raise BuildError("building a machine needs root, to keep the owners of its files")
    log = image.directory / "build.log"
    tool(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(image.key)], log)
    with tempfile.TemporaryDirectory(prefix="build-", dir=image.directory) as scratch:
        root = Path(scratch, "root")
        furniture = Path(scratch, "furniture.tar")
        _write_tar(furniture, furnishings(release, image.key.with_suffix(".pub").read_text()))
        argv = [
            "mmdebstrap", "--mode", "root", "--variant", "minbase", "--format", "directory",
            "--skip=cleanup/apt",
            "--include", ",".join((*packages, release.kernel)),
            "--customize-hook", f"tar-in {shlex.quote(str(furniture))} /",
            "--customize-hook", f'chroot "$1" sh -eu -c {shlex.quote(FURNISH)}',
            *_keyring(release, Path(scratch), log),
            release.name, str(root), *release.sources,
        ]  # fmt: skip
        tool(argv, log)
        shutil.copyfile(next(root.glob("boot/vmlinuz-*")), image.kernel)
        for initrd in root.glob("boot/initrd.img-*"):
            shutil.copyfile(initrd, image.initrd)
        host_key = (root / "etc/ssh/ssh_host_ed25519_key.pub").read_text()
        image.known_hosts.write_text(f"machine {host_key}")
        tool(["mke2fs", "-q", "-t", "ext4", "-d", str(root), str(image.disk), DISK_SIZE], log)


def _keyring(release: Release, scratch: Path, log: Path) -> list[str]:
    """Fetch the keys of a foreign archive as a package that the host's own archive vouches for."""
    if not release.keyring:
        return []
    keys = scratch / "keys"
    argv = ["mmdebstrap", "--mode", "root", "--variant", "extract", "--format", "directory"]
    debian = RELEASES["trixie"]
    tool([*argv, "--include", release.keyring, debian.name, str(keys), *debian.sources], log)
    return ["--keyring", str(next(keys.glob("usr/share/keyrings/ubuntu-archive-keyring.gpg")))]


def furnishings(release: Release, public_key: str) -> dict[str, str]:
    """Return the files, by path, that make a bare system this harness's machine."""
    authorities = extra_authorities()
    environment = [f"{name}={CA_BUNDLE}" for name in CA_VARIABLES] if authorities else []
    return {
        "etc/apt/apt.conf.d/90machine": 'Acquire::Languages "none";\n',
        "etc/apt/sources.list": "\n".join((*release.sources, "")),
        "etc/default/locale": "LANG=C.UTF-8\n",
        # What dpkg unpacks need not survive a power cut: without hundreds of fsync it is faster.
        "etc/dpkg/dpkg.cfg.d/machine": "force-unsafe-io\n",
        # Emulated, a box takes minutes.
        "etc/environment": "\n".join((*environment, "CONTAINAI_SSH_TIMEOUT=600", "")),
        "etc/hostname": "machine\n",
        "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 machine\n",
        # A boot under emulation is short of everything; the standard initrd tries every driver.
        "etc/initramfs-tools/conf.d/machine": "MODULES=list\n",
        "etc/initramfs-tools/modules": "virtio_blk\nvirtio_pci\n",
        "etc/resolv.conf": "nameserver 10.0.2.3\n",
        "etc/sudoers.d/admin": "admin ALL=(ALL:ALL) NOPASSWD: ALL\n",
        # QEMU's user-mode network is always this one; asking for it by DHCP would take seconds.
        "etc/systemd/network/10-machine.network": "[Match]\nType=ether\nKind=!*\n"
        "[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\n",
        "root/.ssh/authorized_keys": public_key,
    } | {
        f"usr/local/share/ca-certificates/host-{number}.crt": certificate
        for number, certificate in enumerate(authorities)
    }


def extra_authorities() -> list[str]:
    """Return the certificates the host trusts and its distribution did not bring."""
    if not CA_BUNDLE.exists():
        return []
    packaged: set[str] = set()
    for path in CA_PACKAGED.rglob("*.crt"):
        packaged.update(_certificates(path.read_text()))
    return [one for one in _certificates(CA_BUNDLE.read_text()) if one not in packaged]


def _certificates(text: str) -> list[str]:
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    return [match + "\n" for match in re.findall(f"{begin}.*?{end}", text, re.DOTALL)]


def _write_tar(path: Path, files: dict[str, str]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, text in files.items():
            content = text.encode()
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(content), 0o644, int(time.time())
            archive.addfile(member, io.BytesIO(content))


def _fingerprint(release: Release, packages: Sequence[str]) -> str:
    qemu = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, check=True)
    # A machine's memory knows how fast the cycle counter runs, and that is the host's own.
    processor = re.findall(r"^model name.*", Path("/proc/cpuinfo").read_text(), re.MULTILINE)[:1]
    sources = [
        Path(__file__).with_name(name).read_text() for name in ("build.py", "qemu.py", "machine.py")
    ]
    facts = [astuple(release), packages, extra_authorities(), qemu.stdout.decode(), processor]
    return hashlib.sha256(json.dumps([*facts, *sources]).encode()).hexdigest()[:12]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock on the file `path`, which other processes hold one after another."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make_room(cache: Path) -> None:
    for directory in cache.glob("*-*/"):
        if time.time() - directory.stat().st_mtime > KEEP_UNUSED_DAYS * 86400:
            shutil.rmtree(directory, ignore_errors=True)
