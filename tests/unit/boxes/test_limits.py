import pytest

from containai.boxes import limits
from containai.boxes.limits import Limits
from containai.errors import UsageError
from containai.host import machine
from harness.host import HOST

GIB = 1 << 30


def test_arguments():
    assert limits.arguments(Limits(), "") == limits.arguments(Limits(0, 0.0), "") == []
    assert limits.arguments(Limits(GIB, 1.5), "0,3") == [
        "--memory", str(GIB), "--memory-swap", str(GIB), "--cpus", "1.5", "--cpuset-cpus", "0,3",
    ]  # fmt: skip
    assert limits.arguments(Limits(cpus=2.0), "") == ["--cpus", "2", "--cpuset-cpus", ""]


def test_shared_memory_is_half_of_the_limit():
    words = limits.shared_memory(GIB)
    assert words[0] == "mount"
    assert words[words.index("-o") + 1] == f"remount,nosuid,nodev,size={GIB // 2}"
    assert words[-1] == "/dev/shm"


def test_the_command_line_wins_over_the_settings():
    settings = Limits(GIB, 2.0)
    assert Limits().over(settings) == settings
    assert Limits(memory=0).over(settings) == Limits(0, 2.0)
    assert Limits(cpus=1.0).over(settings) == Limits(GIB, 1.0)


def test_more_processors_than_there_are():
    limits.check(Limits(cpus=2.0), [0, 1])
    limits.check(Limits(), [0])
    with pytest.raises(UsageError, match=r"2\.5 processors .* has 2"):
        limits.check(Limits(cpus=2.5), [0, 1])


def test_changes():
    now = Limits(GIB, 1.0)
    assert limits.changes(now, Limits()) == Limits()
    assert limits.changes(now, now) == Limits()
    assert limits.changes(now, Limits(2 * GIB, 1.0)) == Limits(2 * GIB, None)
    assert limits.changes(Limits(0, 0.0), Limits(0, 0.0)) == Limits()
    assert limits.changes(Limits(0, 0.0), Limits(cpus=1.0)) == Limits(None, 1.0)
    for asked in (Limits(memory=0), Limits(cpus=0.0)):
        with pytest.raises(UsageError, match="not taken away"):
            limits.changes(now, asked)


@pytest.mark.parametrize(
    ("cpus", "taken", "chosen"),
    [
        (1.0, [], "0"),
        (1.0, ["0"], "1"),
        (1.0, ["0", "1", "2-3", "0"], "1"),
        (1.5, ["0-1"], "2,3"),
        (1.2, ["", "1"], "0,2"),
        (0.1, [], "0"),
        (4.0, ["0"], "0,1,2,3"),
        (9.0, [], "0,1,2,3"),
    ],
)
def test_boxes_spread_over_the_processors(cpus, taken, chosen):
    assert limits.spread(cpus, range(4), taken) == chosen


def test_processors_that_are_offline_are_not_used():
    assert limits.spread(2.0, machine.cpu_list("0,2-3"), ["0"]) == "2,3"


def test_cpu_list():
    assert machine.cpu_list("0-2,5\n") == [0, 1, 2, 5]
    assert machine.cpu_list("") == []
    assert len(HOST.processors()) >= 1
