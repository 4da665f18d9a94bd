import json

import pytest

from containai.config import amounts, settings
from containai.config.amounts import NONE, Amount
from containai.config.setting import Origin, Source
from containai.config.settings import Settings
from containai.config.values import PortRange
from containai.errors import ContainAIError, UsageError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "config.toml"


def load(path, text, **environ):
    path.write_text(text, encoding="utf-8", newline="")
    return Settings.load(str(path), environ)


def known(found):
    return {row.key: found.value(row) for row in Settings.rows()}


DEFAULTS = known(Settings())


def test_defaults(path):
    assert known(Settings.load(str(path), {})) == DEFAULTS
    assert known(load(path, "")) == DEFAULTS
    assert Settings().box_memory == amounts.AUTO
    assert Settings().ssh_port_range == PortRange(2300, 2500)
    assert Settings().host_path == ()
    assert Settings().network_host_ports is None


def test_rows():
    rows = Settings.rows()
    assert rows[0] is Settings.agent_default
    assert len({row.key for row in rows}) == len(rows)
    for row in rows:
        assert row.doc.endswith(".")
        assert bool(row.flag) == bool(row.commands) == bool(row.metavar)


def test_flags():
    assert settings.flags("run")[0] is Settings.agent_default
    own = [Settings.box_disk, Settings.box_data_volume, Settings.box_on]
    assert settings.flags("shell") == [*settings.flags("limit"), *own]
    assert settings.flags("setup") == [Settings.engine_runtime]
    assert settings.flags("image build") == [Settings.image_source]
    assert settings.flags("ls") == []
    assert settings.flags("limit")[0] is Settings.box_memory
    assert Settings.image_name.help.startswith("the image of new boxes: base, sdks")


def test_what_the_environment_cannot_say(path):
    assert load(path, "", CONTAINAI_HOST_PATH="/evil").host_path == ()
    assert load(path, "agent.logins = false", CONTAINAI_AGENT_LOGINS="true").agent_logins is False
    assert load(path, 'host.path = "/a:/b"').host_path == ("/a", "/b")


def test_file(path):
    text = '[ssh]\nport_range = "3000-3001"\nforward_agent = true\n[agent]\ndefault = "codex"\n'
    assert known(load(path, text)) == DEFAULTS | {
        "ssh.port_range": PortRange(3000, 3001),
        "ssh.forward_agent": True,
        "agent.default": "codex",
    }
    assert load(path, 'agent.default = "x"').agent_default == "x"


def test_where_a_value_is_from(path):
    found = load(path, '\n[box]\ncpus = 2\nmemory = "1g"\n', CONTAINAI_IMAGE_NAME="x")
    asked = found.over({"box.memory": "2g", "box.cpus": None, "path": "."})
    assert asked.source(Settings.agent_default) == Source(Origin.DEFAULT)
    assert asked.source(Settings.box_cpus) == Source(Origin.FILE, str(path), 3)
    assert asked.source(Settings.image_name) == Source(Origin.ENVIRONMENT, "CONTAINAI_IMAGE_NAME")
    assert asked.source(Settings.box_memory) == Source(Origin.FLAG, "--memory")
    said = {row.key: str(asked.source(row)) for row in Settings.rows()}
    assert {key: text for key, text in said.items() if text != "the default"} == {
        "box.memory": "the flag (--memory)",
        "box.cpus": f"{path}:3",
        "image.name": "the environment (CONTAINAI_IMAGE_NAME)",
    }


def test_flags_win_and_are_known_from_settings(path):
    found = load(path, 'box.memory = "1g"', CONTAINAI_BOX_MEMORY="2g")
    asked = found.over({"box.memory": "none"})
    assert (asked.box_memory, asked.flagged(Settings.box_memory)) == (NONE, NONE)
    assert (found.box_memory, found.flagged(Settings.box_memory)) == (Amount(2 << 30), None)
    with pytest.raises(UsageError, match=r"box\.memory = 'x' in the flag \(--memory\)"):
        found.over({"box.memory": "x"})


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("image.name = 'x'", 1),
        ("# image.name = 'y'\r\n\r\n[image]\r\nname = 'x'\r\n", 4),
        ("image = {name = 'x'}\n", 1),
        ('agent.default = """\\\n   image.name=1"""\nimage.name="x"', 3),
        ('[host]\npath = [\n"/a",\n"/b"]\n[image] # c\n"name" = "x"\n', 6),
        ('\n[image]\nname = """\\\n  x"""\n', 3),
        ("[box]\ncpus = 1\n[image]\nname='x'\n[ssh]\n", 4),
    ],
)
def test_line(path, text, line):
    found = load(path, text)
    assert found.image_name == "x"
    assert found.source(Settings.image_name).line == line


GOOD: dict[str, dict[object, Amount]] = {
    "box.memory": {
        "512m": Amount(512 << 20), "4g": Amount(4 << 30), "1T": Amount(1 << 40),
        "50%": Amount(percent=50), "0.5%": Amount(percent=0.5), "none": NONE,
        "auto": amounts.AUTO, 0: NONE,
    },
    "box.swap": {"1m": Amount(1 << 20), "100%": Amount(percent=100), "all": amounts.ALL, "0": NONE},
    "box.cpus": {
        2: Amount(2), 1.5: Amount(1.5), "0.25": Amount(0.25), "25%": Amount(percent=25),
        "none": NONE, 0: NONE, "auto": amounts.AUTO,
    },
    "box.pids": {256: Amount(256), "4096": Amount(4096), "10%": Amount(percent=10), "none": NONE},
    "box.disk": {"1g": Amount(1 << 30), "12.5%": Amount(percent=12.5), "none": NONE},
}  # fmt: skip
#: What is wrong for every limit, and for one.
BAD_WORDS = [
    "", "x", "-1", "-4g", "+2", " 2", "2 ", "4k", "4gb", "4.5g", "1e3", "1_0", "٣", "²", "nan",
    "inf", "0%", "101%", "-5%", "5 %", "%", "50.123%", "9999999999t", "None", "NONE", "unlimited",
]  # fmt: skip
BAD_VALUES = [True, False, -1, [], ["4g"], 2.5e300]
BAD = {
    "box.memory": ["255m", "4", "all", 4],
    "box.swap": ["auto", "4", 1],
    "box.cpus": ["0.05", 0.05, "4g", "all", "1.234", "123456"],
    "box.pids": ["255", 255, "4194304", "auto", "all", "4g", "1.5", 1.5],
    "box.disk": ["1023m", "auto", "all", "4", 4],
}


@pytest.mark.parametrize(
    ("key", "said", "value"),
    [(key, *pair) for key, pairs in GOOD.items() for pair in pairs.items()],
)
def test_limits(path, key, said, value):
    row = next(row for row in Settings.rows() if row.key == key)
    assert load(path, f"{key} = {json.dumps(said)}").value(row) == value
    assert row.checked(str(said)) == str(said)


@pytest.mark.parametrize(
    ("key", "said"),
    [(key, said) for key, own in BAD.items() for said in BAD_WORDS + own + BAD_VALUES],
)
def test_what_is_no_limit(path, key, said):
    with pytest.raises(UsageError, match=key) as caught:
        load(path, f"{key} = {json.dumps(said)}")
    assert caught.value.hint.startswith("expected")
    if isinstance(said, str):
        with pytest.raises(UsageError, match=f"{key} .* flag"):
            Settings().over({key: said})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5432", "tcp 5432\n"),
        ('"53/udp 5432 5432/tcp"', "tcp 5432\nudp 53\n"),
        ('"none"', ""),
        ('""', None),
    ],
)
def test_host_ports(path, text, value):
    assert load(path, f"network.host_ports = {text}").network_host_ports == value


@pytest.mark.parametrize("text", ["0", "65536", '"80-90"', '"80/sctp"', '"²"', "true", '"1;2"'])
def test_what_are_no_host_ports(path, text):
    with pytest.raises(UsageError):
        load(path, f"network.host_ports = {text}")


def test_environment_overrides_the_file(path):
    found = load(
        path,
        '[ssh]\nport_range = "3000-3001"\n',
        CONTAINAI_SSH_PORT_RANGE="4000-4001",
        CONTAINAI_NETWORK_PROXIES="false",
    )
    assert found.ssh_port_range == PortRange(4000, 4001)
    assert found.network_proxies is False


def test_environment_may_not_be_nonsense(path):
    with pytest.raises(UsageError, match=r"in the environment \(CONTAINAI_SSH_PORT_RANGE\)"):
        Settings.load(str(path), {"CONTAINAI_SSH_PORT_RANGE": ""})


@pytest.mark.parametrize(
    "text", ["x = 1", "[ssh]\nport = 1", "ssh = 1", '[ssh.port_range]\na = "b"']
)
def test_unknown_key(path, text):
    with pytest.raises(UsageError, match="unknown setting") as caught:
        load(path, text)
    assert "ssh.port_range" in caught.value.hint


def test_unknown_key_has_a_line_and_a_neighbour(path):
    with pytest.raises(UsageError) as caught:
        load(path, '[ssh]\nforward_agent = true\nport-range = "1"\n')
    assert str(caught.value) == f"{path}:3: unknown setting 'ssh.port-range'"
    assert caught.value.hint.startswith("did you mean ssh.port_range? known: agent.default, ")
    with pytest.raises(UsageError) as caught:
        load(path, "xyzzy = 1")
    assert caught.value.hint.startswith("known: ")


@pytest.mark.parametrize(
    "text",
    [
        "ssh.port_range = 2300",
        'ssh.port_range = "2300"',
        'ssh.port_range = "2500-2300"',
        'ssh.port_range = "80-90"',
        'ssh.port_range = "2300-70000"',
        'ssh.port_range = " 2300-2400"',
        'ssh.port_range = "²300-2400"',
        'ssh.forward_agent = "maybe"',
        "ssh.forward_agent = 2",
        "agent.default = 1",
        'agent.default = ""',
        'agent.default = "two words"',
        'agent.default = "nul\\u0000"',
        'agent.default = "escape\\u001b"',
        "image.name = []",
    ],
)
def test_wrong_value(path, text):
    with pytest.raises(UsageError, match=text.split(" ")[0]) as caught:
        load(path, text)
    assert f"in {path}:1 is" in str(caught.value)
    assert caught.value.hint.startswith("expected")


def test_bad_toml(path):
    with pytest.raises(ContainAIError, match="not valid TOML"):
        load(path, "= nonsense")
    with pytest.raises(ContainAIError, match="not valid TOML"):
        load(path, "a = " + "[" * 9999)
    path.write_bytes(b'agent.default = "\xff"')
    with pytest.raises(ContainAIError, match="not valid TOML"):
        Settings.load(str(path), {})


def test_unreadable_file(path):
    path.mkdir()
    with pytest.raises(ContainAIError, match="cannot be read"):
        Settings.load(str(path), {})
