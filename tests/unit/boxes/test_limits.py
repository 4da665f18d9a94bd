import pytest

from containai.boxes import limits
from containai.boxes.limits import ALL, MOST, UNBOUNDED, Limits
from containai.config.amounts import MOST_PROCESSES
from containai.config.settings import Settings
from containai.errors import UsageError
from containai.host import machine
from containai.host.machine import Capacity
from harness.host import HOST

GIB = 1 << 30
HAS = Capacity(16 * GIB, 4 * GIB, 2, 32768, 100 * GIB, "it is on ext4")


def said(has=HAS, **texts):
    flags = {f"box.{key}": text for key, text in texts.items()}
    return limits.said(Settings().over(flags).value, has)


def test_creating():
    plain = ["--pids-limit", "16384"]
    assert limits.creating(Limits(), "") == limits.creating(Limits(0, 0.0, 0), "") == plain
    assert limits.creating(Limits(GIB, 1.5, 0, 512, 2 * GIB), "0,3") == [
        "--pids-limit", "512", "--memory", str(GIB), "--memory-swap", str(GIB),
        "--cpus", "1.5", "--cpuset-cpus", "0,3", "--storage-opt", f"size={2 * GIB}",
    ]  # fmt: skip
    assert limits.creating(Limits(pids=0), "")[1] == str(MOST_PROCESSES)
    assert limits.creating(Limits(GIB, swap=GIB), "")[-1] == str(2 * GIB)
    assert limits.creating(Limits(GIB, swap=ALL), "")[-1] == str(MOST)


NOW = Limits(GIB, 1.0, 0, 16384, 0)


@pytest.mark.parametrize(
    ("now", "new", "words"),
    [
        (NOW, Limits(), []),
        (NOW, Limits(2 * GIB), ["--memory", str(2 * GIB), "--memory-swap", str(2 * GIB)]),
        # What swap there was stays.
        (NOW._replace(swap=5), Limits(GIB), ["--memory", str(GIB), "--memory-swap", str(GIB + 5)]),
        (NOW, Limits(swap=5), ["--memory", str(GIB), "--memory-swap", str(GIB + 5)]),
        (NOW, Limits(memory=0), ["--memory", str(UNBOUNDED), "--memory-swap", str(MOST)]),
        (NOW, Limits(pids=0), ["--pids-limit", str(MOST_PROCESSES)]),
        (NOW, Limits(cpus=2.0), ["--cpus", "2", "--cpuset-cpus", "0-1"]),
    ],
)
def test_updating(now, new, words):
    assert limits.updating(now, new, "0-1") == words


def test_shared_memory_is_half_of_the_limit():
    words = limits.shared_memory(GIB)
    assert words[0] == "mount"
    assert words[words.index("-o") + 1] == f"remount,nosuid,nodev,size={GIB // 2}"
    assert words[-1] == "/dev/shm"
    assert "remount,nosuid,nodev,size=50%" in limits.shared_memory(0)


def test_the_command_line_wins_over_the_settings():
    settings = Limits(GIB, 2.0)
    assert Limits().over(settings) == settings
    assert Limits(memory=0).over(settings) == Limits(0, 2.0)
    assert Limits(cpus=1.0).over(settings) == Limits(GIB, 1.0)


def test_the_default_is_half_of_the_machine():
    assert said() == Limits(8 * GIB, 1.0, 0, 16384, 0)
    assert said(HAS._replace(processors=9)).cpus == 4.5


@pytest.mark.parametrize(
    ("memory", "processors", "half"),
    [(16, 8, (8, 4.0)), (3, 1, (2, 1.0)), (2, 1, (2, 1.0)), (1, 3, (1, 1.5))],
)
def test_the_default_is_not_too_little_and_never_more_than_there_is(memory, processors, half):
    seen = said(HAS._replace(memory=memory * GIB, processors=processors))
    assert (seen.memory, seen.cpus) == (half[0] * GIB, half[1])


def test_shares_and_none():
    asked = said(memory="25%", cpus="25%", swap="50%", pids="50%", disk="10%")
    assert asked == Limits(4 * GIB, 0.5, 2 * GIB, 16384, 10 * GIB)
    none = said(memory="none", cpus="none", swap="none", pids="none", disk="none")
    assert none == Limits(0, 0, 0, 0, 0)
    # Of nothing, and next to nothing: that is not no limit.
    assert said(HAS._replace(swap=0), swap="50%").swap == 0
    assert said(swap="all").swap == ALL
    assert said(pids="0.01%").pids == 3
    assert said(memory="0.01%").memory == 1 << 20
    assert limits.said(Settings().flagged, HAS) == Limits()


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Limits(cpus=2.5), r"2\.5 processors .* has 2"),
        (Limits(memory=1), "box.memory is 256 MiB or more"),
        (Limits(cpus=0.05), r"box.cpus is 0\.1 or more"),
        (Limits(pids=3), "box.pids is 256 or more"),
        (Limits(disk=5), "box.disk is 1 GiB or more"),
        (Limits(0, swap=GIB), "swap needs one on memory"),
        (Limits(disk=GIB), "no limits on disk: it is on ext4"),
    ],
)
def test_what_no_box_can_have(wanted, message):
    with pytest.raises(UsageError, match=message) as caught:
        limits.check(wanted, HAS)
    assert caught.value.hint
    # And what a box can.
    for fine in (Limits(), Limits(GIB, 2.0, GIB, 256), Limits(0, 0.0, 0, 0, 0), NOW):
        limits.check(fine, HAS)
    limits.check(Limits(disk=GIB), HAS._replace(no_quota=""))


def test_changes():
    assert (
        limits.changes(NOW, Limits(), "", [0, 1])
        == limits.changes(NOW, NOW, "", [0, 1])
        == Limits()
    )
    assert limits.changes(NOW, Limits(2 * GIB, 1.0), "", [0, 1]) == Limits(2 * GIB)
    assert limits.changes(Limits(0, 0.0), Limits(0, 0.0), "", [0, 1]) == Limits()
    assert limits.changes(Limits(0, 0.0), Limits(cpus=1.0), "", [0, 1]) == Limits(None, 1.0)
    assert limits.changes(NOW, Limits(memory=0, pids=0), "", [0, 1]) == Limits(memory=0, pids=0)
    # Docker takes no limit on processors away: all of them are as good.
    assert limits.changes(NOW, Limits(cpus=0.0), "", [0, 1]) == Limits(cpus=2.0)
    assert limits.changes(NOW._replace(cpus=2.0), Limits(cpus=0.0), "", [0, 1]) == Limits()
    with pytest.raises(UsageError, match="cannot be changed"):
        limits.changes(NOW, Limits(disk=GIB), "", [0, 1])
    assert limits.changes(NOW._replace(disk=GIB), Limits(disk=GIB), "", [0, 1]) == Limits()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Limits(8 * GIB, 1.0, 0, 16384), "8 GiB of memory, 1 processor"),
        (Limits(0, 0.0, 0, 16384), "memory without a limit, all processors"),
        (
            Limits(512 << 20, 1.5, GIB, 512, 20 * GIB),
            "512 MiB of memory, 1 GiB of swap, 1.5 processors, 512 processes, "
            "20 GiB of disk, twice",
        ),
        (Limits(GIB, 1.0, ALL, 0), "1 GiB of memory, all swap, 1 processor, unlimited processes"),
    ],
)
def test_in_words(given, words):
    assert given.described() == words


@pytest.mark.parametrize(
    ("memory", "said"), [(1 << 30, "2g"), (768 << 20, "1536m"), (5 << 29, "5g"), (0, "SIZE")]
)
def test_more_than_it_has(memory, said):
    assert limits.giving_more("api", memory) == f"cai limit --name api --memory {said}"


def test_sizes():
    shown = [limits.size(count) for count in (1 << 20, 12_345_678_848, 3 << 40, 0)]
    assert shown == ["1 MiB", "11.5 GiB", "3 TiB", "0 MiB"]


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


@pytest.mark.parametrize(
    ("cpus", "cpuset", "online", "fitting"),
    [
        (None, "", "0", None),
        (1.0, "1", "0-1", None),
        (0.5, "1", "0", 0.5),
        (2.0, "0-1", "0", 1.0),
        # Docker compares the number too.
        (2.0, "", "0", 1.0),
        (1.5, "0,3", "0-1", 1.5),
        (None, "3", "0-1", 2.0),
    ],
)
def test_a_box_keeps_to_the_processors_that_are_there(cpus, cpuset, online, fitting):
    there = machine.cpu_list(online)
    now = NOW._replace(cpus=cpus)
    assert limits.changes(now, Limits(), cpuset, there) == Limits(cpus=fitting)
    assert limits.changes(now, Limits(cpus=0.25), cpuset, there) == Limits(cpus=0.25)


def test_processors_that_are_offline_are_not_used():
    assert limits.spread(2.0, machine.cpu_list("0,2-3"), ["0"]) == "2,3"


def test_cpu_list():
    assert machine.cpu_list("0-2,5\n") == [0, 1, 2, 5]
    assert machine.cpu_list("") == []
    assert len(HOST.processors()) >= 1


def test_what_this_machine_has():
    has = HOST.capacity()
    assert has.memory > 0
    assert has.processors == len(HOST.processors())
    assert has.processes > 0
    assert has.disk > 0
