"""What is read of a configuration is what git reads of it."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from containai.host import gitconfig
from containai.host.gitconfig import Entry

WELL_FORMED = [
    "[user]\n\tname = A B\n",
    '[user]\nname="A  B" # who\nemail = a@b ; more\n',
    "[User] Name = x\n",
    '[url "https://X.y/\\"q\\\\"]\n insteadOf = gh:\n',
    "[a.B]\nc=d\n",
    "[a]\nb\nc=\nd = \n",
    '[a]\nb = one \\\n  two\\n\\t\\"\n',
    '[a]\nb = " lead" trail  ; c\n',
    "\ufeff[a]\nb=c\n",
    "[a]\r\nb=c\r\n",
    "# c\n; d\n\n[a]b=c\n[d]\ne",
    "[a]\nb = x#y\n",
    '[a]\nb = "x#y;z"\n',
    '[a ""]\nb=1\n',
]


def by_git(text: str, tmp_path) -> list[tuple[str, str | None]]:
    file = tmp_path / "config"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    argv = ["git", "config", "--file", str(file), "--no-includes", "--list", "-z"]
    said = subprocess.run(argv, capture_output=True, check=True).stdout
    rows = [row.partition(b"\n") for row in said.split(b"\0") if row]
    return [(os_text(name), os_text(value) if line else None) for name, line, value in rows]


def os_text(part: bytes) -> str:
    return part.decode("utf-8", "surrogateescape")


def read(text: str) -> list[tuple[str, str | None]]:
    return [(entry.name, entry.value) for entry in gitconfig.parse(text)]


@pytest.mark.parametrize("text", WELL_FORMED)
def test_it_is_read_as_git_does(text, tmp_path):
    assert read(text) == by_git(text, tmp_path)


@pytest.mark.parametrize(
    "text", ["x\n", "[a\n", "[]\nb=c\n", "[a]\n=b\n", '[a]\nb="c\n', "[a]\nb=\\q\n", "[a]\n1b=c\n"]
)
def test_what_is_none_is_refused_with_its_line(text):
    with pytest.raises(ValueError, match=r"line \d+ is none"):
        gitconfig.parse(text)


words = st.text('aB c"\\#;=[]\n\t~/é', max_size=12)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.none() | words.filter(lambda w: "\n" not in w), words), max_size=4))
def test_what_is_written_is_read_again(made):
    entries = [Entry("section", below, "key", text) for below, text in made]
    assert gitconfig.parse(gitconfig.written(entries)) == entries


def test_git_reads_what_is_written(tmp_path):
    entries = [Entry("url", 'a"b\\c', "insteadof", 'x # y; "z"\n\t\\'), Entry("a", None, "b", None)]
    text = gitconfig.written(entries)
    assert by_git(text, tmp_path) == [(entry.name, entry.value) for entry in entries]


def test_files_of_the_home_are_included_in_their_places():
    files = {
        "top": b"[user]\nname=one\n[include]\npath=~/dir/more\npath=/etc/x\n[user]\nemail=e\n",
        "dir/more": b"[include]\npath=../last\n[user]\nname=two\n",
        "last": b"[alias]\nst=status\n[include]\npath=last\n",
    }
    left: list[str] = []
    entries = gitconfig.included(files["top"], "top", files.get, left)
    assert [entry.name for entry in entries if entry.section != "alias"] == [
        "user.name",
        "user.name",
        "user.email",
    ]
    assert gitconfig.value(entries, "user.name") == "two"
    # One that includes itself ends, and what is elsewhere is said.
    assert any("last" in each for each in left)
    assert any("/etc/x" in each for each in left)


def test_an_identity_is_of_the_last_file():
    files = {
        ".config/git/config": b"[user]\nname=old\nemail=e@x\n",
        ".gitconfig": b"[user]\nname=new\n",
    }
    assert gitconfig.identity(files.get) == ("new", "e@x")
    assert gitconfig.identity({".gitconfig": b"damaged"}.get) == ("", "")
