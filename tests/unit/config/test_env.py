"""What `[env]` and `--env` may say, and that no value is in what is said of them."""

import contextlib
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from containai.config import env
from containai.config.env import Env
from containai.config.layers import Own
from containai.config.settings import Settings
from containai.errors import UsageError

SECRET = "s3cret"


def test_names_files_and_values():
    said = {"import": ["A", "B"], "file": "~/x.env", "set": {"C": "d e", "D": 3, "E": True}}
    found = env.parse(said)
    assert found == Env(("A", "B"), ("~/x.env",), {"C": "d e", "D": "3", "E": "true"})
    assert found.shown() == {"import": ["A", "B"], "file": ["~/x.env"], "set": ["C", "D", "E"]}
    assert env.parse("") == Env()
    assert env.parse({}).shown() == {}


def test_what_is_said_later_counts_more():
    first = env.parse({"import": "A", "set": {"C": "1", "D": "1"}})
    second = env.parse({"import": ["B", "A"], "file": "/x", "set": {"C": "2"}})
    assert env.joined(first, second) == Env(("A", "B"), ("/x",), {"C": "2", "D": "1"})


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"imprt": ["A"]}, "expected import, file and set"),
        ("A", "expected import"),
        (["A"], "expected import"),
        ({"import": 3}, "import: expected a text"),
        ({"import": ["AWS_*"]}, "patterns are none"),
        ({"import": [""]}, "is no name"),
        ({"import": ["A\n"]}, "is no name"),
        ({"import": ["Ä"]}, "is no name"),
        ({"import": ["PATH"]}, "PATH is a session's own"),
        ({"set": {"BASH_ENV": SECRET}}, "BASH_ENV is a session's own"),
        ({"set": {"CONTAINAI_SESSION": SECRET}}, "a session's own"),
        ({"set": {"A": [SECRET]}}, "set.A: expected a text"),
        ({"set": {"A": SECRET + "\0"}}, "has a NUL"),
        ({"set": {"A": SECRET * 20_000}}, "more than 96 KiB"),
        ({"set": SECRET}, "set: expected a table"),
        ({"file": "x.env"}, "expected a whole path"),
        ({"file": ["/a\tb"]}, "expected a whole path"),
    ],
)
def test_what_is_refused_is_said_without_a_value(tmp_path, said, why):
    with pytest.raises(ValueError, match=why) as wrong:
        env.parse(said)
    assert SECRET not in str(wrong.value)


def test_nor_does_the_error_of_a_file_have_one(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(f"[env]\nset.A = '{SECRET}'\nimprt = 'A'\n")
    with pytest.raises(UsageError) as wrong:
        Settings.load(str(path), {})
    assert SECRET not in str(wrong.value) + wrong.value.hint
    assert str(wrong.value) == f"env in {path}:1 is not valid"


def test_who_may_say_it(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("env.set.A = '1'\n[workspace.'/srv/api'.env]\nset.B = '2'\n")
    own = Own("own", "env.import = ['C']\n")
    found = Settings.load(str(path), {}, "/srv/api", own)
    assert found.variables == Env((), (), {"A": "1", "B": "2"})
    assert [each.key for each in found.ignored] == ["env"]
    trusted = Settings.load(str(path), {}, "/srv/api", own._replace(trusted=True))
    assert trusted.variables == Env(("C",), (), {"A": "1", "B": "2"})


def test_a_file_of_variables():
    text = """\
# of the project
A=1
export B = two words  # and why
C='it # is $x'
D="a\\nb \\"q\\" $HOME"
E="two
lines"
F=
G=a#b

  H=x=y
"""
    assert env.dotenv(text) == {
        "A": "1",
        "B": "two words",
        "C": "it # is $x",
        "D": 'a\nb "q" $HOME',
        "E": "two\nlines",
        "F": "",
        "G": "a#b",
        "H": "x=y",
    }
    assert env.dotenv("\r\nA=1\r\nB='2'") == {"A": "1", "B": "2"}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("A", 1),
        (f"A=1\n{SECRET}\n", 2),
        (f"A='{SECRET}", 1),
        (f'A="{SECRET}" y', 1),
        (f"\n\n{SECRET}+/{SECRET}==\n", 3),
        (f"PATH={SECRET}", 1),
        (f'A="1\n2"\nB b={SECRET}', 3),
        (f"A={SECRET}\0", 1),
    ],
)
def test_what_is_no_file_of_variables(text, line):
    with pytest.raises(ValueError, match=f"^line {line}: ") as wrong:
        env.dotenv(text)
    assert SECRET not in str(wrong.value)


@given(st.text(st.characters(codec="utf-8")))
def test_whatever_a_file_has_nothing_else_is_raised(text):
    found = {}
    with contextlib.suppress(ValueError):
        found = env.dotenv(text)
    assert "" not in found


def test_those_of_one_session():
    found = env.of_session(["A=1=2", "B", "PATH=/x", "C="], {"B": "here"})
    assert found == {"A": "1=2", "B": "here", "PATH": "/x", "C": ""}
    for words, why in ((["B"], "B is not set here"), (["=x"], "no name"), (["SHLVL=1"], "own")):
        with pytest.raises(ValueError, match=why):
            env.of_session(words, {})


@pytest.mark.parametrize("value", ["", "it's", "$HOME `id`\n\\", 'ü\t"\'"\'"'])
def test_a_shell_takes_them_apart(value):
    ((name, text),) = env.for_session({"A": value, "B": "b"}).items()
    done = subprocess.run(
        ["bash", "-c", f'eval "${name}"; printf %s "$A$B$CONTAINAI_GIVEN"'],
        env={name: text},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{value}b1"
