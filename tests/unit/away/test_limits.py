import pytest

from containai.away import limits
from containai.config.settings import Settings
from containai.errors import NotThereError


def wanted(**said):
    settings = Settings.load("/dev/null", {}).over(
        {f"box.{key}": value for key, value in said.items()}
    )
    return limits.wanted(settings.value, settings.flagged, "work")


def test_what_nobody_said_is_the_places_own():
    assert wanted().config == {
        "limits.memory": "",
        "limits.cpu": "",
        "limits.cpu.allowance": "",
        "limits.processes": "16384",
    }
    assert wanted().disk == 0


@pytest.mark.parametrize(
    ("said", "key", "text"),
    [
        ({"memory": "4g"}, "limits.memory", str(4 << 30)),
        ({"memory": "50%"}, "limits.memory", "50%"),
        ({"memory": "none"}, "limits.memory", ""),
        ({"cpus": "2"}, "limits.cpu", "2"),
        ({"cpus": "2"}, "limits.cpu.allowance", ""),
        ({"cpus": "1.5"}, "limits.cpu", "2"),
        ({"cpus": "1.5"}, "limits.cpu.allowance", "150ms/100ms"),
        ({"cpus": "0.5"}, "limits.cpu.allowance", "50ms/100ms"),
        ({"cpus": "none"}, "limits.cpu", ""),
        ({"pids": "300"}, "limits.processes", "300"),
        ({"pids": "none"}, "limits.processes", ""),
    ],
)
def test_what_is_said_in_the_words_of_incus(said, key, text):
    assert wanted(**said).config[key] == text


def test_a_limit_on_the_disk():
    assert wanted(disk="20g").disk == 20 << 30


@pytest.mark.parametrize(
    "said", [{"swap": "2g"}, {"swap": "none"}, {"cpus": "50%"}, {"pids": "50%"}, {"disk": "50%"}]
)
def test_what_cannot_be_there_is_said_by_its_name(said):
    with pytest.raises(NotThereError, match="is not to be had on work") as raised:
        wanted(**said)
    assert raised.value.hint


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({}, "memory as the place has it, processors as the place has them"),
        ({"limits.memory": str(4 << 30), "limits.cpu": "1"}, "4 GiB of memory, 1 processor"),
        (
            {
                "limits.memory": "8GiB",
                "limits.cpu": "2",
                "limits.cpu.allowance": "150ms/100ms",
            },
            "8GiB of memory, 1.5 processors",
        ),
        (
            {"limits.cpu": "2", "limits.cpu.allowance": "50%"},
            "memory as the place has it, 2 processors",
        ),
    ],
)
def test_in_words(config, text):
    assert limits.described(config) == text
