import pytest

from containai.errors import SshConnectError
from containai.host.fake import FakeMachine
from containai.ssh import connect


def test_an_sshd_that_stops_in_the_middle_is_not_waited_for_endlessly(layout):
    with pytest.raises(SshConnectError, match="does not go on"):
        connect.open_master(FakeMachine(layout), "box", lambda: None, seconds=-2.0)
