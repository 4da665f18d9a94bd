import pytest

from containai.config import settings
from containai.config.settings import Origin, Settings, Source
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
    assert Settings().box_memory == 0
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
    assert settings.flags("shell") == [Settings.box_memory, Settings.box_cpus]
    assert settings.flags("setup") == [Settings.engine_runtime]
    assert settings.flags("image build") == [Settings.image_source]
    assert settings.flags("ls") == []
    assert Settings.box_memory.help == "memory of the box: 512m, 4g or none; at least 256m"


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
    assert (asked.box_memory, asked.flagged(Settings.box_memory)) == (0, 0)
    assert (found.box_memory, found.flagged(Settings.box_memory)) == (2 << 30, None)
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


@pytest.mark.parametrize(
    ("text", "value"), [("512m", 512 << 20), ("4g", 4 << 30), ("1T", 1 << 40), ("none", 0)]
)
def test_memory(path, text, value):
    assert load(path, f'box.memory = "{text}"').box_memory == value


@pytest.mark.parametrize(
    ("text", "value"), [("2", 2.0), ("1.5", 1.5), ('"0.25"', 0.25), ('"none"', 0.0), ("0", 0.0)]
)
def test_processors(path, text, value):
    assert load(path, f"box.cpus = {text}").box_cpus == value


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
        CONTAINAI_SSH_FORWARD_AGENT="true",
    )
    assert found.ssh_port_range == PortRange(4000, 4001)
    assert found.ssh_forward_agent is True


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
        "box.memory = 4",
        'box.memory = "4"',
        'box.memory = "4k"',
        'box.memory = "-4g"',
        'box.memory = "255m"',
        'box.memory = "9999999999t"',
        'box.memory = ""',
        "box.cpus = true",
        "box.cpus = -1",
        "box.cpus = 0.05",
        'box.cpus = "nan"',
        'box.cpus = "1_0"',
        'box.cpus = "two"',
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
