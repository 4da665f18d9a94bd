"""When a certificate is good, read from its bytes: as openssl says it, or not at all."""

import contextlib
import random
import ssl
import subprocess
from datetime import UTC, datetime

import pytest

from containai.incus import validity


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a certificate that is good from and until what openssl is told, as DER."""
    directory = tmp_path_factory.mktemp("certificate")
    (directory / "settings").write_text(
        "[ca]\ndefault_ca=own\n[own]\ndatabase=list\nserial=serial\nnew_certs_dir=.\n"
        "default_md=sha256\npolicy=any\nunique_subject=no\n[any]\ncommonName=supplied\n"
        "[req]\ndistinguished_name=names\n[names]\n"
    )
    (directory / "list").touch()
    (directory / "serial").write_text("1000")

    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=directory, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key")
    openssl("req", "-new", *key, "-config", "settings", "-subj", "/CN=x", "-out", "request")

    def make(begins, ends):
        times = ("-startdate", begins, "-enddate", ends)
        openssl("ca", "-batch", "-selfsign", "-notext", "-config", "settings", "-keyfile", "key",
                "-in", "request", *times, "-out", "made")  # fmt: skip
        return ssl.PEM_cert_to_DER_cert((directory / "made").read_text().strip())

    return make


def at(year, month=1, day=1, hour=0):
    return datetime(year, month, day, hour, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("begins", "ends", "says"),
    [
        ("260102030000Z", "361231230000Z", (at(2026, 1, 2, 3), at(2036, 12, 31, 23))),
        # Two digits of a year end with 2049, and begin with 1950.
        ("500101000000Z", "491231000000Z", (at(1950), at(2049, 12, 31))),
        ("20260101000000Z", "20620101000000Z", (at(2026), at(2062))),
    ],
)
def test_it_is_read_as_openssl_wrote_it(made, begins, ends, says):
    assert validity.of(made(begins, ends)) == says


def test_ours_is_good_for_ten_years(certificates):
    with open(certificates["client"][0], encoding="ascii") as file:
        begins, ends = validity.of(ssl.PEM_cert_to_DER_cert(file.read().strip()))
    assert begins < ends


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"0",
        b"\x30\x00",
        b"\x30\x80",
        b"\x30\x84\xff\xff\xff\xff",
        b"<html>",
        b"\x30\x02\x30\x00",
    ],
)
def test_what_is_no_certificate(data):
    with pytest.raises(ValueError, match=r"no certificate|cut off|empty"):
        validity.of(data)


def test_whatever_is_broken_in_one_ends_in_one_error(made):
    whole, chance = made("260101000000Z", "360101000000Z"), random.Random(17)
    for _ in range(400):
        broken = bytearray(whole[: chance.randrange(1, len(whole))])
        with pytest.raises(ValueError, match=r".+"):
            validity.of(bytes(broken))
        broken = bytearray(whole)
        broken[chance.randrange(len(broken))] = chance.randrange(256)
        with contextlib.suppress(ValueError):
            validity.of(bytes(broken))


def test_a_day():
    assert validity.day(at(2036, 11, 5, 23)) == "2036-11-05"
