import pytest

from containai.boxes.target import Target
from containai.cli import naming
from containai.cli.commands import forward
from containai.config.forwards import Forward
from containai.errors import UsageError


def test_a_box_by_its_name_or_its_workspace():
    assert naming.target(None) == Target()
    assert naming.target("api") == Target(name="api")
    assert naming.target(".") == Target(path=".")
    assert naming.target("src/api") == Target(path="src/api")
    with pytest.raises(UsageError, match="no name of a box"):
        naming.target("A")


def test_which_words_are_ports():
    assert forward.understood(["3000"], auto=False) == (None, [Forward(3000, 3000)])
    assert forward.understood(["api", "1:2"], auto=False) == ("api", [Forward(1, 2)])
    assert forward.understood(["1:db:2"], auto=True) == ("1:db:2", [])
    assert forward.understood([], auto=True) == (None, [])
