import pytest

from containai.errors import ContainAIError, SshSetupError
from containai.host.fake import FakeMachine
from containai.ssh import client


@pytest.mark.parametrize(
    ("version", "is_old"), [((7, 9), True), ((8, 0), False), ((10, 0), False), ((0, 0), False)]
)
def test_one_that_is_too_old(layout, version, is_old):
    host = FakeMachine(layout)
    host.openssh = version
    if is_old:
        with pytest.raises(SshSetupError, match=r"OpenSSH 7\.9, which is too old"):
            client.check(host)
    else:
        client.check(host)
    assert host.ran == []


@pytest.mark.parametrize("program", ["ssh", "ssh-keygen"])
def test_one_that_is_missing(layout, program):
    host = FakeMachine(layout)
    host.missing.add(program)
    with pytest.raises(ContainAIError, match=f"program '{program}' is missing") as caught:
        client.check(host)
    assert caught.value.exit_code == SshSetupError.exit_code
