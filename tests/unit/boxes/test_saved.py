"""The file of a data volume: what it says is believed only as far as it can be checked."""

import hashlib
import io
import json
import random
import tarfile
import zlib

import pytest

from containai.boxes import saved
from containai.boxes.saved import Manifest, Packer, Reader
from containai.errors import CopyError

MANIFEST = Manifest("2026-11-27T00:00:00+00:00", "cai 0", "api", "/srv/api", {"name": "api"})
TAR = random.Random(1).randbytes(700_000) + bytes(300_000)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "it.tar"


def write(path, content=TAR, manifest=MANIFEST):
    with open(path, "w+b") as file:
        packer = Packer(file, lambda size: None)
        for at in range(0, len(content), 100_000):
            packer.write(content[at : at + 100_000])
        return packer.finish(manifest)


def read(path, step=4096):
    with open(path, "rb") as file:
        reader = Reader(file)
        content = b""
        while part := reader.read(step):
            assert len(part) <= step
            content += part
        reader.check()
        return reader.manifest, content


def forge(path, **values):
    """Write a file whose manifest says something else, with the checksum that fits."""
    content = values.pop("content", TAR)
    data = values.pop("data", None)
    if data is None:
        packed = zlib.compressobj(wbits=31)
        data = packed.compress(content) + packed.flush()
    value = {"format": saved.FORMAT, "version": saved.VERSION} | MANIFEST._asdict()
    value |= {"size": len(content), "sha256": hashlib.sha256(data).hexdigest()} | values
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as out:
        for name, text in ((saved.MANIFEST, json.dumps(value).encode()), (saved.DATA, data)):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            out.addfile(info, io.BytesIO(text))


@pytest.mark.parametrize("content", [TAR, b"", b"x"])
def test_what_was_written_is_read(path, content):
    manifest = write(path, content)
    assert read(path) == (manifest, content)
    assert manifest[:5] == MANIFEST[:5]


def test_tar_opens_it(path):
    manifest = write(path)
    with tarfile.open(path) as archive:
        assert archive.getnames() == ["containai.json", "data.tar.gz"]
        said, data = (archive.extractfile(name).read() for name in archive.getnames())
    assert json.loads(said) == {"format": "containai-data", "version": 1} | manifest._asdict()
    assert hashlib.sha256(data).hexdigest() == manifest.sha256
    assert zlib.decompress(data, 31) == TAR


def test_one_that_another_program_wrote_is_read(path):
    forge(path)
    assert read(path)[1] == TAR


def test_every_place_where_it_may_be_cut(path):
    write(path)
    whole = path.read_bytes()
    # What follows the data is tar's own.
    end = len(whole) - 2 * saved.BLOCK - saved.BLOCK
    for at in (*range(0, 20_000, 501), *range(20_000, end, 69_989)):
        path.write_bytes(whole[:at])
        with pytest.raises(CopyError):
            read(path)


def test_whatever_byte_is_another(path):
    manifest = write(path)
    whole = bytearray(path.read_bytes())
    chance = random.Random(2)
    start = 2 * saved.BLOCK + saved.ROOM
    for _ in range(50):
        at = chance.randrange(start, len(whole) - 3 * saved.BLOCK)
        other = bytearray(whole)
        other[at] ^= 1 << chance.randrange(8)
        path.write_bytes(other)
        with pytest.raises(CopyError, match="the file is damaged"):
            read(path)
    path.write_bytes(whole)
    assert read(path)[0] == manifest


@pytest.mark.parametrize(
    "content",
    [b"", b"x" * 511, b"\0" * 4096, b"\x1f\x8b" + b"x" * 4096, b"PK\3\4" * 1000],
    ids=["empty", "short", "nulls", "gzip", "zip"],
)
def test_another_file(path, content):
    path.write_bytes(content)
    with pytest.raises(CopyError, match="no file of cai export"):
        read(path)


@pytest.mark.parametrize(
    "values",
    [
        {"format": "other"},
        {"size": -1},
        {"size": True},
        {"size": 1 << 60},
        {"size": 1e3},
        {"size": "9"},
        {"sha256": None},
        {"volume": ["a"]},
        {"box": "api"},
        {"created": 1},
    ],
    ids=str,
)
def test_a_manifest_that_lies_about_its_shape(path, values):
    forge(path, **values)
    with pytest.raises(CopyError, match="no file of cai export"):
        read(path)


def test_a_newer_version(path):
    for version in (2, "9" * 1000, True, None):
        forge(path, version=version)
        with pytest.raises(CopyError, match="of version") as raised:
            read(path)
        assert len(str(raised.value)) < 100


@pytest.mark.parametrize("size", [0, 5, len(TAR) - 1, len(TAR) + 1, 1 << 40])
def test_a_size_that_is_another(path, size):
    forge(path, size=size)
    with pytest.raises(CopyError, match="the file is damaged"):
        read(path)


def test_a_bomb_is_read_as_far_as_it_said(path):
    bomb = zlib.compressobj(9, wbits=31)
    data = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(1000)) + bomb.flush()
    forge(path, size=1 << 20, data=data)
    with open(path, "rb") as file:
        reader = Reader(file)
        with pytest.raises(CopyError, match="more in it than its"):
            list(iter(lambda: reader.read(1 << 16), b""))
        assert reader.seen <= (1 << 20) + (1 << 16)


def test_what_follows_the_data_within_it(path):
    packed = zlib.compressobj(wbits=31)
    data = packed.compress(TAR) + packed.flush()
    forge(path, data=data + b"more" * 200_000)
    with pytest.raises(CopyError, match="the file is damaged"):
        read(path)


@pytest.mark.parametrize(
    "text", [b"[" * 60_000, b'{"a":' * 9_000, b"1" * 60_000, b"\xff", b"null", b"[]", b""]
)
def test_json_that_only_an_adversary_writes(path, text):
    with tarfile.open(path, "w") as out:
        info = tarfile.TarInfo(saved.MANIFEST)
        info.size = len(text)
        out.addfile(info, io.BytesIO(text))
    with pytest.raises(CopyError, match="no file of cai export"):
        read(path)


def test_headers_of_another_kind(path):
    for name, kind, size in (
        ("../containai.json", tarfile.REGTYPE, 9),
        ("containai.json", tarfile.SYMTYPE, 0),
        ("containai.json", tarfile.REGTYPE, 1 << 40),
        ("containai.json", tarfile.REGTYPE, saved.MOST + 1),
    ):
        info = tarfile.TarInfo(name)
        info.type, info.size = kind, size
        path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(100_000))
        with pytest.raises(CopyError, match="no file of cai export"):
            read(path)
