"""What the look through an image's layers sees (harness/layers.py)."""

import os

import pytest

from harness import layers

#: What a layer says of a file that it takes away.
GONE = None


@pytest.fixture
def look(tmp_path):
    """Return a function that looks at an image of some layers."""

    def of(*files):
        for number, contents in enumerate(files):
            for name, content in contents.items():
                path = tmp_path / str(number) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                # The engine has a device for what is gone, which only root makes.
                os.mkfifo(path) if content is GONE else path.write_bytes(content)
        return layers.look([str(tmp_path / str(number)) for number in range(len(files))])

    return of


LARGE = {"usr/bin/large": bytes(layers.TWICE)}


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("etc/ssh/ssh_host_ed25519_key", b""),
        ("etc/machine-id", b"0123456789abcdef0123456789abcdef\n"),
        ("root/.cache/pip/x", b""),
        ("home/agent/.npm/_cacache/index", b""),
        ("home/agent/.npmrc", b"//registry.npmjs.org/:_authToken=x"),
        ("home/agent/.ssh/id_ed25519", b""),
        ("etc/some/key.pem", b"-----BEGIN OPENSSH PRIVATE KEY-----"),
        ("var/lib/apt/lists/deb.debian.org_debian_dists_trixie_InRelease", b""),
        ("var/cache/apt/archives/vim.deb", b""),
        ("tmp/left", b""),
        ("usr/local/share/ca-certificates/of-a-network.crt", b""),
    ],
)
def test_what_may_not_be_in_a_layer_is_seen_in_any(look, path, content):
    # A later layer takes it away again, and it is in the image all the same.
    assert look(LARGE, {path: content}, {path: GONE}).forbidden == [f"layer 1: {path}"]


def test_a_large_file_in_two_layers_is_seen(look):
    assert look(LARGE, {"small": b""}, LARGE).twice == ["layers 0 and 2: usr/bin/large"]


def test_nothing_else_is_seen(look):
    usual = {"etc/machine-id": b"", "etc/passwd": b"x", "var/lib/dpkg/status": bytes(200_000)}
    # What `session` reads: no cache of a package.
    usual["home/agent/.cache/containai/session"] = b"export A=1"
    # A package of Python's, of that name.
    usual["home/agent/.local/lib/opentelemetry/_logs/__init__.py"] = b""
    assert look(LARGE | usual, usual) == ([], [])
