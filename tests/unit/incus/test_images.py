import hashlib
import io
import re

import pytest

from containai.incus import images
from containai.incus.errors import ForbiddenError, IncusError, OperationError
from harness.incus_server import Fault, Operation, Refused

ALL = "/1.0/images"


@pytest.fixture
def parts():
    return io.BytesIO(b"metadata" * 100), io.BytesIO(b"rootfs" * 100_000)


def test_an_image_is_brought_in_two_parts(server, incus, parts):
    server.handlers[f"POST {ALL}"] = lambda asked: Operation({"fingerprint": "x"})
    whole = parts[0].getvalue() + parts[1].getvalue()
    news = []
    found = images.upload(incus, *parts, sent=lambda done, size: news.append((done, size)))
    assert found == hashlib.sha256(whole).hexdigest()
    asked = next(each for each in server.asked if each.method == "POST")
    kind, _, boundary = asked.headers["content-type"].partition("; boundary=")
    assert kind == "multipart/form-data"
    fields = asked.body.split(f"--{boundary}".encode())
    names = [re.search(rb'name="(\w+)"; filename="([\w.]+)"', each) for each in fields[1:3]]
    assert [each.groups() for each in names] == [
        (b"metadata", b"metadata.tar"), (b"rootfs", b"rootfs.tar.zst"),
    ]  # fmt: skip
    assert b"".join(each.partition(b"\r\n\r\n")[2][:-2] for each in fields[1:3]) == whole
    assert fields[3] == b"--\r\n"
    assert asked.headers["x-incus-fingerprint"] == found
    assert "x-incus-properties" not in asked.headers
    size = len(asked.body)
    assert news[-1] == (size, size)
    assert news == sorted(news)
    assert {each for _, each in news} == {size}


def test_one_that_is_there_is_not_sent(server, incus, parts):
    found = images.fingerprint(*parts)
    server.handlers[f"GET {ALL}/{found}"] = lambda asked: {"fingerprint": found}
    assert images.upload(incus, *parts) == found
    assert {each.method for each in server.asked} == {"GET"}


def test_one_that_somebody_else_has_brought_meanwhile(server, incus, parts):
    text = "Image with same fingerprint already exists"
    server.handlers[f"POST {ALL}"] = lambda asked: Operation(err=text)
    assert images.upload(incus, *parts) == images.fingerprint(*parts)


def test_what_the_server_does_not_like(server, incus, parts):
    server.handlers[f"POST {ALL}"] = lambda asked: Operation(err="Missing creation date")
    with pytest.raises(OperationError, match="Missing creation date"):
        images.upload(incus, *parts)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault("status", 403, "no"), ForbiddenError),
        (Fault("before"), IncusError),
        (Fault("garbage", text='{"type":"sync","metadata":{}}'), IncusError),
    ],
)
def test_an_upload_that_is_refused(server, incus, parts, fault, kind):
    server.faults[f"POST {ALL}"] = fault
    with pytest.raises(kind):
        images.upload(incus, *parts)


def test_a_refusal_is_heard_before_all_is_sent(server, incus):
    # The server reads nothing of it: what is sent stays in buffers, and then nowhere.
    text = "HTTP/1.1 403 Forbidden\r\nContent-Length: 41\r\n\r\n"
    text += '{"type":"error","error":"no","more":"123"}'[:41]
    server.faults[f"POST {ALL}"] = Fault("raw", text=text)
    news = []
    size = 200 << 20
    with open("/dev/zero", "rb") as zero:

        class Long(io.BytesIO):
            at = 0

            def read(self, count=-1):
                count = min(count, size - self.at)
                self.at += count
                return zero.read(count)

            def seek(self, offset, whence=0):
                self.at = size if whence else 0
                return self.at

        with pytest.raises(IncusError):
            images.upload(
                incus, io.BytesIO(b"x"), Long(), expected="f" * 64,
                sent=lambda done, whole: news.append(done),
            )  # fmt: skip
    assert max(news, default=0) < size


def test_finding_and_removing(server, incus):
    said = {
        "fingerprint": "f", "aliases": [{"name": "cai"}], "properties": {"os": "x"}, "size": 7,
    }  # fmt: skip
    server.handlers[f"GET {ALL}"] = lambda asked: [said]
    server.handlers[f"DELETE {ALL}/f"] = lambda asked: Operation()
    (found,) = images.listed(incus)
    assert (found.fingerprint, found.aliases, found.properties, found.size) == (
        "f", ("cai",), {"os": "x"}, 7,
    )  # fmt: skip
    assert images.find(incus, "none") is None
    assert images.delete(incus, "f")
    assert not images.delete(incus, "none")


def test_an_alias_is_moved(server, incus):
    names = {}

    def post(asked):
        if asked.value["name"] in names:
            raise Refused(409, "Alias already exists")
        names[asked.value["name"]] = asked.value["target"]
        return {}

    def put(asked):
        names["cai/full"] = asked.value["target"]
        return {}

    server.handlers[f"POST {ALL}/aliases"] = post
    server.handlers[f"PUT {ALL}/aliases/cai%2Ffull"] = put
    server.handlers[f"GET {ALL}/aliases/cai%2Ffull"] = lambda asked: {"target": names["cai/full"]}
    server.handlers[f"DELETE {ALL}/aliases/cai%2Ffull"] = lambda asked: {}
    for found in ("f1", "f2"):
        images.set_alias(incus, "cai/full", found)
        assert images.alias(incus, "cai/full") == found
    assert images.alias(incus, "none") == ""
    assert images.delete_alias(incus, "cai/full")
    assert not images.delete_alias(incus, "none")
