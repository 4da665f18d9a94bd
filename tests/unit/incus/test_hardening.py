"""What is closed to boxes on Incus, beside what cai-runc closes."""

import re

from containai.incus import hardening
from containai.runtime import seccomp, withheld

ROWS = hardening.calls().splitlines()
LINE = re.compile(r"([a-z0-9_]+) errno (\d+) ?((?:\[\d,\d+,SCMP_CMP_[A-Z_]+(?:,\d+)?\])*)")


def answered(call, *arguments):
    """Return the error that a call is answered with, as libseccomp decides it, or None."""
    for row in ROWS:
        name, code, rules = LINE.fullmatch(row).groups()
        if name == call and all(_fits(rule, arguments) for rule in re.findall(r"\[(.*?)\]", rules)):
            return int(code)
    return None


def _fits(rule, arguments):
    index, value, how, *mask = rule.split(",")
    given, value = arguments[int(index)], int(value)
    match how:
        case "SCMP_CMP_EQ":
            return given == value
        case "SCMP_CMP_NE":
            return given != value
        case "SCMP_CMP_GT":
            return given > value
        case "SCMP_CMP_MASKED_EQ":
            return given & int(mask[0]) == value
    raise AssertionError(how)


def test_every_row_is_one_of_a_policy():
    assert all(LINE.fullmatch(row) for row in ROWS)


def test_the_same_calls_are_refused_as_here():
    assert set(hardening.CALLS) == set(seccomp.REFUSED) - {"reboot"}
    assert all(answered(call) == 1 for call in hardening.CALLS)
    assert tuple(sorted(withheld.KEYRINGS)) == hardening.KEYRINGS
    assert all(answered(call) == 38 for call in hardening.KEYRINGS)


def test_the_same_families_of_sockets_are_there():
    assert set(hardening.FAMILIES) - {0} == set(seccomp.FAMILIES)
    for family in range(64):
        is_there = family in hardening.FAMILIES
        assert (answered("socket", family) is None) is is_there
        # To the kernel it is the same one, to a filter it is not.
        assert answered("socket", family + (1 << 32)) == 1
        assert (answered("socketpair", family) is None) is (family < 2)


def test_no_process_changes_its_limit_on_core_dumps():
    pointer = 0x7FFF0000
    for high in (0, 1 << 32):
        assert answered("setrlimit", 4 + high, pointer) == 0
        assert answered("prlimit64", 0, 4 + high, pointer, 0) == 0
    # It may be read, and others changed.
    assert answered("prlimit64", 0, 4, 0, pointer) is None
    assert answered("prlimit64", 0, 7, pointer, 0) is None
    assert answered("setrlimit", 7, pointer) is None
    assert hardening.settings()["limits.kernel.core"] == "1"
