"""What the profile of boxes closes, as cai-runc does here: calls, crashes, frames. Pure.

All of it may be in a restricted project (tried with 6.0.4): no low-level setting is needed. Incus's
own list of refused calls counts beside it.
https://linuxcontainers.org/incus/docs/main/reference/instance_options/
"""

#: As runtime/seccomp.py refuses, where the reasons stand. Not reboot: in a container it ends the
#: container, by which Incus knows that it is to be started again.
CALLS = (
    "_sysctl", "acct", "adjtimex", "bpf", "clock_adjtime", "clock_adjtime64", "clock_settime",
    "clock_settime64", "create_module", "delete_module", "finit_module", "init_module",
    "io_uring_enter", "io_uring_register", "io_uring_setup", "ioperm", "iopl", "kexec_file_load",
    "kexec_load", "lookup_dcookie", "nfsservctl", "open_by_handle_at", "perf_event_open",
    "quotactl", "quotactl_fd", "settimeofday", "socketcall", "stime", "swapoff", "swapon", "sysfs",
    "syslog", "uselib", "userfaultfd", "ustat", "vm86", "vm86old",
)  # fmt: skip
#: As a kernel without keyrings answers: runc and systemd take that.
KEYRINGS = ("add_key", "keyctl", "request_key")
#: The families of sockets that a box has (address_families(7)), and the last of them.
FAMILIES = (0, 1, 2, 10, 16, 17)
#: RLIMIT_CORE, with the one value at which the kernel starts no program of the server's for a crash
#: (core(5)).
_CORE, CORE_LIMIT = 4, "1"
_EPERM, _ENOSYS, _INT = 1, 38, 0xFFFFFFFF

#: No frame from box to box, and none under another's address. Not security.ipv6_filtering: where
#: br_netfilter is not loaded, no box starts with it (nic_bridged.go). firewall.py drops all IPv6.
INTERFACE = {
    "security.port_isolation": "true",
    "security.mac_filtering": "true",
    "security.ipv4_filtering": "true",
}


def settings() -> dict[str, str]:
    """Return the settings of the profile."""
    return {"security.syscalls.deny": calls(), "limits.kernel.core": CORE_LIMIT}


def calls() -> str:
    """Return the calls that are answered without being made, in the second form of LXC's policies.

    `call errno N [argument,value,comparison(,mask)]` (lxc.container.conf(5), seccomp.c). One that
    the server's libseccomp does not know is left out there.
    """
    rows = [f"{call} errno {_EPERM}" for call in CALLS]
    rows += [f"{call} errno {_ENOSYS}" for call in KEYRINGS]
    last = max(FAMILIES)
    gaps = [family for family in range(last) if family not in FAMILIES]
    rows += [f"socket errno {_EPERM} [0,{family},SCMP_CMP_EQ]" for family in gaps]
    # Whatever is above, what has more than an int in its register too: that is no family's number.
    rows.append(f"socket errno {_EPERM} [0,{last},SCMP_CMP_GT]")
    rows.append(f"socketpair errno {_EPERM} [0,1,SCMP_CMP_GT]")
    # Done, without any effect: systemd ends a service whose limit it cannot set.
    core = f"{_CORE},SCMP_CMP_MASKED_EQ,{_INT}"
    rows.append(f"setrlimit errno 0 [0,{core}]")
    rows.append(f"prlimit64 errno 0 [1,{core}][2,0,SCMP_CMP_NE]")
    return "\n".join(rows)
