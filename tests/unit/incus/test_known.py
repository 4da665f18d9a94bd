import pytest

from containai.errors import DamagedError, UsageError
from containai.incus import known
from containai.incus.known import Places, Remote
from containai.incus.tls import Address, Identity

WORK = Remote("work", (Address("a"), Address("fd42::1", 1)), "f" * 64, "boxes", "node1")


def test_it_is_read_as_it_was_written(tmp_path):
    places = Places({"work": WORK}, "work")
    path = tmp_path / "remotes.json"
    path.write_text(known.written(places))
    assert known.read(str(path)) == places
    assert WORK.served(Identity("c", "k")).pin == "f" * 64


def test_none(tmp_path):
    assert known.read(str(tmp_path / "none")) == Places({}) == known.parsed(None, "x")


def test_a_default_that_is_gone():
    assert known.parsed(known.written(Places({"work": WORK}, "other")), "x").default == "local"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"version":1}', '{"version":1,"remotes":[]}', "[" * 100_000,
     '{"version":1,"remotes":{"a":{}}}', '{"version":1,"remotes":{"a":7}}',
     '{"version":1,"remotes":{"a":{"addresses":[],"pin":"' + "f" * 64 + '","project":"p"}}}',
     '{"version":1,"remotes":{"a":{"addresses":["a"],"pin":"f","project":"p"}}}',
     '{"version":1,"remotes":{"a":{"addresses":["/"],"pin":"' + "f" * 64 + '","project":"p"}}}'],
)  # fmt: skip
def test_a_damaged_one(text):
    with pytest.raises(DamagedError, match="is damaged"):
        known.parsed(text, "x")


def test_one_of_another_version():
    with pytest.raises(DamagedError, match="another version"):
        known.parsed('{"version":2}', "x")


def test_one_that_cannot_be_read(tmp_path):
    with pytest.raises(DamagedError):
        known.read(str(tmp_path))


@pytest.mark.parametrize("name", ["a", "a-1", "1", "x" * 63])
def test_names(name):
    known.check_name(name)
    with pytest.raises(UsageError):
        known.check_name(f"{name}!")


@pytest.mark.parametrize("name", ["", "local", "-a", "A", "a b", "a/b", "é", "x" * 64, "a\n"])
def test_what_is_no_name(name):
    with pytest.raises(UsageError):
        known.check_name(name)
