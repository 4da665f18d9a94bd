import os
import socket
import types

import pytest

from containai.cli import opening
from containai.cli.opening import Address, Opener
from containai.host import files
from containai.host.proc import Programs

LOGIN = "https://auth.example.com/authorize?redirect_uri=http%3A%2F%2Flocalhost%3A{}%2Fcallback"
LOOPBACK = "http://a.b/?x=http://127.0.0.1"


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("https://example.com/a?b=c#d", Address("https://example.com/a?b=c#d", is_public=True)),
        (LOGIN.format(1455), Address(LOGIN.format(1455), 1455, is_public=True)),
        (f"{LOOPBACK}:8085", Address(f"{LOOPBACK}:8085", 8085, is_public=True)),
        ("http://localhost:3000/", Address("http://localhost:3000/", 3000, is_near=True)),
        ("http://[::1]:3000", Address("http://[::1]:3000", 3000, is_near=True)),
        # A port of root's leads nowhere, and a number that is no port neither.
        (LOGIN.format(80), Address(LOGIN.format(80), is_public=True)),
        (LOGIN.format(65536), Address(LOGIN.format(65536), is_public=True)),
        ("http://localhost/", Address("http://localhost/", is_near=True)),
        # What may mean something to a program that opens it.
        ("https://a.b/$(id)`'", Address("https://a.b/%24%28id%29%60%27", is_public=True)),
    ],
)  # fmt: skip
def test_an_address(text, means):
    assert opening.parsed(text.encode()) == means


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"x", b"file:///etc/passwd", b"javascript:alert(1)", b"ssh://a.b", b"--help", b"https://",
        b"https://google.com@evil.example/", b"https://a.b/ c", b"https://a.b/\x1b[2J",
        b"https://a.b\n",
        b"https://a.b:99999/", "https://ä.example/".encode(), b"\xff",
        b"https://a.b/" + b"x" * 4096,
        b"https://[::1", b"HTTPS:a.b", b"//a.b",
    ],
)  # fmt: skip
def test_no_address(payload):
    assert opening.parsed(payload) is None


@pytest.mark.parametrize(
    "host",
    [
        "192.168.1.1", "10.0.0.1", "169.254.169.254", "127.1", "0x7f.1", "2130706433", "router",
        "a.local", "A.LOCAL.", "[fd00::1]", "[::ffff:127.0.0.1]", "x.localhost", "0.0.0.0",
        "127.0.0.2",
    ],
)  # fmt: skip
def test_what_is_of_a_network_of_one_s_own(host):
    address = opening.parsed(f"http://{host}/".encode())
    assert address is not None
    assert not address.is_public
    assert not address.is_near


class Machine:
    """What an Opener starts."""

    def __init__(self, monkeypatch):
        self.begun, self.opened, self.has = [], [], {"xdg-open"}
        monkeypatch.setattr(Programs, "begin", self.begin)
        monkeypatch.setattr(Programs, "run_detached", lambda _, argv: self.opened.append(argv))
        monkeypatch.setattr(
            Programs, "which", lambda _, program: program if program in self.has else None
        )

    def begin(self, argv, stdin, stdout):
        self.begun.append(argv)
        return types.SimpleNamespace(poll=lambda: None)

    @property
    def ports(self):
        return [argv[argv.index("-L") + 1].split(":")[1] for argv in self.begun]


@pytest.fixture
def machine(monkeypatch):
    return Machine(monkeypatch)


class Talking(Opener):
    """One whose words are kept."""

    def __init__(self, layout):
        self.said = []
        super().__init__(layout, "api", self.said.append)


@pytest.fixture
def opener(layout):
    layout.uid = os.getuid()
    return Talking(layout)


def setting(opener, value):
    files.write(opener._layout.config_file, f"browser.open = '{value}'\n")


def free():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def test_it_is_shown_and_the_answer_comes_back(opener, machine):
    os.makedirs(opener._layout.config_dir)
    port = free()
    opener.open(LOGIN.format(port).encode())
    assert opener.said == [
        f"cai: api asks to open: {LOGIN.format(port)} (localhost:{port} leads to the box)\n"
    ]
    [argv] = machine.begun
    assert argv[:6] == ["setpriv", "--pdeathsig", "TERM", "--", "timeout", "900"]
    assert f"localhost:{port}:localhost:{port}" in argv
    assert machine.opened == []
    # Again: it does already.
    opener.open(LOGIN.format(port).encode())
    assert len(machine.begun) == 1


def test_it_is_opened_where_its_user_said_so(opener, machine, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":7")
    monkeypatch.setenv("BROWSER", "/workspace/evil")
    os.makedirs(opener._layout.config_dir)
    setting(opener, "open")
    opener.open(b"https://example.com/")
    assert machine.opened[0][:3] == ["setsid", "--fork", "env"]
    assert machine.opened[0][-2:] == ["xdg-open", "https://example.com/"]
    assert "DISPLAY=:7" in machine.opened[0]
    assert not [word for word in machine.opened[0] if "evil" in word]
    # A page in the box itself; not one of this machine, nor of its network.
    port = free()
    opener.open(f"http://localhost:{port}/".encode())
    assert len(machine.opened) == 2
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        opener.open(f"http://localhost:{taken}/delete".encode())
    opener.open(b"http://localhost/")
    opener.open(b"http://192.168.1.1/reboot")
    assert len(machine.opened) == 2
    assert "does not lead to the box: somebody listens on it" in opener.said[2]
    machine.has.clear()
    opener.open(b"https://example.com/")
    assert opener.said[-1] == "cai: api asks to open: https://example.com/\n"


def test_never_is_never(opener, machine):
    os.makedirs(opener._layout.config_dir)
    setting(opener, "never")
    opener.open(LOGIN.format(free()).encode())
    assert (opener.said, machine.begun, machine.opened) == ([], [], [])


def test_what_is_no_address_is_left_alone(opener, machine):
    opener.open(b"file:///etc/passwd")
    assert opener.said == ["cai: the box asked to open what is no address of the web: left alone\n"]
    assert machine.begun == []


def test_a_box_cannot_go_on_and_on(opener, machine):
    ports = [free() for _ in range(6)]
    for port in ports:
        opener.open(LOGIN.format(port).encode())
    assert len(machine.begun) == opening.AT_ONCE
    for _ in range(50):
        opener.open(b"https://example.com/")
    assert len(opener.said) == opening.MOST


def test_what_goes_wrong_is_said(opener, machine):
    os.makedirs(opener._layout.config_dir)
    setting(opener, "sometimes")
    opener.heard(b"https://example.com/")
    assert opener.said[0].startswith("cai: the box asked to open an address: browser.open")


def test_a_session_has_one_opener(layout):
    caller = types.SimpleNamespace(layout=layout, box="api", say=print, kept={})
    assert opening.of(caller) is opening.of(caller)
