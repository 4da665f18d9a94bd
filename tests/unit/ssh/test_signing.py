import os

import pytest

from containai.host.fake import FakeMachine
from containai.ssh import signing


@pytest.fixture
def host(layout):
    layout.uid = os.getuid()
    os.makedirs(layout.control_dir, mode=0o700)
    for name in (".ssh/id", ".ssh/known_hosts", "a b"):
        path = os.path.join(layout.home, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii"):
            pass
    return FakeMachine(layout)


def said(port="22", alias=None):
    lines = ["user git", "hostname git.example.com", f"port {port}"]
    lines += [f"hostkeyalias {alias}"] if alias else []
    lines += ["identityfile ~/.ssh/id", "identityfile ~/a b", "identityfile ~/.ssh/gone"]
    lines += [
        "userknownhostsfile ~/.ssh/known_hosts ~/.ssh/known_hosts2",
        "globalknownhostsfile none",
    ]
    return "\n".join(lines)


def test_how_ssh_reaches_a_host_is_asked(host):
    home = host.layout.home
    host.answer("ssh", out=said())
    keys, known = (f"{home}/.ssh/id", f"{home}/a b"), (f"{home}/.ssh/known_hosts",)
    assert signing.reached(host, "work") == ("git.example.com", keys, known)
    assert signing.reached(host, "me@work") == ("me@git.example.com", keys, known)
    assert host.ran[0][-2:] == ("--", "work")


def test_a_port_and_an_alias_are_of_the_name(host):
    host.answer("ssh", out=said(port="2222"))
    assert signing.reached(host, "work").destination == "[git.example.com]:2222"
    host.answer("ssh", out=said(port="2222", alias="there"))
    assert signing.reached(host, "work").destination == "there"


def test_a_key_signs_for_the_way_through_this_box_only():
    words = signing.added("api", "/k", ["github.com", "git@b"], ["/known"])
    assert words == [
        "ssh-add", "-q", "-H", "/known", "-h", "containai-api",
        "-h", "containai-api>github.com", "-h", "containai-api>git@b", "--", "/k",
    ]  # fmt: skip


def test_what_cannot_be_signed_for_is_said(host):
    with open(host.layout.agent_socket("api"), "w", encoding="ascii"):
        pass
    host.answer("ssh-add", "-q", "-H", code=1, err='No host keys found for destination "x"\n')
    host.answer("ssh", out=said())
    said_of = signing.have(host, "api", ["work"], 1)
    assert said_of[0] == (
        f"ssh.forward_agent: {host.layout.home}/.ssh/id is not for git.example.com: "
        'No host keys found for destination "x"'
    )
    host.answer("ssh", out="hostname x\n")
    assert signing.have(host, "api", ["x"], 1) == [
        "ssh.forward_agent: no key file of yours is for x"
    ]


def test_a_passphrase_is_not_asked_for_without_a_terminal(host, monkeypatch):
    monkeypatch.setattr(signing, "has_terminal", lambda: False)
    with open(host.layout.agent_socket("api"), "w", encoding="ascii"):
        pass
    host.answer("ssh", out=said())
    host.answer("ssh-keygen", code=255)
    assert "it has a passphrase" in signing.have(host, "api", ["work"], 1)[0]
    assert not [argv for argv in host.ran if "-h" in argv]
