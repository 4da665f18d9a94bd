import copy
from typing import Any

import pytest

from containai.runtime.kinds import SYSBOX
from containai.runtime.seccomp import (
    FAMILIES,
    NEEDED,
    ON_REQUEST,
    REFUSED,
    REFUSED_FAMILIES,
    unnamed,
)
from containai.runtime.seccomp import fitted as fitted_to

ALLOW, ERRNO, LOG = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_LOG"
#: A cut of what dockerd makes of its default profile on x86_64.
DEFAULT: dict[str, Any] = {
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
    new = fitted_to(given, "x86_64", administers=False)
    socket = [rule for rule in new["syscalls"] if rule["names"] == ["socket"]]
    assert socket
    refusal = {"names": ["socketcall"], "action": ERRNO, "errnoRet": 38}
    others = [rule for rule in new["syscalls"] if rule not in [*socket, refusal]]
    kept = [rule for rule in rules if rule["names"] != ["socket"]]
    assert new | {"syscalls": others} == given | {"syscalls": kept}


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
    assert new["architectures"] == DEFAULT["architectures"]
    assert new["defaultErrnoRet"] == 1


def test_unconfined_becomes_a_deny_list():
    new = fitted(None)
    assert new["defaultAction"] == ALLOW
    assert "SCMP_ARCH_X86" in new["architectures"]
    assert {rule["action"] for rule in new["syscalls"]} == {ERRNO}


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
    for other in set(ON_REQUEST) - {name}:
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
    assert not set(FAMILIES) & set(REFUSED_FAMILIES)
    assert all(reason.strip() for reason in [*NEEDED.values(), *REFUSED.values()])


ALG, VSOCK = 38, 40
UNIX, PACKET = 1, 17
#: Linux 6.18 has 46, and there is room for more.
EVERY = range(64)
COMPARE = {
    "SCMP_CMP_EQ": lambda arg, value, _: arg == value,
    "SCMP_CMP_NE": lambda arg, value, _: arg != value,
    "SCMP_CMP_LT": lambda arg, value, _: arg < value,
    "SCMP_CMP_GT": lambda arg, value, _: arg > value,
    "SCMP_CMP_MASKED_EQ": lambda arg, mask, value: arg & mask == value,
}


def socket(profile, register, call="socket"):
    """Return what a profile does on socket(2), of a family that is handed over in a register.

    As runc and libseccomp have it: of several conditions on one argument any will do.
    """
    for rule in profile["syscalls"]:
        conditions = rule.get("args") or []
        if call in rule["names"] and (
            not conditions
            or any(
                COMPARE[each["op"]](register, each["value"], each.get("valueTwo", 0))
                for each in conditions
            )
        ):
            return rule["action"]
    return profile["defaultAction"]


def condition(operation, value):
    return {"index": 0, "value": value, "op": f"SCMP_CMP_{operation}"}


def rule(*conditions, action=ALLOW):
    return {"names": ["read", "socket", "socketpair"], "action": action, "args": list(conditions)}


#: What Docker's own profile had in its time: nothing; from 23.0 on; from 29.4.2 on.
DOCKERS = {
    "20.10": [{"names": ["read", "socket", "socketpair"], "action": ALLOW}],
    "23.0": [rule(condition("NE", VSOCK))],
    "29.4.2": [rule(condition("LT", ALG)), rule(condition("EQ", 39)), rule(condition("GT", VSOCK))],
}


@pytest.mark.parametrize("administers", [True, False])
@pytest.mark.parametrize("version", DOCKERS)
@pytest.mark.parametrize("default", [ALLOW, ERRNO])
def test_families_that_a_box_does_not_need_are_refused(version, default, administers):
    given = {"defaultAction": default, "syscalls": DOCKERS[version]}
    new = fitted_to(given, "x86_64", administers=administers)
    for call, families in (("socket", set(FAMILIES)), ("socketpair", {UNIX})):
        for family in EVERY:
            wanted = ALLOW if family in families else ERRNO
            assert socket(new, family, call) == wanted, family
            # The kernel takes the low half.
            assert socket(new, family | 1 << 32, call) == wanted, family
            assert socket(new, family | 0xFFFFFFFF << 32, call) == wanted, family
    assert "read" in {name for each in new["syscalls"] for name in each["names"]}


@pytest.mark.parametrize("rules", [None, [], [{"names": ["socket"], "action": LOG}]])
def test_families_are_refused_where_all_else_is_allowed(rules):
    new = fitted(None if rules is None else {"defaultAction": ALLOW, "syscalls": rules})
    assert socket(new, 2) == (LOG if rules else ALLOW)
    assert socket(new, PACKET) == socket(new, 2)
    assert socket(new, UNIX, "socketpair") == ALLOW
    for family in set(EVERY) - set(FAMILIES):
        assert socket(new, family) == socket(new, family | 1 << 32) == ERRNO
        assert socket(new, family, "socketpair") == ERRNO
    assert socket(new, PACKET, "socketpair") == ERRNO


@pytest.mark.parametrize("default", [ALLOW, ERRNO])
def test_a_family_that_a_rule_asks_for_is_let_through(default):
    asked = {"names": ["socket"], "action": ALLOW, "args": [condition("EQ", VSOCK)]}
    new = fitted({"defaultAction": default, "syscalls": [asked]})
    assert asked in new["syscalls"]
    assert (socket(new, VSOCK), socket(new, ALG)) == (ALLOW, ERRNO)


@pytest.mark.parametrize(("default", "refusal"), [(1, 38), (38, 1), (None, 38)])
def test_socketcall_is_refused_by_a_rule_of_its_own(default, refusal):
    # runc leaves out a rule that is the default, and libseccomp allows what socket(2) may.
    given = DEFAULT | {"defaultErrnoRet": default}
    rules = fitted(given)["syscalls"]
    (rule,) = (each for each in rules if "socketcall" in each["names"])
    assert rule == {"names": ["socketcall"], "action": ERRNO, "errnoRet": refusal}


def test_what_a_profile_says_of_other_arguments_stays():
    narrow = rule(condition("EQ", 1), {"index": 1, "value": 1, "op": "SCMP_CMP_EQ"})
    stream = rule({"index": 1, "value": 1, "op": "SCMP_CMP_NE"})
    nothing = {"names": ["socket"], "action": ERRNO, "errnoRet": 97}
    for each in (narrow, stream, nothing):
        new = fitted({"defaultAction": ERRNO, "syscalls": [each]})
        assert [x for x in new["syscalls"] if "socket" in x["names"]] == [each]
    new = fitted({"defaultAction": ALLOW, "syscalls": [nothing]})
    assert [x for x in new["syscalls"] if "socket" in x["names"]] == [nothing]


def answers(profile, name):
    """Return the error numbers that a profile's rules give for a call, or else its default's."""
    found = [rule.get("errnoRet") for rule in profile["syscalls"] if name in rule["names"]]
    return found or [profile.get("defaultErrnoRet")]


@pytest.mark.parametrize("default", [{"defaultErrnoRet": 1}, {"defaultErrnoRet": None}, {}])
@pytest.mark.parametrize("administers", [True, False])
def test_rules_that_name_no_architecture_mean_the_same(default, administers):
    given = {key: value for key, value in DEFAULT.items() if key != "defaultErrnoRet"} | default
    before = fitted_to(given, "x86_64", administers=administers)
    new = unnamed(before, SYSBOX.unnamed)
    assert new["architectures"] == ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    # What nobody knows is not there; what is refused is refused, and what was allowed stays so.
    assert answers(new, "a_call_of_tomorrow") == [38]
    for name in REFUSED:
        assert answers(new, name) == [1], name
    for name in NEEDED:
        allowed = [rule for rule in before["syscalls"] if name in rule["names"]]
        assert [rule for rule in new["syscalls"] if name in rule["names"]] == allowed or answers(
            new, name
        ) == [1]


@pytest.mark.parametrize("number", [38, 13])
def test_a_profile_that_says_another_error_keeps_it(number):
    profile = DEFAULT | {"defaultErrnoRet": number}
    assert unnamed(profile, SYSBOX.unnamed)["defaultErrnoRet"] == number
    assert unnamed(profile, SYSBOX.unnamed)["syscalls"] == profile["syscalls"]


def test_what_is_allowed_unless_it_is_named_stays_so():
    profile = fitted_to(None, "x86_64", administers=True)
    assert unnamed(profile, SYSBOX.unnamed)["syscalls"] == profile["syscalls"]
