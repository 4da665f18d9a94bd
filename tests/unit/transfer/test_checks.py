"""Names and links that steer programs on this machine."""

import pytest

from containai.transfer.checks import Item, is_git, odd


@pytest.mark.parametrize(
    "name",
    [b".git", b".GIT", b".Git", b"git~1", b"GIT~2", b".git ", b".git.", b".git . .", b".git:x",
     b".git::$INDEX_ALLOCATION", b".g\xe2\x80\x8cit", b"\xef\xbb\xbf.git", b"a\\.git", b".git\\x"],
)  # fmt: skip
def test_names_of_git(name):
    assert is_git(name)
    assert [each.refused for each in odd([Item(b"d/" + name + b"/x", "100644")])] == [True]


@pytest.mark.parametrize("name", [b".gitignore", b".github", b"git", b".gi", b"x.git", b"agit~1"])
def test_other_names(name):
    assert not is_git(name)
    assert odd([Item(name, "100644")]) == []


@pytest.mark.parametrize("target", [b"/", b"/etc/x", b"../../x", b"x/../../.."])
def test_links_that_lead_out(target):
    assert [each.refused for each in odd([Item(b"d/link", "120000", target)])] == [True]


@pytest.mark.parametrize("target", [b"x", b"../x", b"./x/y", b"../d/x"])
def test_links_that_stay(target):
    assert odd([Item(b"d/link", "120000", target)]) == []


def test_repositories_without_a_work_tree():
    some = [Item(b"x/HEAD", "100644"), Item(b"x/objects/1", "100644")]
    assert odd(some) == []
    found = odd([*some, Item(b"x/refs/heads/main", "100644")])
    assert [(each.path, each.refused) for each in found] == [("x", True)]
    at_the_top = [Item(name, "100644") for name in (b"HEAD", b"objects/1", b"refs/1")]
    assert [each.path for each in odd(at_the_top)] == ["."]


def test_what_is_said_and_not_refused():
    found = odd([Item(b".gitmodules", "100644"), Item(b"x", "160000")])
    assert [each.refused for each in found] == [False, False]
