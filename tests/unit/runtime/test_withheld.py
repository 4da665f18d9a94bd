import itertools

import pytest

from containai.runtime import withheld

ALLOW, ERRNO = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"
DOCKERS = {
    "defaultAction": ERRNO,
    "syscalls": [{"names": ["read", "setrlimit", "prlimit64", "keyctl"], "action": ALLOW}],
}
HALF = 1 << 32
#: How a condition holds for a value of its argument.
HOLDS = {
    "SCMP_CMP_MASKED_EQ": lambda seen, rule: seen & rule["value"] == rule["valueTwo"],
    "SCMP_CMP_EQ": lambda seen, rule: seen == rule["value"],
    "SCMP_CMP_NE": lambda seen, rule: seen != rule["value"],
}


def answer(profile, name, *arguments):
    """Return what a profile says to a call: its action and its error."""
    said = {
        (rule["action"], rule.get("errnoRet"))
        for rule in profile["syscalls"]
        if name in rule["names"]
        and all(HOLDS[a["op"]](arguments[a["index"]], a) for a in rule.get("args", []))
    }
    assert len(said) <= 1
    return said.pop() if said else (profile["defaultAction"], None)


@pytest.mark.parametrize("profile", [DOCKERS, {"defaultAction": ALLOW}])
def test_the_core_limit_alone_is_answered_and_kept(profile):
    fixed = withheld.with_fixed_core_limit(profile)
    for limit, high in itertools.product(range(16), (0, HALF)):
        core = limit == 4
        want = (ERRNO, 0) if core else (ALLOW, None)
        assert answer(fixed, "setrlimit", limit + high, 7) == want
        assert answer(fixed, "prlimit64", 0, limit + high, 0x7FFF0000) == want
        assert answer(fixed, "prlimit64", 0, limit + high, 0) == (ALLOW, None)


def test_what_a_profile_refuses_stays_refused():
    own = {"names": ["setrlimit"], "action": "SCMP_ACT_KILL"}
    fixed = withheld.with_fixed_core_limit({"defaultAction": ALLOW, "syscalls": [own]})
    assert answer(fixed, "setrlimit", 4, 0) == ("SCMP_ACT_KILL", None)
    assert answer(fixed, "prlimit64", 0, 4, 1) == (ERRNO, 0)
    nothing = {"defaultAction": ERRNO, "syscalls": []}
    assert withheld.with_fixed_core_limit(nothing) == nothing


def test_conditions_of_a_profile_let_nothing_through():
    only = {"names": ["setrlimit"], "action": ALLOW, "args": [{"index": 0, "value": 4, "op": "x"}]}
    fixed = withheld.with_fixed_core_limit({"defaultAction": ERRNO, "syscalls": [only]})
    assert fixed["syscalls"] == []


@pytest.mark.parametrize("profile", [DOCKERS, {"defaultAction": ALLOW}])
def test_keyrings_are_answered_as_if_there_were_none(profile):
    for name in ("add_key", "request_key", "keyctl"):
        assert answer(withheld.without_keyrings(profile), name) == (ERRNO, 38)
    assert answer(withheld.without_keyrings(profile), "read") == (ALLOW, None)
