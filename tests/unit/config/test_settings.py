import pytest

from containai.config import settings
from containai.config.settings import PortRange
from containai.errors import ContainAIError, UsageError

DEFAULTS = {setting.key: setting.default for setting in settings.SETTINGS}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "config.toml"


def load(path, text):
    path.write_text(text, encoding="utf-8")
    return settings.load(str(path))


def test_defaults(path):
    assert settings.load(str(path)) == DEFAULTS
    assert load(path, "") == DEFAULTS


def test_defaults_are_valid():
    for setting in settings.SETTINGS:
        given = setting.default
        text = f"{given.first}-{given.last}" if isinstance(given, PortRange) else given
        assert setting.parse(text) == given
        assert setting.doc.endswith(".")


def test_what_the_environment_cannot_say(path, monkeypatch):
    monkeypatch.setenv("CONTAINAI_HOST_PATH", "/evil")
    assert settings.load(str(path))["host.path"] == ()
    assert load(path, 'host.path = "/a:/b"')["host.path"] == ("/a", "/b")


def test_file(path):
    text = '[ssh]\nport_range = "3000-3001"\nforward_agent = true\n[agent]\ndefault = "codex"\n'
    assert load(path, text) == DEFAULTS | {
        "ssh.port_range": PortRange(3000, 3001),
        "ssh.forward_agent": True,
        "agent.default": "codex",
    }
    assert load(path, 'agent.default = "x"')["agent.default"] == "x"


@pytest.mark.parametrize(
    ("text", "value"), [("512m", 512 << 20), ("4g", 4 << 30), ("1T", 1 << 40), ("none", 0)]
)
def test_memory(path, text, value):
    assert load(path, f'box.memory = "{text}"')["box.memory"] == value


@pytest.mark.parametrize(
    ("text", "value"), [("2", 2.0), ("1.5", 1.5), ('"0.25"', 0.25), ('"none"', 0.0), ("0", 0.0)]
)
def test_processors(path, text, value):
    assert load(path, f"box.cpus = {text}")["box.cpus"] == value


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
    assert load(path, f"network.host_ports = {text}")["network.host_ports"] == value


@pytest.mark.parametrize("text", ["0", "65536", '"80-90"', '"80/sctp"', '"²"', "true", '"1;2"'])
def test_what_are_no_host_ports(path, text):
    with pytest.raises(UsageError):
        load(path, f"network.host_ports = {text}")


def test_environment_overrides_the_file(path, monkeypatch):
    monkeypatch.setenv("CONTAINAI_SSH_PORT_RANGE", "4000-4001")
    monkeypatch.setenv("CONTAINAI_SSH_FORWARD_AGENT", "true")
    values = load(path, '[ssh]\nport_range = "3000-3001"\n')
    assert values["ssh.port_range"] == PortRange(4000, 4001)
    assert values["ssh.forward_agent"] is True


def test_environment_may_not_be_nonsense(path, monkeypatch):
    monkeypatch.setenv("CONTAINAI_SSH_PORT_RANGE", "")
    with pytest.raises(UsageError, match="in the environment"):
        settings.load(str(path))


@pytest.mark.parametrize(
    "text", ["x = 1", "[ssh]\nport = 1", "ssh = 1", '[ssh.port_range]\na = "b"']
)
def test_unknown_key(path, text):
    with pytest.raises(ContainAIError, match="unknown setting") as caught:
        load(path, text)
    assert "ssh.port_range" in caught.value.hint


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
    assert str(path) in str(caught.value)
    assert caught.value.hint.startswith("expected")


def test_bad_toml(path):
    with pytest.raises(ContainAIError, match="not valid TOML"):
        load(path, "= nonsense")
    path.write_bytes(b'agent.default = "\xff"')
    with pytest.raises(ContainAIError, match="not valid TOML"):
        settings.load(str(path))


def test_unreadable_file(path):
    path.mkdir()
    with pytest.raises(ContainAIError, match="cannot be read"):
        settings.load(str(path))
