"""The system calls that a box may make.

The profile that Docker hands over stays (its own default, or the user's): an allow-list that
refuses the rest. Where the container has CAP_SYS_ADMIN, the calls that systemd and a nested
container runtime need come to it: they act only on namespaces of the box's own, because the box is
a user namespace of its own. What no guest needs is refused whatever the profile says.
"""

import operator
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Any

Rule = dict[str, Any]

#: name → why a box needs it. Docker's default profile refuses some of them, or their use, to every
#: container that is not --privileged.
NEEDED = {
    "mount": "systemd and nested runtimes mount",
    "umount": "as mount",
    "umount2": "as mount",
    "pivot_root": "nested runtimes enter their root file system",
    "setns": "docker exec inside",
    "unshare": "nested containers, bubblewrap",
    "clone": "new namespaces, as unshare; Docker's rule masks its flags",
    "clone3": "as clone; Docker's rule answers ENOSYS",
    "mount_setattr": "nested runtimes and systemd's sandboxing",
    "move_mount": "systemd's sandboxing, newer runtimes",
    "open_tree": "as move_mount",
    "fsopen": "newer runtimes mount with it",
    "fsconfig": "as fsopen",
    "fsmount": "as fsopen",
    "fspick": "as fsopen",
    "statmount": "newer runtimes read mounts with it",
    "listmount": "as statmount",
    "sethostname": "systemd; nested containers",
    "setdomainname": "as sethostname",
    "chroot": "package managers, debootstrap, sshd's privilege separation",
    "name_to_handle_at": "systemd tells mount points by it; gives no access",
    "ptrace": "debuggers; only processes of the box's own namespace",
    "process_vm_readv": "as ptrace",
    "process_vm_writev": "as ptrace",
    "kcmp": "as ptrace",
    "pidfd_getfd": "as ptrace",
    "seccomp": "sandboxes of agents, nested Docker",
    "vhangup": "logins",
    "personality": "setarch, builds for 32 bit; Docker's rule allows few values",
    "fanotify_init": "file watchers; the kernel confines unprivileged users",
    "landlock_create_ruleset": "sandboxes of agents",
    "landlock_add_rule": "as landlock_create_ruleset",
    "landlock_restrict_self": "as landlock_create_ruleset",
}

#: name → why no guest may have it.
REFUSED = {
    "syslog": "the host's kernel log: any user may read it where kernel.dmesg_restrict is 0",
    "reboot": "with EPERM systemd in a container exits with 0; with it the kernel reports SIGINT",
    "quotactl": "quotas are for the whole machine",
    "quotactl_fd": "as quotactl",
    "kexec_load": "loads another kernel",
    "kexec_file_load": "as kexec_load",
    "init_module": "loads kernel code",
    "finit_module": "as init_module",
    "delete_module": "as init_module",
    "create_module": "as init_module",
    "open_by_handle_at": "opens files by inode, past the mount namespace (the shocker attack)",
    "clock_settime": "the clock is the host's",
    "clock_settime64": "as clock_settime",
    "clock_adjtime": "as clock_settime",
    "clock_adjtime64": "as clock_settime",
    "settimeofday": "as clock_settime",
    "stime": "as clock_settime",
    "adjtimex": "as clock_settime",
    "swapon": "swap is the host's",
    "swapoff": "as swapon",
    "acct": "writes for the whole machine",
    "bpf": "kernel code from userland: the widest attack surface there is",
    "perf_event_open": "sees the whole machine; a long history of holes",
    "userfaultfd": "makes kernel races easy to win",
    "io_uring_setup": "a long history of holes; Docker refuses it too",
    "io_uring_enter": "as io_uring_setup",
    "io_uring_register": "as io_uring_setup",
    "ioperm": "hardware ports",
    "iopl": "as ioperm",
    "lookup_dcookie": "sees other namespaces' paths",
    "nfsservctl": "long gone",
    "vm86": "old and unneeded",
    "vm86old": "as vm86",
    "uselib": "old and unneeded",
    "ustat": "old and unneeded",
    "sysfs": "old and unneeded",
    "_sysctl": "old and unneeded",
    "socketcall": "a 32 bit program's sockets, of any family: it stands in memory, which no filter "
    "sees. i386 programs of glibc (2.36) have no other; musl's use socket(2) as well",
}

#: Families of sockets that a box has (address_families(7)), by number; no others, as each is a part
#: of the kernel that few have looked at, loaded by whoever asks for it. What a profile asks for in
#: a rule of its own comes to them.
FAMILIES = {
    1: "AF_UNIX: local, and the box's own by its network namespace and its files",
    2: "AF_INET: IPv4, in the box's own network; ICMP and raw sockets are of it, too",
    10: "AF_INET6: as AF_INET",
    16: "AF_NETLINK: the box's own network, for ip, iptables, nft and dockerd",
    17: "AF_PACKET: frames of the box's own network, for tcpdump, arping and DHCP",
}
#: Those that were reasons to refuse any, for who wonders.
REFUSED_FAMILIES = {
    15: "AF_KEY: keys of IPsec, for which AF_NETLINK is the way (a long history of holes)",
    29: "AF_CAN: vehicles; a long history of holes",
    30: "AF_TIPC: clusters; a long history of holes",
    31: "AF_BLUETOOTH: the host's radio, which no namespace confines",
    33: "AF_RXRPC: the Andrew File System's, which is mounted outside; as AF_ALG (CVE-2026-43500)",
    38: "AF_ALG: the kernel's ciphers, which programs bring themselves; it wrote to files that can "
    "only be read, those of other boxes' images included (CVE-2026-31431)",
    40: "AF_VSOCK: the hypervisor, or this machine's virtual machines",
    44: "AF_XDP: frames past the kernel's network, useless without bpf, which is refused",
}
#: Calls that make sockets → the families they may be of. A pair of any other family fails in the
#: end, but only after the kernel has loaded it.
_MAKES = {"socket": frozenset(FAMILIES), "socketpair": frozenset({1})}
#: Room for the families there are, a power of two: Linux 6.18 has 46 (AF_MAX).
_FAMILIES = 64
#: A family is an int: the kernel looks at the low half of the register, so a filter must, too. To
#: one that compares all of it, 40 + 2^32 is not 40.
_INT = 0xFFFFFFFF
#: Comparisons by which a profile leaves families out, as Docker's own does.
_COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "SCMP_CMP_NE": operator.ne,
    "SCMP_CMP_LT": operator.lt,
    "SCMP_CMP_LE": operator.le,
    "SCMP_CMP_GE": operator.ge,
    "SCMP_CMP_GT": operator.gt,
}
#: Docker's own from 29.4.2 on, which leaves out 38 and 40: nobody has asked for what is between.
_BETWEEN = 39

#: What is allowed if the profile has a rule for it with the action SCMP_ACT_LOG, which leaves a
#: trace in the host's log. SCMP_ACT_ALLOW does not count: Docker's own default profile allows
#: socketcall, and the others where the container has CAP_SYS_ADMIN, so nobody has asked for them.
ON_REQUEST = ("bpf", "perf_event_open", "socketcall")

_EPERM = 1
_ENOSYS = 38
_ALLOW = "SCMP_ACT_ALLOW"
_LOG = "SCMP_ACT_LOG"
#: Actions that let a call through.
_PASSES = (_ALLOW, _LOG)
_ERRNO = "SCMP_ACT_ERRNO"
_EQUAL = "SCMP_CMP_EQ"
_ARCHITECTURES = {
    "x86_64": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    "aarch64": ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
}


def fitted(profile: dict[str, Any] | None, machine: str, *, administers: bool) -> dict[str, Any]:
    """Return the profile for a box. None (unconfined) becomes: everything but REFUSED.

    `machine` is the kernel's name of the architecture; `administers` says that the container has
    CAP_SYS_ADMIN.
    """
    if profile is None:
        return {
            "defaultAction": _ALLOW,
            "architectures": _ARCHITECTURES.get(machine, []),
            "syscalls": [_refusal(REFUSED), *_socket_refusals([])],
        }
    rules = profile.get("syscalls") or []
    named: dict[str, set[str]] = {}
    for rule in rules:
        named.setdefault(rule.get("action"), set()).update(rule["names"])
    asked = named.get(_LOG, set()).intersection(ON_REQUEST)
    # A profile of the user's own that refuses one of them by name means it.
    said_no = set().union(*(names for action, names in named.items() if action not in _PASSES))
    needed = set(NEEDED) - said_no if administers else set()
    allows = profile.get("defaultAction") in _PASSES
    kept: list[Rule] = []
    for rule in rules:
        gone = _gone(rule.get("action"), asked, allows=allows) | needed
        names = [name for name in rule["names"] if name not in gone]
        families = _families(rule) if rule.get("action") in _PASSES else None
        for call in _MAKES:
            if families is None or call not in names:
                continue
            names.remove(call)
            kept += _on_families(call, families & _MAKES[call], {"action": rule["action"]})
        if names:
            kept.append(rule | {"names": names})
    if allows:
        kept.append(_refusal(set(REFUSED) - asked))
        kept += _socket_refusals(kept)
    elif "socketcall" not in asked and any("socket" in rule["names"] for rule in kept):
        kept.insert(0, _no_socketcall(profile))
    if needed and not allows:
        kept.append({"names": sorted(needed), "action": _ALLOW})
    return profile | {"syscalls": kept}


def unnamed(profile: dict[str, Any], architectures: AbstractSet[str]) -> dict[str, Any]:
    """Return a fitted profile that does not name these architectures, and means the same.

    What an allow-list does not know is ENOSYS to a process by runc's own rule, which is only for
    architectures that are named (patchbpf): programs go on with an older call then. EPERM, the
    default of such a list, is the end to them: with glibc 2.39 that of chmod(2) in tar.
    """
    named = [each for each in profile.get("architectures") or [] if each not in architectures]
    profile = profile | {"architectures": named}
    default = profile.get("defaultErrnoRet", _EPERM)
    if profile.get("defaultAction") != _ERRNO or default not in (None, _EPERM):
        return profile
    rules = [
        # One that says what is the default counts for nothing.
        rule | {"errnoRet": _EPERM} if rule["names"] == ["socketcall"] else rule
        for rule in profile.get("syscalls") or []
    ]
    known = {name for rule in rules for name in rule["names"]}
    rules.append(_refusal((REFUSED.keys() | NEEDED.keys()) - known))
    return profile | {"defaultErrnoRet": _ENOSYS, "syscalls": rules}


def _gone(action: str | None, asked: set[str], *, allows: bool) -> set[str]:
    """Return which calls leave a rule with that action: one call has one rule for all of it."""
    if action == _ALLOW:
        return set(REFUSED)
    return set(REFUSED) - asked if allows or action == _LOG else set()


def _refusal(names: Iterable[str]) -> Rule:
    return {"names": sorted(names), "action": _ERRNO, "errnoRet": _EPERM}


def _no_socketcall(profile: dict[str, Any]) -> Rule:
    """Return what refuses socketcall(2) where all is refused that is not named.

    libseccomp allows, for any condition under which socket(2) is, all that socketcall makes of it.
    A rule for the whole call prevails, but runc leaves out one that only says what is the default.
    """
    number = _EPERM if profile.get("defaultErrnoRet") == _ENOSYS else _ENOSYS
    return _refusal(["socketcall"]) | {"errnoRet": number}


def _families(rule: Rule) -> set[int] | None:
    """Return the families that a rule lets through; None where it asks for some of its own."""
    conditions = rule.get("args") or []
    every = set(range(_FAMILIES))
    if not conditions:
        return every
    about, compare = conditions[0], _COMPARISONS.get(conditions[0].get("op"))
    if conditions == [{"index": 0, "value": _BETWEEN, "op": _EQUAL}]:
        return {_BETWEEN}
    if len(conditions) > 1 or about.get("index") != 0 or compare is None:
        return None
    return {family for family in every if compare(family, about.get("value", 0))}


def _on_families(call: str, families: AbstractSet[int], verdict: Rule) -> Iterator[Rule]:
    """Yield rules for a call with these families and no others: one a block of neighbours.

    Several conditions on one argument are alternatives to runc, so no rule could say "neither".
    """

    def blocks(first: int, size: int) -> Iterator[Rule]:
        block = range(first, first + size)
        if families >= set(block):
            yield {"names": [call], **verdict, "args": [_low_half(-size, first)]}
        elif not families.isdisjoint(block):
            yield from blocks(first, size // 2)
            yield from blocks(first + size // 2, size // 2)

    return blocks(0, _FAMILIES)


def _low_half(mask: int, value: int) -> dict[str, Any]:
    """Return the condition that a family is this value under a mask."""
    return {"index": 0, "value": mask & _INT, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}


def _socket_refusals(rules: list[Rule]) -> Iterator[Rule]:
    """Yield what refuses families beside rules that let through all that they do not name."""
    for call, families in _MAKES.items():
        about = [rule for rule in rules if call in rule["names"]]
        if not all(rule.get("args") for rule in about):
            continue  # one refuses them all
        asked = {
            condition.get("value")
            for rule in about
            for condition in rule["args"]
            if rule["action"] in _PASSES and condition.get("op") == _EQUAL
        }
        refused = set(range(_FAMILIES)) - families - asked
        yield from _on_families(call, refused, {"action": _ERRNO, "errnoRet": _EPERM})
