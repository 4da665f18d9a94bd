import os
import stat

import pytest

from containai.host import files
from containai.host.fake import FakeMachine
from containai.provision.step import Scope
from containai.provision.steps.user import Keys
from containai.ssh import hosts, include
from containai.work.actions import Do

HAND_WRITTEN = b"# mine\nInclude containai.d/*.conf\nHost a\n"


@pytest.fixture
def host(layout):
    layout.uid = os.getuid()
    made = FakeMachine(layout)
    for path in (layout.ssh_key, layout.ssh_key + ".pub"):
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(path, "w", opener=lambda path, flags: os.open(path, flags, 0o600)):
            pass
    return made


def cannot_be_written(host):
    """Have a configuration that cannot be changed, whoever tries: a directory is in its place."""
    os.makedirs(host.layout.ssh_config, mode=0o700)


def written(host, content):
    with open(host.layout.ssh_config, "wb") as file:
        file.write(content)


def test_a_configuration_that_cannot_be_written_is_no_obstacle(host):
    cannot_be_written(host)
    hosts.ensure_user(host)
    found = Keys().check(host)
    assert (found.ok, found.passes) == (False, True)
    assert include.line(host.layout.ssh_blocks) in found.seen
    assert Keys().plan(host, found) == []


def test_nothing_is_to_be_undone_about_it(host):
    cannot_be_written(host)
    assert not [action for action in Keys().undo(host, Scope()) if isinstance(action, Do)]


def test_an_include_of_the_users_own_is_right_and_stays(host):
    hosts.ensure_user(host)
    written(host, HAND_WRITTEN)
    assert Keys().check(host).ok
    hosts.withdraw(host)
    with open(host.layout.ssh_config, "rb") as file:
        assert file.read() == HAND_WRITTEN


def test_keys_are_mended(host):
    hosts.ensure_user(host)
    layout = host.layout
    os.chmod(layout.ssh_config, 0o666)
    os.chmod(layout.ssh_key, 0o644)
    found = Keys().check(host)
    assert f"{layout.ssh_config} is open" in found.seen
    plans = Keys().plan(host, found)
    assert [each.argv for each in plans if not isinstance(each, Do)] == [
        ["chmod", "go-rwx", layout.ssh_key],
        ["chmod", "go-w", layout.ssh_config],
    ]
    assert stat.S_IMODE(os.stat(layout.ssh_config).st_mode) == 0o666


def test_a_key_that_ssh_cannot_use(host):
    hosts.ensure_user(host)
    host.answer("ssh-keygen", "-y", code=255)
    assert "no key that ssh can use" in Keys().check(host).seen
    host.answer("ssh-keygen", "-y", out="ssh-ed25519 AAAAother")
    assert "is not its public half" in Keys().check(host).seen


def test_an_include_that_is_there_twice(host):
    hosts.ensure_user(host)
    layout = host.layout
    line = f"{include.line(layout.ssh_blocks)}\n"
    files.write(layout.ssh_config, f"{line}Host a\n{line}")
    assert "has it twice" in Keys().check(host).seen
    assert include.put(layout) == ""
    assert files.read(layout.ssh_config) == f"{line}Host a\n"
