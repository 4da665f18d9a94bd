"""Certificates that were added to a machine's, each distribution's way."""

import base64
import os
import subprocess

import pytest

from containai.errors import ContainAIError
from containai.host import certificates
from containai.host.around import ANCHORS, BUNDLES, CERTIFICATE_VARIABLES, CHOSEN


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    """Return a function that makes a certificate of that name."""
    directory = tmp_path_factory.mktemp("made")
    made = {}

    def make(name):
        if name not in made:
            path = directory / name
            words = f"req -x509 -newkey ed25519 -nodes -keyout /dev/null -subj /CN={name} -out"
            subprocess.run(["openssl", *words.split(), path], check=True, capture_output=True)
            made[name] = path.read_text(encoding="ascii")
        return made[name]

    return make


def put(root, path, content):
    where = root / path
    where.parent.mkdir(parents=True, exist_ok=True)
    where.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(where)


@pytest.fixture
def root(tmp_path):
    """A machine's files, of which none are the real one's."""
    for path, _ in ANCHORS:
        (tmp_path / path).mkdir(parents=True)
    for path in (CHOSEN, *BUNDLES):
        put(tmp_path, path, "")
    return tmp_path


def der(text):
    return base64.b64decode("".join(text.splitlines()[1:-1]))


@pytest.mark.parametrize("directory", [path for path, _ in ANCHORS])
def test_each_distributions_directory(root, pem, directory):
    put(root, f"{directory}/below/corp.crt", pem("corp"))
    assert certificates.added(str(root), {}) == (("corp.crt", pem("corp")),)


def test_what_else_is_in_the_directories_is_left_alone(root, pem):
    put(root, "usr/local/share/ca-certificates/notes.txt", "no certificate")
    put(root, "etc/pki/ca-trust/source/anchors/README", "no certificate")
    assert certificates.added(str(root), {}) == ()


def test_a_packages_own(root, pem):
    put(root, "etc/ca-certificates.conf", "# of a package\nmozilla/a.crt\n!off/b.crt\nown/c.crt\n")
    for each in ("mozilla/a", "off/b", "own/c"):
        put(root, f"usr/share/ca-certificates/{each}.crt", pem(each[-1]))
    assert certificates.added(str(root), {}) == (("c.crt", pem("c")),)


def test_every_form(root, pem):
    trusted = base64.b64encode(der(pem("b")) + b"\x30\x00").decode()
    label = "TRUSTED CERTIFICATE-----"
    put(root, "etc/pki/trust/anchors/a.der", der(pem("a")))
    put(root, "etc/pki/trust/anchors/b", f"-----BEGIN {label}\n{trusted}\n-----END {label}\n")
    put(root, "etc/pki/trust/anchors/c.pem", "C = here\r\n" + pem("c").replace("\n", "\r\n"))
    put(root, "etc/pki/trust/anchors/d", pem("d") + pem("e") + pem("d"))
    found = certificates.added(str(root), {})
    assert found == (
        ("a.crt", pem("a")),
        ("b.crt", pem("b")),
        ("c.crt", pem("c")),
        ("d.crt", pem("d")),
        ("d.2.crt", pem("e")),
    )
    assert certificates.bundle_text(found) == "".join(map(pem, "abcde"))


def test_a_users_variable_adds_what_the_machine_does_not_trust(root, pem):
    put(root, BUNDLES[0], pem("known"))
    own = put(root, "own.pem", pem("known") + pem("new"))
    for name in CERTIFICATE_VARIABLES:
        assert certificates.added(str(root), {name: own}) == (("own.crt", pem("new")),)


def test_a_variable_that_names_the_machines_own_bundle_adds_nothing(root):
    link = root / "link"
    link.symlink_to(root / BUNDLES[0])
    assert certificates.added(str(root), {"SSL_CERT_FILE": str(link)}) == ()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "hello",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n***\n-----END CERTIFICATE-----\n",
        b"\x30\x82\xff\xff\x30\x00",
    ],
)
def test_a_file_that_is_none_is_named(root, content):
    path = put(root, "usr/local/share/ca-certificates/bad.crt", content)
    with pytest.raises(ContainAIError, match="is no certificate") as caught:
        certificates.added(str(root), {})
    assert path in str(caught.value)
    assert "network.certificates" in caught.value.hint


def test_a_variable_is_named_with_its_file(root):
    with pytest.raises(ContainAIError, match=r"/nowhere \(PIP_CERT\) cannot be read: No such file"):
        certificates.added(str(root), {"PIP_CERT": "/nowhere"})


def test_nothing_waits_for_a_pipe(root):
    os.mkfifo(root / "usr/local/share/ca-certificates/pipe.crt")
    with pytest.raises(ContainAIError, match="is no file"):
        certificates.added(str(root), {})


def test_size_is_bounded(root, pem, monkeypatch):
    path = put(root, "usr/local/share/ca-certificates/a.crt", pem("a"))
    monkeypatch.setattr(certificates, "LIMIT", 100)
    with pytest.raises(ContainAIError, match="1 certificates were added"):
        certificates.added(str(root), {})
    monkeypatch.setattr(certificates, "FILE_LIMIT", 100)
    with pytest.raises(ContainAIError, match="has more than 0 MiB") as caught:
        certificates.added(str(root), {})
    assert path in str(caught.value)


def test_this_machines_own_can_be_read():
    assert all(each.text.count("\n") > 2 for each in certificates.added("/", {}))


def test_names_are_plain(root, pem):
    put(root, "usr/local/share/ca-certificates/a b'\n$(x).crt", pem("a"))
    assert [each.name for each in certificates.added(str(root), {})] == ["a-b-x.crt"]
