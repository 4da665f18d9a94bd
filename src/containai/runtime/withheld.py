"""System calls of which a container gets a part, or an answer without an effect.

Each profile is an allow-list, so a part of a call is what its rules still let through. Pure: values
in, values out.
"""

from collections.abc import Collection
from typing import Any

Rule = dict[str, Any]

#: The kernel keeps keys by user, up to kernel.keys.maxbytes for each, and charges next to nothing
#: of them to a cgroup: with 262,144 ids a container could take gigabytes of the kernel's memory.
#: runc and systemd take this error for a kernel without keyrings; EPERM would end nested runc.
KEYRINGS = ("add_key", "request_key", "keyctl")
_ENOSYS = 38

_CORE = 4  # RLIMIT_CORE
_INT = 0xFFFFFFFF
_ALLOW, _ERRNO = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"
_PASSES = (_ALLOW, "SCMP_ACT_LOG")
#: call → which of its arguments names the limit.
_LIMITS = {"setrlimit": 0, "prlimit64": 1}


def without_keyrings(profile: Rule) -> Rule:
    """Return the profile with calls for the kernel's keyrings answered as if it had none."""
    rules = [_without(rule, KEYRINGS) for rule in profile.get("syscalls") or []]
    refusal = {"names": list(KEYRINGS), "action": _ERRNO, "errnoRet": _ENOSYS}
    return profile | {"syscalls": [*filter(_is_any, rules), refusal]}


def with_fixed_core_limit(profile: Rule) -> Rule:
    """Return the profile with which no process changes its limit on core dumps.

    The kernel has one value, 1, with which it does not start the host's program for core dumps;
    0 is none, and whoever could set it would have a program of the host's run as the host's root.
    Who sets it gets the answer that it is done: to programs that turn dumps off it is true, and
    systemd takes an error for the end of a service.
    """
    rules = profile.get("syscalls") or []
    refused = {name for rule in rules if not _passes(rule) for name in rule["names"]}
    calls = _LIMITS.keys() - refused
    kept, added = [], []
    for rule in rules:
        mine = calls.intersection(rule["names"]) if _passes(rule) else set()
        kept.append(_without(rule, mine))
        if not rule.get("args"):
            added += [
                allowed for name in sorted(mine) for allowed in _allowances(name, rule["action"])
            ]
    if profile.get("defaultAction") in _PASSES:
        added = []
    let = (
        calls if profile.get("defaultAction") in _PASSES else {n for r in added for n in r["names"]}
    )
    answers = [rule for rule in _answers() if let.issuperset(rule["names"])]
    return profile | {"syscalls": [*filter(_is_any, kept), *added, *answers]}


def _passes(rule: Rule) -> bool:
    return rule.get("action") in _PASSES


def _without(rule: Rule, gone: Collection[str]) -> Rule:
    return rule | {"names": [name for name in rule["names"] if name not in gone]}


def _is_any(rule: Rule) -> bool:
    return bool(rule["names"])


def _allowances(name: str, action: str) -> list[Rule]:
    """Return rules for every limit (0 to 15) that is not 4: each has one of these bits set so."""
    index = _LIMITS[name]
    rules = [
        {"names": [name], "action": action, "args": [_masked(index, mask, value)]}
        for mask, value in ((1, 1), (2, 2), (4, 0), (8, 8))
    ]
    if name == "prlimit64":
        asks = [_masked(index, _INT, _CORE), _pointer("SCMP_CMP_EQ")]
        rules.append({"names": [name], "action": action, "args": asks})
    return rules


def _answers() -> list[Rule]:
    done = {"action": _ERRNO, "errnoRet": 0}
    core = {name: _masked(index, _INT, _CORE) for name, index in _LIMITS.items()}
    return [
        done | {"names": ["setrlimit"], "args": [core["setrlimit"]]},
        done | {"names": ["prlimit64"], "args": [core["prlimit64"], _pointer("SCMP_CMP_NE")]},
    ]


def _masked(index: int, mask: int, value: int) -> Rule:
    """Return a condition on an int: the kernel looks at the low half of the register."""
    return {"index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}


def _pointer(operator: str) -> Rule:
    """Return a condition on prlimit64's new limits, which are absent where it only asks."""
    return {"index": 2, "value": 0, "op": operator}
