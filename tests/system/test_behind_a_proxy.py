"""Behind a proxy that inspects TLS, on a loopback address of the machine, and no other way out.

Whatever fetches in a box does so as its user types it: nothing is set there by hand.
"""

import base64
import hashlib
import io
import json
import os
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator

import pytest

from containai.engine import configuration, forward
from harness import inspecting
from harness.inspecting import Proxy
from harness.nested import NESTED
from harness.site import Site, text
from harness.space import MakeSpace, Space

#: A page; a package of Python's and of Node's; a repository: under the names everybody knows.
PAGE = "example.com/page"
WHEEL = "files.pythonhosted.org/inspected-1.0-py3-none-any.whl"
TARBALL = "registry.npmjs.org/inspected/-/inspected-1.0.0.tgz"
REPOSITORY = "github.com/team/inspected.git"
BUILD = f"""
cd /tmp/nest
printf 'FROM nested\\nRUN ["/bin/bash", "-c", "curl -sS https://{PAGE} >/fetched"]\\n' >Dockerfile
docker build --quiet --no-cache . >id
docker run --rm "$(cat id)" /usr/bin/cat /fetched
"""
#: Each is a command and what it says last.
FETCHES = {
    "curl": (f"curl -sS https://{PAGE}", "fetched"),
    "curl, without TLS": (f"curl -sS http://{PAGE}", "fetched"),
    "root's curl": (f"sudo -i curl -sS https://{PAGE}", "fetched"),
    "pip": (
        "python3 -m venv /tmp/v && /tmp/v/bin/pip install --quiet inspected >&2 && "
        "/tmp/v/bin/python -m inspected",
        "from an index",
    ),
    "npm": (
        "mkdir /tmp/n && cd /tmp/n && npm i --silent inspected >&2 && "
        "node -e 'require(\"inspected\")'",
        "from a registry",
    ),
    "git": (
        f"git clone --quiet https://{REPOSITORY} /tmp/g && git -C /tmp/g log --format=%s",
        "from a repository",
    ),
    "a build in the box": (NESTED + BUILD, "fetched"),
}


def pages(directory: str) -> dict[str, bytes]:
    """Return what there is to be fetched."""
    wheel, tarball = _wheel(), _tarball()
    digest = hashlib.sha256(wheel).hexdigest()
    version = {
        "name": "inspected",
        "version": "1.0.0",
        "dist": {
            "tarball": f"https://{TARBALL}",
            "integrity": "sha512-" + base64.b64encode(hashlib.sha512(tarball).digest()).decode(),
        },
    }
    package = {
        "name": "inspected",
        "dist-tags": {"latest": "1.0.0"},
        "versions": {"1.0.0": version},
    }
    link = f'<a href="https://{WHEEL}#sha256={digest}">{os.path.basename(WHEEL)}</a>'
    return {
        PAGE: b"fetched\n",
        "pypi.org/simple/inspected/": f"<!DOCTYPE html><html><body>{link}</body></html>".encode(),
        WHEEL: wheel,
        "registry.npmjs.org/inspected": json.dumps(package).encode(),
        TARBALL: tarball,
    } | _repository(directory)


def _wheel() -> bytes:
    information = "inspected-1.0.dist-info"
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("inspected.py", "print('from an index')\n")
        archive.writestr(
            f"{information}/METADATA", "Metadata-Version: 2.1\nName: inspected\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{information}/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        names = [*archive.namelist(), f"{information}/RECORD"]
        archive.writestr(f"{information}/RECORD", "".join(f"{name},,\n" for name in names))
    return made.getvalue()


def _tarball() -> bytes:
    files = {
        "package.json": '{"name": "inspected", "version": "1.0.0"}',
        "index.js": "console.log('from a registry')",
    }
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content.encode()))
    return made.getvalue()


def _repository(directory: str) -> dict[str, bytes]:
    """Return a repository as files: a server of files alone does for git."""
    script = """
    git init --quiet --bare r && cd r
    tree=$(git mktree </dev/null)
    export GIT_AUTHOR_NAME=n GIT_AUTHOR_EMAIL=e GIT_COMMITTER_NAME=n GIT_COMMITTER_EMAIL=e
    git update-ref HEAD "$(git commit-tree -m 'from a repository' "$tree")"
    git update-server-info
    """
    subprocess.run(["sh", "-ec", script], cwd=directory, check=True)
    top, found = os.path.join(directory, "r"), {}
    for parent, _, names in os.walk(top):
        for name in names:
            path = os.path.join(parent, name)
            with open(path, "rb") as file:
                found[f"{REPOSITORY}/{os.path.relpath(path, top)}"] = file.read()
    return found


@pytest.fixture(scope="module")
def proxy(
    site: Site, full: Space, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Proxy, dict[str, str]]]:
    """A proxy that the machine of the tests trusts and is told of; nothing else leads out."""
    directory = os.path.join(site.root, "inspecting")
    os.mkdir(directory)
    trusted = os.path.join(site.root, "usr/local/share/ca-certificates")
    address = f"127.77.{site.layout.number % 250}.1"
    made = pages(str(tmp_path_factory.mktemp("repository")))
    with inspecting.proxy(directory, address, made) as proxy:
        os.makedirs(trusted)
        os.link(proxy.authority, os.path.join(trusted, "proxy.crt"))
        told = {
            "http_proxy": f"http://127.0.0.1:{proxy.http}",
            "https_proxy": f"http://127.0.0.1:{proxy.https}",
            "CONTAINAI_IMAGE_NAME": "full",
        }
        try:
            site.cai("setup", "--yes", env=told)
            yield proxy, told
        finally:
            os.unlink(os.path.join(trusted, "proxy.crt"))
            # Not even empty: it would hide what this machine trusts from the tests after these.
            os.rmdir(trusted)
            site.cai("setup", "--yes", env={"CONTAINAI_NETWORK_PROXIES": "false"})
            assert not forward.service(site.layout, configuration.network(site.layout)).find()


@pytest.fixture
def closed(site: Site) -> Iterator[None]:
    """Nothing that a box sends is forwarded."""
    bridge = site.layout.bridge
    rule = ["nft", "insert", "rule", "ip", bridge, "forward", "iifname", bridge, "reject"]
    with site.without("forward"):
        subprocess.run(rule, check=True)
        yield


def test_what_a_fresh_box_fetches_comes_through_it(
    make_space: MakeSpace, proxy: tuple[Proxy, dict[str, str]], closed: None
) -> None:
    space, (running, told) = make_space(), proxy
    direct = (
        f"curl -sS --noproxy '*' http://198.18.0.1/ 2>&1; getent hosts {PAGE.partition('/')[0]}"
    )
    assert "Failed to connect" in space.sh(f"{direct}; true", env=told)
    said = {}
    for what, (command, expected) in FETCHES.items():
        done = space.run("sh", "-c", command, env=told, check=False)
        said[what] = (done.stdout.decode().splitlines() or [""])[-1], expected, text(done)
    assert all(got == expected for got, expected, _ in said.values()), said
    # It looked into each of them.
    for url in (PAGE, "pypi.org/simple/inspected/", WHEEL, TARBALL, f"{REPOSITORY}/info/refs"):
        assert f" GET https://{url}" in running.asked(), url
    assert f" GET http://{PAGE} " in running.asked()


def test_proxies_that_boxes_go_without_are_named(
    make_space: MakeSpace, proxy: tuple[Proxy, dict[str, str]], site: Site
) -> None:
    space, (running, told) = make_space(), proxy
    more = told | {"all_proxy": "socks5://u:secret@127.0.0.1:9", "CONTAINAI_IMAGE_NAME": "base"}
    why = "boxes go without the proxy socks5://u:…@127.0.0.1:9"
    assert f"cai: {why}" in text(space.run("true", env=more))
    found = json.loads(site.cai("doctor", "--json", env=more, check=False).stdout)["checks"]
    [row] = [each for each in found if each["step"] == "proxy"]
    assert row["ok"]
    assert f"127.0.0.1:{running.https} is " in row["seen"]
    assert f"127.0.0.1:{running.http} is " in row["seen"]
    assert why in row["seen"]
