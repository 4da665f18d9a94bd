"""Claims of spare boxes, as far as they are words and files; the rest is tests/system's."""

import socket
from pathlib import Path

import pytest

from containai import layout
from containai.runtime import claim, naming
from containai.runtime.attached import Attached, Record

SAID = b'{"hostname": "api-1", "claimed": [["/w", "/home/agent/workspace", false]]}'


def test_what_a_claim_says() -> None:
    mount = Attached("/w", "/home/agent/workspace", readonly=False)
    assert claim.parse(SAID) == Record((), (mount,), "api-1")
    there = SAID[:-1] + b', "start": "/home/agent/workspace"}'
    assert claim.parse(there) == Record((), (mount,), "api-1", "/home/agent/workspace")


@pytest.mark.parametrize(
    "said",
    [
        b"", b"{", b"[]", b"7", b"{}", b'{"claimed": []}', b'{"hostname": ""}',
        b'{"hostname": "a/b"}', b'{"hostname": "a b"}', b'{"hostname": "-a"}',
        b'{"hostname": "spare.1"}', b'{"hostname": "a", "claimed": [["/w", "relative", false]]}',
        b'{"hostname": "a", "claimed": [["/w", "/a/../b", false]]}',
        b'{"hostname": "a", "added": [["/w", "/b", false]]}', b"\xff",
        b'{"hostname": "a", "claimed": [["/w", "/b", false]], "start": "/c"}',
        b'{"hostname": "a", "claimed": [["/w", "/b", false]], "start": ["/b"]}',
        b"[" * 60_000,
    ],
)  # fmt: skip
def test_what_is_no_claim(said: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
        claim.parse(said)


def test_what_takes_the_place_of_the_data_volume() -> None:
    said = SAID[:-2] + b', ["/v", "/mnt/agent-data", false]]}'
    record = claim.parse(said)
    assert record.replaced == ["/mnt/agent-data"] == [layout.DATA_IN_BOX]
    assert claim.parse(SAID).replaced == []
    # As Docker's own, which has it from the host's mounts what is mounted in it.
    assert [each.mount["options"] for each in record.mounts] == [["rbind"], ["rbind", "rprivate"]]


@pytest.mark.parametrize(
    ("sent", "is_whole"),
    [(SAID + b"\n", True), (SAID, False), (b"", False), (b"x" * (claim.LIMIT + 1), False)],
)
def test_only_a_whole_line_is_a_request(sent: bytes, is_whole: bool) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        theirs.sendall(sent)
        theirs.shutdown(socket.SHUT_WR)
        if is_whole:
            assert claim.parse(claim._request(ours)).hostname == "api-1"
            return
        with pytest.raises(ValueError, match="no whole claim"):
            claim._request(ours)


def test_a_name_takes_the_place_of_the_one_that_is_there(tmp_path: Path) -> None:
    hostname, hosts = tmp_path / "hostname", tmp_path / "hosts"
    hostname.write_text("spare\n")
    hosts.write_text("127.0.0.1\tlocalhost\n10.0.0.9\tnot-spare\n10.0.0.3\tspare\n")
    before = hostname.stat().st_ino, hosts.stat().st_ino
    naming.tell(str(tmp_path), "api-1")
    assert hostname.read_text() == "api-1\n"
    assert hosts.read_text() == "127.0.0.1\tlocalhost\n10.0.0.9\tnot-spare\n10.0.0.3\tapi-1\n"
    # What is bound in a container is the file.
    assert (hostname.stat().st_ino, hosts.stat().st_ino) == before


@pytest.mark.parametrize("name", ["hostname", "hosts"])
def test_no_link_is_followed_to_a_file_with_names(tmp_path: Path, name: str) -> None:
    other = tmp_path / "other"
    other.write_text("theirs")
    (tmp_path / "hostname").write_text("spare\n")
    (tmp_path / "hosts").write_text("")
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to(other)
    with pytest.raises(OSError):  # noqa: PT011 - ELOOP
        naming.tell(str(tmp_path), "api-1")
    assert other.read_text() == "theirs"
