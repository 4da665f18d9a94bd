import os

import pytest

from containai.boxes import ids
from containai.errors import WorkspaceError


class Owner:
    def __init__(self, uid, gid):
        self.st_uid, self.st_gid = uid, gid


@pytest.fixture
def owned(monkeypatch):
    def by(uid, gid):
        monkeypatch.setattr(os, "stat", lambda path: Owner(uid, gid))

    return by


def test_the_embedded_runtime_needs_nothing(owned):
    owned(4_000_000, 4_000_000)
    assert ids.agent_files("cai-runc", "/w") == {}


@pytest.mark.parametrize("owner", [(1000, 1000), (1234, 100), (65535, 65535)])
def test_the_agent_takes_the_ids_of_the_owner(owned, owner):
    owned(*owner)
    assert ids.agent_files("sysbox-runc", "/w") == {
        "etc/containai/agent-id": (f"{owner[0]} {owner[1]}\n", 0o644)
    }


def test_an_agent_with_uid_0_may_log_in_with_its_key(owned):
    owned(0, 0)
    placed = ids.agent_files("sysbox-runc", "/w")
    assert placed[ids.AGENT_ID_IN_BOX] == ("0 0\n", 0o644)
    assert placed[ids.ROOT_LOGIN_IN_BOX] == ("PermitRootLogin prohibit-password\n", 0o644)


@pytest.mark.parametrize("owner", [(65536, 0), (0, 65536), (1_234_567, 1_234_567)])
def test_an_owner_whom_sysbox_cannot_show_is_refused(owned, owner):
    owned(*owner)
    with pytest.raises(WorkspaceError, match="has ids below 65536 only") as caught:
        ids.agent_files("sysbox-runc", "/w")
    assert "--runtime embedded" in caught.value.hint
