import pytest

from containai.config import forwards
from containai.config.forwards import Forward


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("3000", Forward(3000, 3000)),
        ("8080:80", Forward(8080, 80)),
        ("5432:db:5433", Forward(5432, 5433, "db")),
        ("1:[::1]:65535", Forward(1, 65535, "[::1]")),
    ],
)
def test_a_forward(text, means):
    assert forwards.forward(text) == means


@pytest.mark.parametrize(
    "text",
    [
        "", "0", "65536", "x", "1:", ":1", "1:2:3:4", "db:5432", "-1", "1 2", "٣", "1:2\n",
        "1:-oProxyCommand=x:2", "*:1:2", "0.0.0.0:1:b:2", "1:/run/x:2", "1:a b:2", "1:::1:2",
    ],
)  # fmt: skip
def test_no_forward(text):
    with pytest.raises(ValueError, match=r"expected PORT|from 1 to 65535"):
        forwards.forward(text)


def test_several():
    both = (Forward(3000, 3000), Forward(8080, 80))
    assert forwards.forwards("3000 8080:80") == both
    assert forwards.forwards([3000, "8080:80"]) == both
    assert forwards.forwards(3000) == both[:1]
    assert forwards.forwards("") == forwards.forwards([]) == ()


@pytest.mark.parametrize("value", [True, None, {}, ["1", "1:2"], [True], "1,2"])
def test_no_forwards(value):
    with pytest.raises(ValueError, match=r"expected PORT|listened on once"):
        forwards.forwards(value)


@pytest.mark.parametrize(
    ("value", "means"), [(True, True), ("true", True), ("", False), ([], False)]
)
def test_an_agent_that_is_there_or_not(value, means):
    assert forwards.agent(value) is means


def test_an_agent_for_hosts():
    assert forwards.agent("github.com git@example.com") == ("github.com", "git@example.com")
    assert forwards.agent(["work", "[2001:db8::1]"]) == ("work", "[2001:db8::1]")


@pytest.mark.parametrize(
    "value",
    ["ture", 2, ["-oProxyCommand=x"], ["a b"], ["a>b"], ["@"], ["*"], [1], {"a": 1},
     ["a.b\n"], "a.b,c.d"],
)  # fmt: skip
def test_no_agent(value):
    with pytest.raises(ValueError, match="expected true, false, or hosts"):
        forwards.agent(value)
