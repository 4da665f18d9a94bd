"""A whole computer for a test: boots, obeys over SSH, loses power, goes back in time, is discarded.

Everything of a running machine lies in one directory and dies with the process that made it.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, Self

from .build import DEFAULT_CACHE, RELEASES, Image, cached
from .qemu import Emulator, MachineError

User = Literal["root", "admin"]
Result = subprocess.CompletedProcess[str]

# A kept moment is a directory with two files, which nobody writes again.
DISK, MEMORY = "disk.qcow2", "memory"
BOOT_SECONDS = 700  # 45 on an idle computer; many times that on a busy one

# The second disk takes large files in: SSH brings 6 MB/s under emulation, a disk 120.
CARRY_DEVICE = "/dev/disk/by-id/virtio-carry"
CARRY_SIZE = "16G"  # the same for every machine: a snapshot remembers the disk's size


class CommandError(MachineError):
    """A command in the machine ended with another code than 0."""


class Machine:
    """A fresh server with the users root and admin (sudo without a password).

    Make one with `build`; it runs while its context is entered.
    """

    def __init__(self, image: Image, directory: Path | None, carry: Sequence[Path]) -> None:
        self._image = image
        self._parent = directory
        self._carried = {path.name: path for path in carry}
        self._directory = Path()
        self._port = 0
        #: How often it went on from a kept moment: who saw another number is somewhere else.
        self.resumed = 0

    @classmethod
    def build(
        cls,
        release: str = "trixie",
        extra_packages: Iterable[str] = (),
        cache: Path = DEFAULT_CACHE,
        *,
        directory: Path | None = None,
        carry: Sequence[Path] = (),
    ) -> Self:
        """Return a machine that is off, making its image if the cache has none.

        While it runs, its files are below `directory`. The files in `carry` are on its second
        disk, by name: see `carried`.
        """
        image = cached(RELEASES[release], tuple(extra_packages), cache, cls._first_boot)
        return cls(image, directory, carry)

    def __enter__(self) -> Self:
        self._open()
        try:
            self.resume()
        except BaseException:
            self._discard()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._discard()

    @property
    def console(self) -> str:
        """What the machine has written to its serial console, over all its boots."""
        return self._emulator.console

    def run(
        self,
        command: str | Sequence[str],
        *,
        check: bool = True,
        timeout: float = 300,
        user: User = "root",
        stdin: str = "",
    ) -> Result:
        """Run an argv, or a script for bash, as `user`; after `timeout` seconds it is ended."""
        if isinstance(command, str):
            command = ["bash", "--norc", "-euo", "pipefail", "-c", command]
        limited = ["timeout", "--kill-after=10", f"{timeout:.0f}", *command]
        done = self._ssh(user, shlex.join(limited), stdin=stdin, timeout=timeout + 60)
        if check and done.returncode:
            why = "timed out" if done.returncode == 124 else f"exit {done.returncode}"
            raise CommandError(
                f"{shlex.join(command)}: {why}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}\n"
                f"--- console\n{self.console[-1000:]}"
            )
        return done

    def put(self, local: Path, remote: str, *, user: User = "root") -> None:
        """Copy a file or directory into the machine; for a large one, use `carry`."""
        self._scp(str(local), f"{user}@machine:{remote}")

    def get(self, remote: str, local: Path, *, user: User = "root") -> None:
        """Copy a file or directory out of the machine."""
        self._scp(f"{user}@machine:{remote}", str(local))

    def carried(self, name: str) -> str:
        """Return the shell command, for root, that writes the carried file `name` to its stdout."""
        if name not in self._carried:
            raise MachineError(f"{name} is not among the carried: {', '.join(self._carried)}")
        argv = ["tar", "--extract", "--to-stdout", "--file", CARRY_DEVICE, name]
        return shlex.join(argv)

    def boot_id(self) -> str:
        """Return the name of this boot: another after every reboot."""
        return self.run(["cat", "/proc/sys/kernel/random/boot_id"]).stdout.strip()

    def reboot(self) -> None:
        """Reboot in an orderly way and wait until the machine is up again."""
        before = self.boot_id()
        self.run(["systemctl", "reboot"], check=False)
        self._hang_up()
        self._wait_until_up(before)

    def power_cut(self) -> None:
        """Take the power away, give it back, and wait until the machine is up again."""
        self._emulator.stop()
        self._start()
        self._wait_until_up()

    def keep(self, path: Path) -> None:
        """Write memory and disk as they are to `path`, from which any machine can go on."""
        self._save(path)
        self.resume(path)

    def resume(self, path: Path | None = None) -> None:
        """Go on from what `keep` has written, or from the first boot; the clock stays right."""
        self._hang_up()
        # Always in a new QEMU: a cycle counter that goes back under a guest shows it the time since
        # then in one tick, and its watchdogs would kill what they watch.
        self._emulator.quit()
        kept = path or self._image.booted
        _qemu_img("-b", str(kept / DISK), "-F", "qcow2", str(self._emulator.disk))
        self._start(memory=kept / MEMORY)
        self.resumed += 1
        self.run(["date", "--set", f"@{time.time():.0f}"])  # it slept in there

    def _save(self, path: Path) -> None:
        """Write memory and disk to `path`, and turn the machine off."""
        self._hang_up()
        # Whoever sees the directory sees all of it.
        part = path.with_suffix(".part")
        part.mkdir()
        self._emulator.save(part / MEMORY)
        shutil.move(self._emulator.disk, part / DISK)
        part.rename(path)

    @classmethod
    def _first_boot(cls, image: Image) -> None:
        machine = cls(image, image.directory, ())
        machine._open()
        try:
            _qemu_img("-b", str(image.disk), "-F", "raw", str(machine._emulator.disk))
            machine._start()
            machine._wait_until_up()
            machine._save(image.booted)
        finally:
            machine._discard()

    def _open(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="machine-", dir=self._parent))
        self._emulator = Emulator(self._image, self._directory)
        backing: list[str] = []
        if self._carried:
            archive = self._directory / "carry.tar"
            with tarfile.open(archive, "w") as tar:
                for name, path in self._carried.items():
                    tar.add(path, name)
            backing = ["-b", str(archive), "-F", "raw"]
        _qemu_img(*backing, str(self._emulator.carry), CARRY_SIZE)

    def _discard(self) -> None:
        self._hang_up()
        self._emulator.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _start(self, memory: Path | None = None) -> None:
        self._emulator.start(memory)
        self._port = self._emulator.ssh_port()

    def _wait_until_up(self, old_boot: str = "") -> None:
        deadline = time.monotonic() + BOOT_SECONDS
        command = "cat /proc/sys/kernel/random/boot_id"
        while (done := self._ssh("root", command)).returncode or done.stdout.strip() == old_boot:
            if not self._emulator.running or time.monotonic() > deadline:
                raise MachineError(f"no boot: {done.stderr}\n--- console\n{self.console[-4000:]}")
            time.sleep(1)
        self.run(["systemctl", "is-system-running", "--wait"], check=False, timeout=BOOT_SECONDS)

    def _ssh(self, user: User, command: str, *, stdin: str = "", timeout: float = 120) -> Result:
        argv = ["ssh", *self._ssh_options(), f"{user}@machine", "--", command]
        try:
            return subprocess.run(
                argv, input=stdin, capture_output=True, text=True, timeout=timeout
            )
        except subprocess.TimeoutExpired:
            self._hang_up()
            return Result(argv, 255, "", f"no answer in {timeout:.0f} s")

    def _scp(self, source: str, target: str) -> None:
        argv = ["scp", "-q", "-r", "-p", *self._ssh_options(), source, target]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise MachineError(f"{shlex.join(argv)}: {done.stderr}")

    def _ssh_options(self) -> list[str]:
        # One connection a user: a key exchange takes a second in there.
        options = {
            "BatchMode": "yes",
            # Short patience would leave connections behind unauthenticated, and sshd bans for that.
            "ConnectTimeout": "30",
            "ControlMaster": "auto",
            "ControlPath": str(self._directory / "ssh-%r"),
            "ControlPersist": "yes",
            "GlobalKnownHostsFile": "/dev/null",
            "HostKeyAlias": "machine",
            "HostName": "127.0.0.1",
            "IdentitiesOnly": "yes",
            "IdentityFile": str(self._image.key),
            "LogLevel": "ERROR",
            "Port": str(self._port),
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": str(self._image.known_hosts),
        }
        return ["-F", "none", *(f"-o{name}={value}" for name, value in options.items())]

    def _hang_up(self) -> None:
        """End the connections, which outlive neither a reboot nor a change of the past."""
        for path in self._directory.glob("ssh-*"):
            argv = ["ssh", "-F", "none", "-O", "exit", "-o", f"ControlPath={path}", "machine"]
            subprocess.run(argv, capture_output=True)
            path.unlink(missing_ok=True)


def _qemu_img(*arguments: str) -> None:
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", *arguments]
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        raise MachineError(f"{shlex.join(argv)}: {done.stderr.strip()}")
