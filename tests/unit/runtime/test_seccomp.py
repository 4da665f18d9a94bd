import copy

import pytest

from containai.runtime.seccomp import NEEDED, REFUSED, fitted

ALLOW, ERRNO = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"
#: A cut of what dockerd makes of its default profile on x86_64.
DEFAULT = {
    "defaultAction": ERRNO,
    "defaultErrnoRet": 1,
    "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    "syscalls": [
        {"names": ["accept", "chroot", "kcmp", "landlock_add_rule", "read"], "action": ALLOW},
        {"names": ["process_vm_readv", "ptrace"], "action": ALLOW},
        {
            "names": ["socket"],
            "action": ALLOW,
            "args": [{"index": 0, "value": 40, "op": "SCMP_CMP_NE"}],
        },
        {
            "names": ["personality"],
            "action": ALLOW,
            "args": [{"index": 0, "value": 0, "op": "SCMP_CMP_EQ"}],
        },
        {
            "names": ["clone"],
            "action": ALLOW,
            "args": [{"index": 0, "value": 2114060288, "op": "SCMP_CMP_MASKED_EQ"}],
        },
        {"names": ["clone3"], "action": ERRNO, "errnoRet": 38},
        {"names": ["bpf", "perf_event_open", "open_by_handle_at", "lseek"], "action": ALLOW},
    ],
}


def actions(profile, name):
    """Return what a profile does on a call, unconditionally, by its rules or else by default."""
    found = [rule["action"] for rule in profile["syscalls"] if name in rule["names"]]
    return found or [profile["defaultAction"]]


def test_clone3_is_allowed_and_its_enosys_gone():
    new = fitted(DEFAULT, "x86_64")
    assert actions(new, "clone3") == [ALLOW]
    assert not any(rule.get("errnoRet") == 38 for rule in new["syscalls"])


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_needed_is_allowed_without_conditions(name):
    new = fitted(DEFAULT, "x86_64")
    (rule,) = (rule for rule in new["syscalls"] if name in rule["names"])
    assert rule["action"] == ALLOW
    assert "args" not in rule


@pytest.mark.parametrize("machine", ["x86_64", "aarch64", "riscv64"])
@pytest.mark.parametrize(
    "profile",
    [
        DEFAULT,
        None,
        {"defaultAction": ALLOW},
        {"defaultAction": "SCMP_ACT_LOG", "syscalls": None},
        {"defaultAction": ALLOW, "syscalls": [{"names": ["bpf", "x"], "action": "SCMP_ACT_LOG"}]},
        {"defaultAction": ERRNO, "syscalls": [{"names": ["bpf", "x"], "action": "SCMP_ACT_LOG"}]},
        {"defaultAction": ERRNO, "syscalls": [{"names": sorted(REFUSED), "action": ALLOW}]},
    ],
)
def test_refused_is_refused_whatever_the_profile_says(profile, machine):
    new = fitted(profile, machine)
    for name in REFUSED:
        assert actions(new, name) == [ERRNO]


def test_what_the_profile_allows_stays():
    new = fitted(DEFAULT, "x86_64")
    assert actions(new, "read") == actions(new, "lseek") == [ALLOW]
    assert actions(new, "unheard_of") == [ERRNO]
    assert DEFAULT["syscalls"][2] in new["syscalls"]
    assert new["architectures"] == DEFAULT["architectures"]
    assert new["defaultErrnoRet"] == 1


def test_unconfined_becomes_a_deny_list():
    new = fitted(None, "x86_64")
    assert new["defaultAction"] == ALLOW
    assert "SCMP_ARCH_X86" in new["architectures"]
    assert [rule["action"] for rule in new["syscalls"]] == [ERRNO]


def test_profile_that_allows_by_default_keeps_what_it_refuses():
    given = {
        "defaultAction": ALLOW,
        "syscalls": [
            {"names": ["mkdir", "bpf"], "action": ERRNO, "errnoRet": 13},
            {"names": ["mount"], "action": ERRNO},
        ],
    }
    new = fitted(given, "x86_64")
    assert {"names": ["mkdir"], "action": ERRNO, "errnoRet": 13} in new["syscalls"]
    assert actions(new, "mount") == [ALLOW]
    assert actions(new, "bpf") == [ERRNO]


def test_no_rule_is_empty():
    # libseccomp refuses a rule without names.
    assert all(rule["names"] for rule in fitted(DEFAULT, "x86_64")["syscalls"])


def test_input_is_not_changed():
    before = copy.deepcopy(DEFAULT)
    new = fitted(DEFAULT, "x86_64")
    new["syscalls"][0]["names"].append("x")
    assert before == DEFAULT


def test_tables():
    assert not set(NEEDED) & set(REFUSED)
    assert all(reason.strip() for reason in [*NEEDED.values(), *REFUSED.values()])
