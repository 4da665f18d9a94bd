"""The system calls that a box may make.

The profile that Docker hands over stays (its own default, or the user's): an allow-list that
refuses the rest. To it come the calls that systemd and a nested container runtime need. They act
only on namespaces of the box's own, because the box is a user namespace of its own. What no guest
needs is refused whatever the profile says.
"""

import copy
from typing import Any

#: name → why a box needs it. Docker's default refuses these without CAP_SYS_ADMIN on the host.
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
    "add_key": "systemd's keyrings (namespaced by user)",
    "request_key": "as add_key",
    "keyctl": "as add_key; nested runc makes a session keyring",
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
}

_EPERM = 1
_ALLOW = "SCMP_ACT_ALLOW"
#: Actions that let a call through.
_PASSES = (_ALLOW, "SCMP_ACT_LOG")
_ERRNO = "SCMP_ACT_ERRNO"
_ARCHITECTURES = {
    "x86_64": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    "aarch64": ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
}


def fitted(profile: dict[str, Any] | None, machine: str) -> dict[str, Any]:
    """Return the profile for a box. None (unconfined) becomes: everything but REFUSED.

    `machine` is the kernel's name of the architecture.
    """
    if profile is None:
        return {
            "defaultAction": _ALLOW,
            "architectures": _ARCHITECTURES.get(machine, []),
            "syscalls": [{"names": sorted(REFUSED), "action": _ERRNO, "errnoRet": _EPERM}],
        }
    fitted_profile = copy.deepcopy(profile)
    allows = profile.get("defaultAction") in _PASSES
    rules = []
    for rule in fitted_profile.get("syscalls") or []:
        gone = REFUSED if allows or rule.get("action") in _PASSES else {}
        rule["names"] = [n for n in rule["names"] if n not in NEEDED and n not in gone]
        if rule["names"]:
            rules.append(rule)
    if allows:
        rules.append({"names": sorted(REFUSED), "action": _ERRNO, "errnoRet": _EPERM})
    else:
        rules.append({"names": sorted(NEEDED), "action": _ALLOW})
    fitted_profile["syscalls"] = rules
    return fitted_profile
