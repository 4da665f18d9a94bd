"""Whatever config.json says: it is refused with a reason, or the box is nobody on the host."""

import contextlib
import copy
import json
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

from containai.runtime import bundle, cgroup, spec
from containai.runtime.errors import RuntimeRefusal

BASE, SIZE = 0x70000000, 262144
#: Names that nothing here knows; they are kept wherever they stand.
UNKNOWN = ("x", "unknown", "Ünknown", "containerEdits")
#: What is interesting where a string is expected.
WORDS = """
bind rbind sysfs cgroup mqueue tmpfs proc ro a b c p u user mount pid network ipc time uts bpf
kexec_load read SCMP_ARCH_X86_64 ../../x /proc/1/ns/user
""".split()  # noqa: SIM905 - as a list it would fill half the page
ACTIONS = st.sampled_from(["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_LOG", "SCMP_ACT_KILL"])
STRINGS = st.sampled_from(["", "\0", *WORDS]) | st.text(max_size=4)
INTEGERS = (
    st.sampled_from([-1000, -1, 0, 1, 2, 4, 8, 10, 11, 200, 229, 2**31, 2**64]) | st.integers()
)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=2,
)


def of_shape(shape: Any, *, junk: bool) -> st.SearchStrategy[Any]:
    """Return values of a shape of spec's, each field there or not; with `junk` some are not."""
    good: st.SearchStrategy[Any]
    if shape is str:
        good = STRINGS
    elif shape is int:
        good = INTEGERS
    elif shape is bool:
        good = st.booleans()
    elif isinstance(shape, list):
        good = st.lists(of_shape(shape[0], junk=junk), max_size=2)
    elif "*" in shape:
        names = st.sampled_from(["net.ipv4.ping_group_range", "net.x"])
        good = st.dictionaries(names, of_shape(shape["*"], junk=junk) | st.just("0 2147483647"))
    else:
        known = {name: of_shape(inner, junk=junk) for name, inner in shape.items()}
        known |= {name: ACTIONS for name in ("action", "defaultAction") if name in shape}
        good = st.fixed_dictionaries({}, optional=known | dict.fromkeys(UNKNOWN, JUNK))
    return good | JUNK if junk else good


def private() -> st.SearchStrategy[Any]:
    """Return specs that ask for nothing that is refused, so that the edits are reached."""

    def owning(value: Any) -> Any:
        linux = value.setdefault("linux", {})
        linux.pop("uidMappings", None)
        linux.pop("gidMappings", None)
        seen = {"mount": None, "pid": None}
        seen |= {each.get("type"): each.get("path") for each in linux.get("namespaces") or []}
        seen |= dict.fromkeys(("user", "mount", "pid"))
        linux["namespaces"] = [{"type": kind, "path": path} for kind, path in seen.items()]
        for mount in value.get("mounts") or []:
            mount.pop("uidMappings", None)
            mount.pop("gidMappings", None)
        return value

    return of_shape(spec._SHAPE, junk=False).map(owning)


def is_kept(old: Any, new: Any) -> bool:
    """Whether every unknown field of `old` is in the same place in `new`, unchanged."""
    return all(name in new and new[name] == old[name] for name in UNKNOWN if name in old)


def changed(value: Any) -> Any:
    spec.check(value)
    return spec.edited(
        value,
        base=BASE,
        size=SIZE,
        root="/stage/root",
        user="/proc/7/fd/5",
        hybrid=bool(value.get("hybrid")),
        machine="x86_64",
        may_score=lambda score: score >= 0,
    )


def assert_nobody_on_the_host(old: Any, new: Any) -> None:
    linux = new["linux"]
    wanted = [{"containerID": 0, "hostID": BASE, "size": SIZE}]
    assert linux["uidMappings"] == linux["gidMappings"] == wanted
    kinds = [each.get("type") for each in linux["namespaces"]]
    assert len(kinds) == len(set(kinds))
    for kind in ("user", "cgroup", "mount", "pid"):
        (own,) = (each for each in linux["namespaces"] if each.get("type") == kind)
        paths = {each.get("path") or "" for each in linux["namespaces"] if each != own}
        ours = "/proc/7/fd/5" if kind == "user" and paths == {""} else ""
        assert (own.get("path") or "") == ours
    for device in linux["devices"]:
        assert device.get("type") in ("c", "u", "p")
        assert (device.get("major", 0), device.get("minor", 0)) not in spec._MACHINE_DEVICES
    assert not spec.is_privileged(new)
    assert new["root"]["path"] == "/stage/root"
    rules = linux["seccomp"]["syscalls"]
    actions = {each["action"] for each in rules if "kexec_load" in each["names"]}
    assert not (actions or {linux["seccomp"]["defaultAction"]}) & {"SCMP_ACT_ALLOW", "SCMP_ACT_LOG"}
    for before, after in ((old, new), *((old.get(n) or {}, new.get(n)) for n in ("linux", "root"))):
        assert is_kept(before, after or {})
    assert is_kept(old.get("process") or {}, new.get("process") or {})
    json.dumps(new)


def check(value: Any) -> None:
    """Assert that a spec is refused with a reason, or taken and then nobody on the host."""
    before = copy.deepcopy(value)
    with contextlib.suppress(RuntimeRefusal):
        assert_nobody_on_the_host(value, changed(value))
    assert value == before


FUZZ = settings(
    deadline=None,
    database=None,
    max_examples=int(os.environ.get("CONTAINAI_FUZZ_EXAMPLES", "200")),
    suppress_health_check=list(HealthCheck),
)


@FUZZ
@given(private())
def test_what_is_taken_is_nobody_on_the_host(value):
    check(value)


@FUZZ
@given(of_shape(spec._SHAPE, junk=True).filter(lambda value: isinstance(value, dict)))
def test_what_is_not_taken_is_refused(value):
    check(value)


def is_taken(value: Any) -> bool:
    try:
        changed(copy.deepcopy(value))
    except RuntimeRefusal:
        return False
    return True


@pytest.mark.parametrize("taken", [True, False])
def test_some_are_taken_and_some_refused(taken):
    """Else the two tests above would be about nothing."""
    objects = of_shape(spec._SHAPE, junk=True).filter(lambda value: isinstance(value, dict))
    found = find(private() | objects, lambda value: is_taken(value) is taken, settings=FUZZ)
    assert is_taken(found) is taken


@FUZZ
@given(st.binary(max_size=200) | JUNK.map(lambda value: json.dumps(value).encode()))
def test_bytes_are_an_object_or_refused(raw):
    with contextlib.suppress(RuntimeRefusal):
        assert isinstance(bundle.parse(raw, "config.json"), dict)


@FUZZ
@given(st.text() | st.lists(st.sampled_from(["..", ".", "", "a", "\0", "b c"])).map("/".join))
def test_a_cgroup_is_below_the_root_or_refused(path):
    with contextlib.suppress(RuntimeRefusal):
        group = cgroup.checked(path)
        assert not {".", ".."} & set(group.split("/"))
        assert "\0" not in group
        assert group or ":" in path


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"Linux": {}}, "config.json: Linux: spelled 'linux'"),
        (
            {"linux": {"name\u017fpaces": []}},
            "config.json: linux.name\u017fpaces: spelled 'namespaces'",
        ),
        ({"linux": {"Devices": [{"type": "b"}]}}, "linux.Devices: spelled 'devices'"),
        ({"process": {"user": {"UID": 0}}}, "process.user.UID: spelled 'uid'"),
        ({"process": {"user": {"uid": 0.0}}}, "process.user.uid: expected an integer"),
        ({"mounts": [{"uidMappings": [{"size": 1}]}]}, "mounts[0].uidMappings: the ids are"),
        ({"linux": {"namespaces": [{"type": "pid"}]}}, "cannot share a mount namespace"),
        (
            {"linux": {"namespaces": [{"type": "pid", "path": "/x"}, {"type": "pid"}]}},
            "linux.namespaces: 'pid' stands twice",
        ),
    ],
)
def test_what_two_readers_would_understand_differently_is_refused(value, said):
    with pytest.raises(RuntimeRefusal) as refused:
        spec.check(value)
    assert said in str(refused.value)
