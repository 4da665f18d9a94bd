import copy

import pytest

from containai.runtime.seccomp import NEEDED, ON_REQUEST, REFUSED
from containai.runtime.seccomp import fitted as fitted_to

ALLOW, ERRNO, LOG = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_LOG"
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
        {"names": ["bpf", "perf_event_open", "open_by_handle_at", "lseek"], "action": ALLOW},
    ],
}


def fitted(profile, machine="x86_64"):
    return fitted_to(profile, machine, administers=True)


def actions(profile, name):
    """Return what a profile does on a call, unconditionally, by its rules or else by default."""
    found = [rule["action"] for rule in profile["syscalls"] if name in rule["names"]]
    return found or [profile["defaultAction"]]


def test_without_cap_sys_admin_docker_s_own_profile_stays():
    rules = [*DEFAULT["syscalls"][:-1], {"names": ["clone3"], "action": ERRNO, "errnoRet": 38}]
    given = DEFAULT | {"syscalls": rules}
    assert fitted_to(given, "x86_64", administers=False) == given


def test_without_cap_sys_admin_refused_is_refused():
    new = fitted_to(DEFAULT, "x86_64", administers=False)
    assert new["syscalls"][-1] == {"names": ["lseek"], "action": ALLOW}
    assert fitted_to(None, "x86_64", administers=False) == fitted(None)


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_needed_is_allowed_without_conditions(name):
    new = fitted(DEFAULT)
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
        {"defaultAction": ALLOW, "syscalls": [{"names": ["acct", "x"], "action": LOG}]},
        {"defaultAction": ERRNO, "syscalls": [{"names": ["acct", "x"], "action": LOG}]},
        {"defaultAction": ERRNO, "syscalls": [{"names": sorted(REFUSED), "action": ALLOW}]},
    ],
)
def test_refused_is_refused_whatever_the_profile_says(profile, machine):
    new = fitted(profile, machine)
    for name in REFUSED:
        assert actions(new, name) == [ERRNO]


def test_what_the_profile_allows_stays():
    new = fitted(DEFAULT)
    assert actions(new, "read") == actions(new, "lseek") == [ALLOW]
    assert actions(new, "unheard_of") == [ERRNO]
    assert DEFAULT["syscalls"][2] in new["syscalls"]
    assert new["architectures"] == DEFAULT["architectures"]
    assert new["defaultErrnoRet"] == 1


def test_unconfined_becomes_a_deny_list():
    new = fitted(None)
    assert new["defaultAction"] == ALLOW
    assert "SCMP_ARCH_X86" in new["architectures"]
    assert [rule["action"] for rule in new["syscalls"]] == [ERRNO, ERRNO]


def test_what_a_profile_refuses_by_name_stays_refused():
    rules = [
        {"names": ["mkdir", "bpf"], "action": ERRNO, "errnoRet": 13},
        {"names": ["mount"], "action": ERRNO},
    ]
    new = fitted({"defaultAction": ALLOW, "syscalls": rules})
    assert {"names": ["mkdir"], "action": ERRNO, "errnoRet": 13} in new["syscalls"]
    assert actions(new, "mount") == actions(new, "bpf") == [ERRNO]
    new = fitted({"defaultAction": ERRNO, "syscalls": rules})
    assert actions(new, "mount") == [ERRNO]
    assert actions(new, "unshare") == [ALLOW]


@pytest.mark.parametrize("default", [ALLOW, ERRNO])
@pytest.mark.parametrize("name", ON_REQUEST)
def test_what_is_logged_was_asked_for(name, default):
    rules = [*DEFAULT["syscalls"], {"names": [name], "action": LOG}]
    new = fitted(DEFAULT | {"defaultAction": default, "syscalls": rules})
    assert actions(new, name) == [LOG]
    (other,) = set(ON_REQUEST) - {name}
    assert actions(new, other) == [ERRNO]


def test_no_rule_is_empty():
    # libseccomp refuses a rule without names.
    assert all(rule["names"] for rule in fitted(DEFAULT)["syscalls"])


def test_input_is_not_changed():
    before = copy.deepcopy(DEFAULT)
    new = fitted(DEFAULT)
    new["syscalls"][0]["names"].append("x")
    assert before == DEFAULT


def test_tables():
    assert not set(NEEDED) & set(REFUSED)
    assert all(reason.strip() for reason in [*NEEDED.values(), *REFUSED.values()])


NOT_VSOCK = [{"index": 0, "value": 40, "op": "SCMP_CMP_NE"}]
VSOCK = [{"index": 0, "value": 40, "op": "SCMP_CMP_EQ"}]


@pytest.mark.parametrize("action", [ALLOW, LOG])
def test_vm_sockets_are_taken_out_of_what_is_allowed(action):
    given = {
        "defaultAction": ERRNO,
        "syscalls": [{"names": ["read", "socket"], "action": action}],
    }
    for administers in (True, False):
        new = fitted_to(given, "x86_64", administers=administers)["syscalls"]
        assert [rule for rule in new if "socket" in rule["names"]] == [
            {"names": ["socket"], "action": action, "args": NOT_VSOCK}
        ]
        assert {"names": ["read"], "action": action} in new


def test_conditions_of_the_profile_s_own_stay():
    assert [rule for rule in fitted(DEFAULT)["syscalls"] if "socket" in rule["names"]] == [
        {"names": ["socket"], "action": ALLOW, "args": NOT_VSOCK}
    ]
    asked = {"names": ["socket"], "action": ALLOW, "args": VSOCK}
    new = fitted({"defaultAction": ALLOW, "syscalls": [asked]})
    assert [rule for rule in new["syscalls"] if "socket" in rule["names"]] == [asked]


@pytest.mark.parametrize("profile", [None, {"defaultAction": ALLOW, "syscalls": []}])
def test_vm_sockets_are_refused_where_all_else_is_allowed(profile):
    found = [rule for rule in fitted(profile)["syscalls"] if "socket" in rule["names"]]
    assert found == [{"names": ["socket"], "action": ERRNO, "errnoRet": 1, "args": VSOCK}]
