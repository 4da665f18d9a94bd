"""A file of settings is changed in one place; the rest of it stays to the letter."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from containai.config import edit
from containai.errors import ContainAIError, UsageError

WRITTEN = """\
# mine
[box]  # limits
memory = "4g"   # enough

[ssh]
port_range = "2300-2400"
"""


@pytest.mark.parametrize(
    ("before", "key", "value", "after"),
    [
        ("", "box.memory", "4g", '[box]\nmemory = "4g"\n'),
        ("", "network.proxies", False, "[network]\nproxies = false\n"),
        ("", "host.path", ["/a", "/b"], '[host]\npath = ["/a", "/b"]\n'),
        (WRITTEN, "box.memory", "8g", WRITTEN.replace('"4g"', '"8g"')),
        (WRITTEN, "box.memory", "4g", WRITTEN),
        ('box.memory = "4g"\n', "box.memory", "8g", 'box.memory = "8g"\n'),
        ('box = { memory = "4g" }\n', "box.memory", "8g", 'box = { memory = "8g" }\n'),
    ],
)
def test_a_value_is_written(before, key, value, after):
    assert edit.with_value(before, key, value) == after


def test_one_more_of_a_table_goes_into_it():
    after = edit.with_value(WRITTEN, "box.cpus", "2")
    assert tomllib.loads(after)["box"] == {"memory": "4g", "cpus": "2"}
    assert after.replace('cpus = "2"\n', "") == WRITTEN


@pytest.mark.parametrize(
    ("before", "key", "after"),
    [
        (WRITTEN, "box.cpus", WRITTEN),
        (WRITTEN, "nothing.at.all", WRITTEN),
        ("[box]\nmemory = '4g'\n", "box.memory", ""),
        ("[box]\n# why\nmemory = '4g'\n", "box.memory", "[box]\n# why\n"),
        ("box = 3\n", "box.memory", "box = 3\n"),
        ("odd = 1\n# rest\n", "odd", "# rest\n"),
    ],
)
def test_a_key_is_taken_out(before, key, after):
    assert edit.without(before, key) == after


@pytest.mark.parametrize(
    "change", [lambda t: edit.with_value(t, "a.b", "c"), lambda t: edit.without(t, "a.b")]
)
@pytest.mark.parametrize("text", ["[box", "a = ", "[a]\n[a]\n", "a = 1\na = 2\n"])
def test_what_is_no_toml_is_refused(text, change):
    with pytest.raises(ContainAIError, match="is not valid TOML"):
        change(text)


def test_what_is_no_table_is_not_replaced():
    with pytest.raises(UsageError, match="box is no table"):
        edit.with_value("box = 3\n", "box.memory", "4g")


@given(
    st.dictionaries(
        st.sampled_from(["box", "ssh", "x"]),
        st.dictionaries(
            st.sampled_from(["memory", "a", "b"]), st.text() | st.booleans() | st.integers()
        ),
    ),
    st.sampled_from(["box.memory", "ssh.a", "x.b", "image.name"]),
    st.text() | st.booleans() | st.lists(st.text()),
)
def test_nothing_else_changes(tables, key, value):
    import tomlkit

    text = tomlkit.dumps(tables)
    section, name = key.split(".")
    with_it = tomllib.loads(edit.with_value(text, key, value))
    assert with_it == {**tables, section: {**tables.get(section, {}), name: value}}
    without = tomllib.loads(edit.without(text, key))
    rest = {k: v for k, v in tables.get(section, {}).items() if k != name}
    assert without.get(section, {}) == rest
    assert {k: v for k, v in without.items() if k != section} == {
        k: v for k, v in tables.items() if k != section
    }
