import os
import ssl
import subprocess

import pytest

from containai.errors import DamagedError, RemoteError
from containai.host.machine import Machine
from containai.incus import certificate


@pytest.fixture
def machine(layout):
    layout.uid = os.getuid()
    return Machine(layout)


def said(own, *words):
    argv = ["openssl", "x509", "-in", own.certificate, "-noout", *words]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def test_it_is_made_once(machine):
    own = certificate.ensure(machine)
    assert os.stat(own.key).st_mode & 0o777 == 0o600
    assert os.stat(os.path.dirname(own.key)).st_mode & 0o777 == 0o700
    assert "prime256v1" in said(own, "-text")
    assert f"CN = {certificate.name(machine)}" in said(own, "-subject").replace("CN=", "CN = ")
    # The same as others see it.
    theirs = said(own, "-fingerprint", "-sha256").strip().partition("=")[2]
    assert certificate.fingerprint(own) == theirs.replace(":", "").lower()
    before = certificate.fingerprint(own)
    assert certificate.ensure(machine) == own
    assert certificate.fingerprint(own) == before


def test_a_server_whose_clock_is_behind_takes_it(machine):
    own = certificate.ensure(machine)
    begin = ssl.cert_time_to_seconds(said(own, "-startdate").strip().partition("=")[2])
    end = ssl.cert_time_to_seconds(said(own, "-enddate").strip().partition("=")[2])
    made = os.stat(own.certificate).st_mtime
    assert made - 86400 - 3600 < begin < made - 86400 + 60
    assert end > made + 9 * 365 * 86400


def test_without_openssl(host):
    host.missing.add("openssl")
    with pytest.raises(RemoteError, match="openssl is missing"):
        certificate.ensure(host)
    assert not os.path.exists(host.layout.remote_key)


def test_half_of_one_is_put_aside(machine):
    own = certificate.ensure(machine)
    os.unlink(own.certificate)
    certificate.ensure(machine)
    assert os.path.exists(f"{own.key}.unusable")
    assert len(certificate.fingerprint(own)) == 64


def test_what_others_can_read_is_closed(machine):
    own = certificate.ensure(machine)
    os.chmod(own.key, 0o644)
    certificate.ensure(machine)
    assert os.stat(own.key).st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["certificate", "key"])
def test_a_damaged_one_is_not_replaced(machine, name):
    own = certificate.ensure(machine)
    with open(getattr(own, name), "w", encoding="ascii") as file:
        file.write("rubbish")
    with pytest.raises(DamagedError, match="cannot be used"):
        certificate.ensure(machine)


def test_a_fingerprint_of_nothing(machine):
    with pytest.raises(DamagedError, match="no certificate"):
        certificate.fingerprint(certificate.identity(machine))


def test_a_name_is_one_that_openssl_reads_as_it_is(host, monkeypatch):
    monkeypatch.setattr(host, "user_name", lambda uid: "a/b=c é" + "x" * 99)
    assert certificate.name(host).startswith("a-b-c--x")
    assert len(certificate.name(host)) == 64
