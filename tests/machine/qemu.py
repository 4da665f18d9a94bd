"""The computer itself: one QEMU process, without hardware virtualisation, and its monitor."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from .build import Image

# They only cost time under emulation: five-level page tables make every page walk longer, "fast"
# string instructions make the kernel copy byte by byte, and libraries compute faster without AVX.
ABSENT_FEATURES = ("la57", "svm", "erms", "fsrm", "avx", "avx2", "f16c", "fma")
# Several TCG threads panic the guest (QEMU 7.2, a race over patched kernel text).
HARDWARE = (
    "-nodefaults", "-no-user-config", "-display", "none",
    "-machine", "pc", "-accel", "tcg,thread=single", "-smp", "1", "-m", "2048",
    "-cpu", ",".join(("max", *(f"{feature}=off" for feature in ABSENT_FEATURES))),
    "-device", "virtio-rng-pci",
)  # fmt: skip

# Drivers for hardware nobody has, or for a speed that emulation does not reach: a tenth of a boot.
UNUSED_MODULES = (
    "aesni_intel", "ata_generic", "ata_piix", "evdev", "ghash_clmulni_intel", "qemu_fw_cfg",
    "serio_raw", "sha1_ssse3", "sha256_ssse3", "sha512_ssse3",
)  # fmt: skip
# QEMU before 8.0 keeps translated code by virtual address: with random ones, every process has its
# libraries translated anew, and starts five times slower.
# Memory in large pages is no faster here, and kcompactd, which makes them, took 3 % of a setup.
# Where the host is busy, too few interrupts of the timer come while the kernel counts them, and it
# panics for that.
KERNEL_ARGUMENTS = (
    "root=/dev/vda rw console=ttyS0 quiet mitigations=off nokaslr norandmaps "
    "transparent_hugepage=never sysctl.vm.compaction_proactiveness=0 no_timer_check "
    f"modprobe.blacklist={','.join(UNUSED_MODULES)}"
)


#: How much less weight than other processes one has (nice(1)): system tests run beside.
NICE = 5


class MachineError(Exception):
    """The machine did not do what was asked."""


class Emulator:
    """QEMU on the disks in `directory`; it dies with the thread that started it."""

    def __init__(self, image: Image, directory: Path) -> None:
        self.disk = directory / "disk.qcow2"
        self.carry = directory / "carry.qcow2"
        self._image = image
        self._monitor = directory / "monitor"
        self._console = directory / "console.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def console(self) -> str:
        """What the machine has written to its serial console, over all its boots."""
        return self._console.read_text(errors="replace") if self._console.exists() else ""

    def start(self, memory: Path | None = None) -> None:
        """Boot from the disk, or go on with the `memory` that was saved together with it."""
        self._monitor.unlink(missing_ok=True)
        argv = ["setpriv", "--pdeathsig", "KILL", "nice", "-n", str(NICE), *self._argv()]
        if memory:
            argv += ["-incoming", f"exec:cat <{shlex.quote(str(memory))}"]
        with self._console.open("ab") as errors:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stderr=errors, start_new_session=True
            )
        # Sessions, too, have a weight, where the kernel groups processes by them (sched(7)).
        with contextlib.suppress(FileNotFoundError):
            Path(f"/proc/{self._process.pid}/autogroup").write_text(str(NICE), encoding="ascii")
        if memory:
            self._wait_while("info status", "inmigrate")
            self.command("cont")

    def save(self, memory: Path) -> None:
        """Stop the machine, write its memory to a file, and end with the disk as it is now."""
        self.command("stop")
        self.command("migrate_set_parameter max-bandwidth 100G")
        self.command(f'migrate -d "exec:cat >{shlex.quote(str(memory))}"')
        said = self._wait_while("info migrate", "Migration status: (setup|active|device)")
        if "Migration status: completed" not in said:
            raise MachineError(f"the memory was not saved: {said}")
        self.quit()

    def stop(self) -> None:
        """End the process as a power cut does: what the guest has not flushed is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def quit(self) -> None:
        """End the process, if there is one, with the disk's file complete."""
        if self._process is not None and self.running:
            with contextlib.suppress(MachineError):  # it may leave without a word
                self.command("quit")
            self._process.wait(60)

    def ssh_port(self) -> int:
        """Return the port on 127.0.0.1 that the kernel chose for the guest's port 22."""
        for line in self.command("info usernet").splitlines():
            if match := re.search(r"HOST_FORWARD\S*\s+\d+\s+127\.0\.0\.1\s+(\d+)", line):
                return int(match[1])
        raise MachineError("QEMU forwards no port")

    def command(self, line: str) -> str:
        """Run a command of QEMU's human monitor and return what it prints."""
        request = {"execute": "human-monitor-command", "arguments": {"command-line": line}}
        try:
            with self._connect() as connection, connection.makefile("rw") as stream:
                stream.readline()  # the greeting
                _ask(stream, {"execute": "qmp_capabilities"})
                return str(_ask(stream, request))
        except ConnectionError as error:
            assert self._process is not None
            self._process.wait(60)  # it has written why
            raise MachineError(f"QEMU has ended\n{self.console[-2000:]}") from error

    def _wait_while(self, command: str, pattern: str) -> str:
        """Return the first answer to `command` in which `pattern` is not found."""
        while re.search(pattern, answer := self.command(command)):
            time.sleep(0.1)
        return answer

    def _connect(self) -> socket.socket:
        deadline = time.monotonic() + 60
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(self._monitor))
            except OSError as error:
                connection.close()
                if not self.running or time.monotonic() > deadline:
                    raise MachineError(f"QEMU does not answer\n{self.console[-2000:]}") from error
                time.sleep(0.1)
            else:
                return connection

    def _argv(self) -> list[str]:
        initrd = ["-initrd", str(self._image.initrd)] if self._image.initrd.exists() else []
        # The guest's flushes reach the host's page cache, which is all that a killed QEMU needs;
        # cache=unsafe spares the host's own disk.
        return [
            "qemu-system-x86_64", *HARDWARE,
            "-kernel", str(self._image.kernel), *initrd, "-append", KERNEL_ARGUMENTS,
            "-drive", f"file={self.disk},format=qcow2,if=none,id=disk,cache=unsafe,discard=unmap",
            "-device", "virtio-blk-pci,drive=disk",
            "-drive", f"file={self.carry},format=qcow2,if=none,id=carry,readonly=on",
            "-device", "virtio-blk-pci,drive=carry,serial=carry",
            "-netdev", "user,id=net,ipv6=off,hostfwd=tcp:127.0.0.1:0-:22",
            "-device", "virtio-net-pci,netdev=net,romfile=",
            "-chardev", f"file,id=console,path={self._console},append=on",
            "-serial", "chardev:console",
            "-qmp", f"unix:{self._monitor},server=on,wait=off",
        ]  # fmt: skip


def _ask(stream: IO[str], request: Mapping[str, object]) -> object:
    stream.write(json.dumps(request) + "\n")
    stream.flush()
    for line in stream:
        answer = json.loads(line)
        if "error" in answer:
            raise MachineError(f"QEMU refused {request}: {answer['error']}")
        if "return" in answer:  # anything else is an event
            return answer["return"]
    raise ConnectionError("QEMU has hung up")
