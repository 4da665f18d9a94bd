"""The rows of commands fit together: what they take, what they say, what their examples show."""

import inspect
import shlex

import pytest

from containai.cli import command, registry
from containai.errors import UsageError

ROWS = registry.every()
#: What there is nothing to show of.
TRIVIAL = {"engine start", "engine stop", "engine status"}
by_path = pytest.mark.parametrize("row", ROWS, ids=[row.path for row in ROWS])


@by_path
def test_run_gets_what_the_row_names(row):
    rest = [each.name for each in row.arguments if each.required]
    rest += ["api" for each in row.arguments if each.last]
    rest += ["--", "true"] if row.remainder else []
    asked = command.parse(row, rest)
    first, *others = inspect.signature(row.run).parameters
    assert first == "app"
    assert sorted(asked.keywords) == sorted(others)


@by_path
def test_every_command_says_what_it_is_for(row):
    assert row.summary
    assert row.summary[0].islower()
    assert not row.summary.endswith(".")
    assert row.group in registry.GROUPS
    assert all(argument.help for argument in command.arguments(row))
    assert bool(row.examples) != (row.path in TRIVIAL)


@by_path
def test_every_example_is_of_its_command_and_is_understood(row):
    for example in row.examples:
        program, *words = shlex.split(example.line)
        found, rest = registry.find(words)
        assert (program, found) == ("cai", row)
        command.parse(found, rest)


@by_path
def test_arguments_have_names_of_their_own(row):
    names = [argument.name for argument in command.arguments(row)]
    shorts = [argument.short for argument in command.arguments(row) if argument.short]
    assert len(set(names)) == len(names)
    assert len(set(shorts)) == len(shorts)


def test_no_two_commands_have_the_same_words():
    paths = [row.path for row in ROWS]
    assert len(set(paths)) == len(paths)
    assert {path.split()[0] for path in paths} == set(registry.names())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["shel"], "did you mean: cai shell?"),
        (["xyzzy"], "there is no command 'xyzzy'"),
        (["engine"], "engine: do what?"),
        (["engine", "jump"], "there is no command 'engine jump'"),
    ],
)
def test_what_is_no_command_is_said_to_be_none(words, said):
    with pytest.raises(UsageError) as raised:
        registry.find(words)
    assert said in str(raised.value)


@by_path
def test_help_fits_into_its_width(row):
    assert max(map(len, command.overview(row).splitlines())) <= command.WIDTH
