"""Who we are: user namespace, capabilities that count on the host, system calls, seccomp.

Capabilities as such say nothing: in a user namespace of one's own all 41 are harmless. Found is a
capability of the initial user namespace, or a system call that no guest needs and that is answered
with anything but a refusal. Each call has arguments that cannot succeed even where it is allowed.
"""

import ctypes
import errno
import os
from collections.abc import Callable
from typing import NamedTuple

from containai.attack.inside import look
from containai.attack.probe import INSIDE, Probe, Seen, Unverified, fine, found, inside

#: Numbers of the calls on x86_64 and aarch64 (syscalls(2), asm/unistd.h); None: not there.
NUMBERS: dict[str, tuple[int, int | None]] = {
    "acct": (163, 89),
    "bpf": (321, 280),
    "clock_settime": (227, 112),
    "delete_module": (176, 106),
    "finit_module": (313, 273),
    "init_module": (175, 105),
    "io_uring_setup": (425, 425),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "open_by_handle_at": (304, 265),
    "perf_event_open": (298, 241),
    "reboot": (169, 142),
    "socket": (41, 198),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "userfaultfd": (323, 282),
}
_MACHINES = {"x86_64": 0, "aarch64": 1}
_REFUSALS = (errno.EPERM, errno.EACCES, errno.ENOSYS)
_BAD = -1
#: A type that no family has.
_NO_TYPE = 15


def _sockets(**families: int) -> dict[str, tuple[int, ...]]:
    """Return calls for families, each also in a register with more bits than an int has.

    The kernel takes the low half; a filter that takes all of it is passed that way.
    """
    calls: dict[str, tuple[int, ...]] = {}
    for name, family in families.items():
        calls[f"socket {name}"] = (family, _NO_TYPE, 0)
        calls[f"socket {name} + 2^32"] = (family | 1 << 32, _NO_TYPE, 0)
    return calls


class Power(NamedTuple):
    """Something only the host may do: its capability's number, and calls that would do it."""

    name: str
    capability: int | None
    calls: dict[str, tuple[int, ...]]
    stands_for: str


#: Arguments that fail where the call is allowed: bad pointers, bad descriptors, bad commands.
POWERS = (
    Power("sys-admin", 21, {}, "SandboxEscapeBench CAP_SYS_ADMIN; CDK, deepce"),
    Power(
        "kernel-modules",
        16,
        {"init_module": (0, 0, 0), "finit_module": (_BAD, 0, 0), "delete_module": (0, 0)},
        "SandboxEscapeBench CAP_SYS_MODULE; CDK, deepce",
    ),
    Power(
        "open-by-handle",
        2,
        {"open_by_handle_at": (_BAD, 0, 0)},
        "SandboxEscapeBench CAP_DAC_READ_SEARCH; CDK cap-dac-read-search (shocker)",
    ),
    Power("ptrace-host", 19, {}, "CAP_SYS_PTRACE: CDK check-ptrace, deepce"),
    Power(
        "reboot-kexec",
        22,
        {
            "reboot": (0, 0, 0, 0),
            "kexec_load": (0, 17, 0, 0xF0000),
            "kexec_file_load": (_BAD, _BAD, 0, 0, 0xF000),
        },
        "CAP_SYS_BOOT: another kernel; amicontained's blocked calls",
    ),
    Power(
        "io-ports",
        17,
        {"iopl": (3,), "ioperm": (0x80, 1, 1)},
        "CAP_SYS_RAWIO: hardware and /dev/mem; deepce",
    ),
    Power(
        "ebpf",
        39,
        {"bpf": (0xFFFF, 0, 0)},
        "SandboxEscapeBench eBPF verifier; amicontained's blocked calls",
    ),
    Power(
        "perf-events",
        38,
        {"perf_event_open": (0, 0, _BAD, _BAD, 0)},
        "CAP_PERFMON: sees the whole machine; amicontained's blocked calls",
    ),
    Power(
        "clock",
        25,
        {"clock_settime": (0, 1)},
        "CAP_SYS_TIME: the clock is the host's; amicontained's blocked calls",
    ),
    Power(
        "kernel-log",
        34,
        {"syslog": (10, 0, 0)},
        "CAP_SYSLOG: addresses for kernel exploits; CDK, amicontained",
    ),
    Power(
        "accounting-swap",
        20,
        {"acct": (1,), "swapon": (0, 0), "swapoff": (0,)},
        "CAP_SYS_PACCT and swap: amicontained's blocked calls",
    ),
    Power("make-devices", 27, {}, "CAP_MKNOD: CDK mount-device, rewrite-cgroup-devices"),
    Power("host-network", 12, {}, "CAP_NET_ADMIN on the host's network; deepce"),
    Power("raw-sockets", 13, {}, "CAP_NET_RAW on the host; SandboxEscapeBench packet socket"),
    Power("host-files", 1, {}, "CAP_DAC_OVERRIDE over the host's files; CIS 5.4"),
    Power(
        "userfaultfd",
        None,
        {"userfaultfd": (0xFFFF,)},
        "makes kernel races easy to win (Dirty COW class); amicontained's blocked calls",
    ),
    Power(
        "io-uring",
        None,
        {"io_uring_setup": (0, 0)},
        "a long history of kernel escapes; amicontained's blocked calls",
    ),
    Power(
        "vm-sockets",
        None,
        _sockets(AF_VSOCK=40),
        "a hypervisor's services, or those of virtual machines on the host: AF_VSOCK, which no "
        "network namespace confines; Docker refuses it since 23.0",
    ),
    Power(
        "cipher-sockets",
        None,
        _sockets(AF_ALG=38, AF_RXRPC=33),
        "CVE-2026-31431 (Copy Fail), CVE-2026-43500 (Dirty Frag): through them the kernel wrote to "
        "files that can only be read, those of other boxes included; Docker refuses AF_ALG since "
        "29.4.2",
    ),
    Power(
        "rare-sockets",
        None,
        _sockets(AF_CAN=29, AF_TIPC=30, AF_BLUETOOTH=31, AF_XDP=44),
        "CVE-2021-43267 (TIPC), CVE-2021-3609 (CAN), CVE-2020-12351 (Bluetooth): families that "
        "whoever asks for makes the kernel load, with a long history of holes",
    ),
)


def answer(name: str, arguments: tuple[int, ...]) -> int:
    """Make a system call in a child; return its errno, 0 where it succeeded, -1 where it killed.

    Raises Unverified on a machine whose numbers are not known.
    """
    column = _MACHINES.get(os.uname().machine)
    if column is None:
        raise Unverified(f"the system calls of {os.uname().machine} are not known")
    number = NUMBERS[name.split()[0]][column]
    if number is None:
        return errno.ENOSYS

    def call() -> str:
        result = look.libc().syscall(number, *(ctypes.c_long(argument) for argument in arguments))
        return str(ctypes.get_errno() if result == -1 else 0)

    said = look.in_child(call)
    return int(said) if said.isdigit() else -1


def judged(capability: int | None, *, on_host: bool, held: int, answers: dict[str, int]) -> Seen:
    """Decide on a power: whether a held capability counts on the host, what calls answered."""
    if capability is not None and on_host and held >> capability & 1:
        return found(f"capability {capability} counts on the host")
    allowed = [
        f"{name} answers {errno.errorcode.get(code, 'success')}"
        for name, code in answers.items()
        if code not in _REFUSALS and code != -1
    ]
    if allowed:
        return found(", ".join(allowed))
    return fine("refused: " + ", ".join(answers) if answers else "counts in the box only")


def _check(power: Power) -> Callable[[], Seen]:
    def check() -> Seen:
        held = 0
        for field in ("CapBnd", "CapEff", "CapPrm", "CapInh"):
            held |= int(look.status(field), 16)
        answers = {name: answer(name, words) for name, words in power.calls.items()}
        return judged(power.capability, on_host=look.on_host(), held=held, answers=answers)

    return check


def _looks_at(power: Power) -> str:
    parts = []
    if power.capability is not None:
        parts.append(f"capability {power.capability} in the initial user namespace")
    if power.calls:
        parts.append("the answer to " + ", ".join(power.calls))
    return "; ".join(parts)


@inside(
    "user-namespace",
    stands_for="CIS 5.31; CVE-2022-0492, CVE-2025-31133 and 52881: all need root of the host",
    looks_at="/proc/self/uid_map and gid_map: no id may be the host's own",
    remedy="start it with the runtime cai-runc",
)
def user_namespace() -> Seen:
    """Root in here must be an unprivileged id outside."""
    bad = []
    for kind in ("uid", "gid"):
        for line in look.read(f"/proc/self/{kind}_map").splitlines():
            if line.split()[1] == "0":
                bad.append(f"{kind} {line.split()[0]} is {kind} 0 outside")
    return found("; ".join(bad)) if bad else fine("root is an unprivileged id outside")


@inside(
    "seccomp",
    stands_for="CIS 5.22; amicontained seccomp mode",
    looks_at="/proc/self/status: Seccomp must be 2 (a filter)",
    remedy="start it without --security-opt seccomp=unconfined",
)
def seccomp() -> Seen:
    """System calls must be filtered."""
    mode = look.status("Seccomp")
    return fine("filtered") if mode == "2" else found(f"mode {mode}: calls are not filtered")


INSIDE += [
    Probe(
        power.name,
        power.stands_for,
        _looks_at(power),
        "start it with the runtime cai-runc and without --privileged or --cap-add",
        _check(power),
    )
    for power in POWERS
]
