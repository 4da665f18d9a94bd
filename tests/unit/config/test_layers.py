"""Every setting, from every source: its value, where that is from, and what may not say it."""

import json

import pytest

from containai.config import layers, setting
from containai.config.layers import Own
from containai.config.setting import Origin, Reach, Setting, Source
from containai.config.settings import Settings
from containai.errors import ContainAIError, UsageError

PLACE = "/srv/api"
#: Another value than the default of each: as TOML, as a word, and one that is harmless if one is.
OTHER = {
    "agent.default": ("'codex'", "codex"),
    "agent.logins": ("false", "false"),
    "agent.unattended": ("true", "true"),
    "box.memory": ("'2g'", "2g"),
    "box.swap": ("'1g'", "1g"),
    "box.cpus": ("1", "1"),
    "box.pids": ("4096", "4096"),
    "box.disk": ("'20g'", "20g"),
    "box.on": ("'work'", "work"),
    "box.data_volume": ("'shared'", "shared"),
    "editor.default": ("'zed'", "zed"),
    "engine.runtime": ("'embedded'", "embedded"),
    "engine.provider": ("'distro'", "distro"),
    "engine.sysbox_fs": ("true", "true"),
    "host.path": ("['/opt/bin']", "/opt/bin"),
    "image.name": ("'ghcr.io/a/b:1'", "ghcr.io/a/b:1"),
    "image.source": ("'distro'", "distro"),
    "image.root": ("'debian:13'", "debian:13"),
    "image.without": ("'go rust'", "go rust"),
    "image.versions": ("'GO=1.1'", "GO=1.1"),
    "image.registry": ("'ghcr.io/a'", "ghcr.io/a"),
    "image.cache": ("true", "true"),
    "image.workspace": ("false", "false"),
    "import.auto": ("'always'", "always"),
    "network.certificates": ("false", "false"),
    "network.host_ports": ("5432", "5432"),
    "network.proxies": ("false", "false"),
    "box.spares": ("3", "3"),
    "browser.open": ("'never'", "never"),
    "ssh.port_range": ("'3000-3001'", "3000-3001"),
    "ssh.forward_agent": ("true", "true"),
    "ssh.timeout": ("90", "90"),
    "ssh.local_forward": ("[3000, '8080:80']", "3000 8080:80"),
    "ssh.remote_forward": ("'5432'", "5432"),
    "workspace.config": ("false", "false"),
    "workspace.protect": ('[".envrc"]', ".envrc"),
    "workspace.read_only": ("true", "true"),
}
#: What the file of a workspace that nobody trusts may say all the same.
HARMLESS = {
    "box.memory": ("'2g'", "2g"),
    "box.cpus": ("'50%'", "50%"),
    "box.pids": ("4096", "4096"),
    "box.disk": ("'20g'", "20g"),
    "image.name": ("'base'", "base"),
    "workspace.read_only": ("true", "true"),
}
#: Limits, of which it may say lower ones.
LOWERED = ("box.memory", "box.cpus", "box.pids", "box.disk", "workspace.read_only")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "config.toml")


def load(path, text="", *, own=None, trusted=False, **environ):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    mine = None if own is None else Own(f"{PLACE}/.containai/config.toml", own, trusted)
    return Settings.load(path, environ, PLACE, mine)


def table(key, value):
    return f"[workspace.'{PLACE}']\n{key} = {value}\n"


ROWS = [row for row in Settings.rows() if row.key in OTHER]
each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)


def test_every_setting_is_in_the_table():
    assert {row.key for row in Settings.rows() if not row.table} == OTHER.keys()


@each_row
def test_by_default(path, row):
    found = load(path, own="")
    assert (found.text(row), found.source(row)) == (row.default, Source(Origin.DEFAULT))


@each_row
def test_in_the_users_file(path, row):
    toml, word = OTHER[row.key]
    found = load(path, f"\n{row.key} = {toml}\n")
    assert (found.text(row), found.source(row)) == (word, Source(Origin.FILE, path, 2))


@each_row
def test_in_the_users_table_of_the_workspace(path, row):
    toml, word = OTHER[row.key]
    text = table(row.key, toml)
    if row.reach is Reach.MACHINE:
        with pytest.raises(UsageError, match=rf"config.toml:2: {row.key} is not of one workspace"):
            load(path, text)
    else:
        found = load(path, text)
        assert (found.text(row), found.source(row)) == (word, Source(Origin.TABLE, path, 2))
        # Another workspace's.
        assert Settings.load(path, {}, "/srv").text(row) == row.default


@each_row
@pytest.mark.parametrize("trusted", [False, True])
def test_in_the_file_of_the_workspace(path, row, trusted):
    toml, word = OTHER[row.key]
    found = load(path, own=f"\n\n{row.key} = {toml}\n", trusted=trusted)
    where = Source(Origin.WORKSPACE, f"{PLACE}/.containai/config.toml", 3)
    is_heeded = (row.reach is Reach.TRUSTED and trusted) or row.key in LOWERED
    if is_heeded:
        assert (found.text(row), found.source(row), found.ignored) == (word, where, ())
    else:
        assert (found.text(row), found.source(row).origin) == (row.default, Origin.DEFAULT)
        (ignored,) = found.ignored
        assert (ignored.key, ignored.source) == (row.key, where)
        trustworthy = row.reach is Reach.TRUSTED
        assert ignored.why == (
            "it is not trusted: cai trust" if trustworthy else "only your own config.toml says it"
        )


@pytest.mark.parametrize(("key", "value"), HARMLESS.items())
def test_harmless_in_a_file_that_nobody_trusts(path, key, value):
    row = next(row for row in ROWS if row.key == key)
    found = load(path, own=f"{key} = {value[0]}\n")
    assert (found.text(row), found.ignored) == (value[1], ())


@pytest.mark.parametrize(
    ("users", "own", "memory"),
    [
        ("4g", "2g", "2g"),
        ("4g", "8g", "4g"),
        ("4g", "none", "4g"),
        ("none", "2g", "2g"),
        ("auto", "3g", "auto"),
    ],
)
def test_nobody_gives_himself_more_memory(path, users, own, memory):
    said = f"box.memory = '{own}'\n"
    found = load(path, f"box.memory = '{users}'\n", own=said)
    assert found.text(Settings.box_memory) == memory
    assert load(path, f"box.memory = '{users}'\n", own=said, trusted=True).text(
        Settings.box_memory
    ) == (own)


@each_row
def test_in_the_environment(path, row):
    _, word = OTHER[row.key]
    variable = "CONTAINAI_" + row.key.upper().replace(".", "_")
    found = load(path, **{variable: word})
    if row.file_only:
        assert (found.text(row), found.source(row)) == (row.default, Source(Origin.DEFAULT))
    else:
        where = Source(Origin.ENVIRONMENT, variable)
        assert (found.text(row), found.source(row)) == (word, where)


@each_row
def test_with_a_flag(path, row):
    _, word = OTHER[row.key]
    found = load(path).over({row.key: word})
    assert (found.text(row), found.source(row)) == (word, Source(Origin.FLAG, row.flag))


def test_who_wins(path):
    said = "image.name = 'user'\n" + table("image.name", "'table'")
    own = "image.name = 'own'\n"
    row = Settings.image_name
    assert load(path, "image.name = 'user'\n", own=own).image_name == "user"
    assert load(path, "image.name = 'user'\n", own=own, trusted=True).image_name == "own"
    assert load(path, said, own=own, trusted=True).image_name == "table"
    all_said = load(path, said, own=own, trusted=True, CONTAINAI_IMAGE_NAME="environment")
    assert all_said.image_name == "environment"
    flagged = all_said.over({"image.name": "flag"})
    assert (flagged.image_name, flagged.source(row).origin) == ("flag", Origin.FLAG)


@pytest.mark.parametrize("name", ["~/api", "/home/me/./api/"])
def test_a_table_may_have_its_path_as_people_write_it(path, monkeypatch, name):
    monkeypatch.setenv("HOME", "/home/me")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'[workspace."{name}"]\nbox.cpus = 1\n')
    found = Settings.load(path, {}, "/home/me/api")
    assert (found.box_cpus, found.source(Settings.box_cpus).line) == ((1.0, 0, False), 2)


UNKNOWN = [
    ("box.memry = 1\n", "box.memry", 1),
    ("[box]\n\nmemry = 1\n", "box.memry", 3),
    ('"odd\\nname" = 1\n', r"odd\nname", 1),
]


@pytest.mark.parametrize(("text", "key", "line"), UNKNOWN)
@pytest.mark.parametrize("where", ["user", "table", "other table", "own"])
def test_an_unknown_key_is_an_error_wherever_it_stands(path, text, key, line, where):
    lines = text.splitlines(keepends=True)
    name, at = path, line
    if where == "own":
        kind, name = {"own": text, "trusted": True}, f"{PLACE}/.containai/config.toml"
    elif where == "user":
        kind = {"text": text}
    else:
        of = PLACE if where == "table" else "/srv/other"
        nested = "".join(lines).replace("[box]", f"[workspace.'{of}'.box]")
        kind = {"text": f"[workspace.'{of}']\n{nested}"}
        at += 1
    with pytest.raises(UsageError) as wrong:
        load(path, **kind)
    assert str(wrong.value).startswith(f"{name}:{at}: unknown setting")
    assert repr(key.encode().decode("unicode_escape")) in str(wrong.value)
    if "memry" in key:
        assert wrong.value.hint.startswith("did you mean box.memory? known: agent.default")


@pytest.mark.parametrize("where", ["user", "table", "other table", "own"])
def test_a_wrong_value_is_an_error_wherever_it_stands(path, where):
    said = "box.cpus = 'many'\n"
    of = PLACE if where == "table" else "/srv/other"
    kind = {"user": {"text": said}, "own": {"own": said}}.get(
        where, {"text": table("box.cpus", "'many'").replace(PLACE, of)}
    )
    with pytest.raises(UsageError, match=r"box\.cpus = 'many' in \S+config.toml:\d is not valid"):
        load(path, **kind)


def test_what_is_ignored_is_not_looked_at(path):
    own = "ssh.port_range = 3\nagent.default = 1979-01-01\n"
    assert [each.key for each in load(path, own=own).ignored] == [
        "agent.default",
        "ssh.port_range",
    ]


@pytest.mark.parametrize(
    "own", ["a = " + "[" * 5000, ".".join("a" * 7000) + " = 1", "[" + ".".join("a" * 100) + "]"]
)
def test_what_is_nested_without_end_is_no_settings(path, own):
    with pytest.raises(ContainAIError, match="nested too deeply"):
        load(path, own=own + "\n")


@pytest.mark.parametrize("value", ["3", "[]", "'x'"])
def test_a_workspace_has_a_table(path, value):
    with pytest.raises(UsageError, match=r"config.toml:2: '/srv/api' is no table"):
        load(path, f"[workspace]\n'{PLACE}' = {value}\n")


class Free(Settings):
    """Settings with tables of a free form."""

    words = Setting(
        "words",
        lambda given: dict(given) if isinstance(given, dict) else {},
        "",
        "Words.",
        table=True,
        reach=Reach.TRUSTED,
        joined=lambda first, second: {**first, **second},
        shown=lambda value: dict.fromkeys(value, "…"),
    )
    things = Setting(
        "things",
        lambda given: list(given) if isinstance(given, list) else [],
        "",
        "Things.",
        table=True,
        reach=Reach.USER,
    )

    @classmethod
    def rows(cls):
        return (*Settings.rows(), cls.words, cls.things)


def test_tables_of_a_free_form(path):
    text = """\
[words]
a = "1"
"b.c" = "2"
[words.d]
e = 1

[[things]]
source = "/x"
[[things]]
source = "/y"
"""
    table = f"[workspace.'{PLACE}'.words]\na = '3'\n"
    with open(path, "w", encoding="utf-8") as file:
        file.write(text + table)
    found = Free.load(path, {"CONTAINAI_WORDS": "x"})
    assert found.words == {"a": "1", "b.c": "2", "d": {"e": 1}}
    assert found.things == [{"source": "/x"}, {"source": "/y"}]
    assert found.source(Free.words) == Source(Origin.FILE, path, 1)
    assert found.source(Free.things) == Source(Origin.FILE, path, 7)
    assert found.told(Free.words) == {"a": "…", "b.c": "…", "d": "…"}
    assert json.loads(found.text(Free.things)) == found.told(Free.things) == found.things
    there = Free.load(path, {}, PLACE, Own("own", "words.z = 9\nthings = [1]\n", trusted=True))
    assert there.words == {"a": "3", "b.c": "2", "d": {"e": 1}, "z": 9}
    assert there.source(Free.words) == Source(Origin.TABLE, path, 11)
    assert [each.key for each in there.ignored] == ["things"]
    untrusted = Free.load(path, {}, "/other", Own("own", "words.z = 9\n"))
    assert untrusted.words == found.words
    assert [each.key for each in untrusted.ignored] == ["words"]
    assert Free().text(Free.things) == ""


def test_names_of_tables(path):
    assert layers.inside("", PLACE) == ("workspace", PLACE)
    assert layers.inside("[workspace.'/srv//api']\n", PLACE) == ("workspace", "/srv//api")
    assert layers.inside("not toml", PLACE) == ("workspace", PLACE)
    assert setting.Source(Origin.TABLE, path, 3).__str__() == f"{path}:3"
