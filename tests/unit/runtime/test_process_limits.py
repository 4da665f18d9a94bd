import os
import subprocess
import sys

import pytest

from containai.runtime import limits
from containai.runtime.errors import RuntimeRefusal

FILES = {"type": "RLIMIT_NOFILE", "soft": 77, "hard": 88}
CORE = {"type": "RLIMIT_CORE", "soft": 0, "hard": 2**64 - 1}
NO_CORE = {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}
OFF = {"RLIMIT_CORE": (1, 1)}


@pytest.mark.parametrize(
    ("asked", "may_raise", "left", "taken"),
    [
        ([], False, [], OFF),
        ([], True, [], OFF),
        ([FILES], True, [FILES], OFF),
        ([FILES], False, [], OFF | {"RLIMIT_NOFILE": (77, 88)}),
        ([FILES, CORE], True, [FILES, CORE], {}),
        ([CORE], False, [], {"RLIMIT_CORE": (0, 2**64 - 1)}),
        ([FILES, NO_CORE], True, [FILES], OFF),
        ([NO_CORE], False, [], OFF),
    ],
)
def test_who_sets_which_limit(asked, may_raise, left, taken):
    process = {"args": ["x"], "rlimits": asked}
    kept, ours = limits.divided(process, may_raise=may_raise)
    assert kept == {"args": ["x"], "rlimits": left}
    assert ours == taken
    assert process == {"args": ["x"], "rlimits": asked}
    assert limits.asks_for_core(process) is (CORE in asked)


def in_child(code):
    """Run a line of Python with the module's names in another process; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", f"import resource\nfrom containai.runtime import limits\n{code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_limits_are_taken():
    said = in_child(
        "limits.take({'RLIMIT_NOFILE': (77, 88), 'RLIMIT_CORE': (1, 1)})\n"
        "print(*map(resource.getrlimit, (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)))"
    )
    assert said == "(77, 88) (1, 1)"


@pytest.mark.parametrize("name", ["RLIMIT_NONE", "setrlimit", ""])
def test_what_is_no_limit_is_refused(name):
    with pytest.raises(RuntimeRefusal, match="is no limit"):
        limits.take({name: (1, 1)})


def test_a_limit_that_may_not_be_raised_says_what_may_be_given():
    code = (
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5, 5))\n"
        "try:\n    limits.take({'RLIMIT_FSIZE': (9, 2**64 - 1)})\n"
        "except Exception as refused:\n    print(refused)"
    )
    if limits.may_raise():
        pytest.skip("with CAP_SYS_RESOURCE any limit can be raised")
    assert in_child(code).endswith(f"RLIMIT_FSIZE 9:{2**64 - 1}: the engine may give 5 at most")


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_open_files_of_another_id_are_limited_by_becoming_it():
    other = 1 << 20
    child = subprocess.Popen(["sleep", "60"], user=other, group=other, extra_groups=[])
    try:
        in_child(f"limits.set_files({child.pid}, {other}, 77, 88)")
        with open(f"/proc/{child.pid}/limits", encoding="ascii") as file:
            (line,) = (each for each in file if each.startswith("Max open files"))
        assert line.split()[3:5] == ["77", "88"]
    finally:
        child.kill()
        child.wait()


def test_asking_for_an_oom_score_changes_nothing():
    with open("/proc/self/oom_score_adj", encoding="ascii") as file:
        before = file.read()
    assert limits.may_score(1000)
    with open("/proc/self/oom_score_adj", encoding="ascii") as file:
        assert file.read() == before


@pytest.mark.parametrize(
    ("asked", "online", "left"),
    [
        ("0", "0-3\n", "0"),
        ("1-2,5", "0-7\n", "1-2,5"),
        ("1-2,5", "0,2,5-6\n", "2,5"),
        # None is left: all there are, which an empty list says.
        ("1", "0\n", ""),
        ("", "0\n", ""),
    ],
)
def test_a_container_runs_on_processors_that_are_there(asked, online, left):
    assert limits.online(asked, online) == left
