"""Boxes know the certificates that were added to this machine's, and the containers in them do.

A server on the bridge has a certificate of an authority that only the machine trusts.
"""

import http.server
import os
import shutil
import ssl
import subprocess
import threading

import pytest

from harness.nested import NESTED
from harness.site import Site
from harness.space import MakeSpace

PORT = 24690
NAME = "host.docker.internal"
URL = f"https://{NAME}:{PORT}/"
GATEWAY = "{{.NetworkSettings.Gateway}}"
BUILD = r"""
cd /tmp/nest
printf 'FROM nested\nRUN ["/bin/bash", "-c", "%s"]\n' "$1" >Dockerfile
docker build --quiet --no-cache --add-host "$2" . >id
made=$(docker create "$(cat id)" /bin/bash)
docker cp "$made:/etc/ssl/certs/ca-certificates.crt" - | tar -x -O | cmp - \
    root/etc/ssl/certs/ca-certificates.crt
docker image inspect --format '{{.Config.Env}}' "$(cat id)"
"""


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "8")
        self.end_headers()
        self.wfile.write(b"fetched\n")

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def authority(site: Site, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str]:
    """Make an authority and a server's certificate; return their paths, and the key's."""
    made = str(tmp_path_factory.mktemp("authority"))
    script = (
        "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=corp -keyout ca.key -out ca.crt "
        "-addext keyUsage=critical,keyCertSign,cRLSign && "
        f"openssl req -newkey rsa:2048 -nodes -subj /CN={NAME} -keyout key -out request && "
        f"printf 'subjectAltName=DNS:{NAME}' >names && "
        "openssl x509 -req -in request -CA ca.crt -CAkey ca.key -CAcreateserial -extfile names "
        "-out crt"
    )
    subprocess.run(["sh", "-c", script], cwd=made, check=True, capture_output=True)
    return f"{made}/ca.crt", f"{made}/crt", f"{made}/key"


@pytest.fixture(scope="module", autouse=True)
def server(site: Site, authority: tuple[str, str, str]) -> object:
    """Have the server listen on the bridge, and open its port."""
    server = http.server.ThreadingHTTPServer(("0.0.0.0", PORT), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority[1:])
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with site.opened(PORT):
        yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def trusted(site: Site, authority: tuple[str, str, str]) -> object:
    """Add the authority to what the machine of the tests trusts, and take it away."""
    directory = os.path.join(site.root, "usr/local/share/ca-certificates")
    os.makedirs(directory, exist_ok=True)
    with open(authority[0], encoding="ascii") as file:
        text = file.read()
    with open(os.path.join(directory, "corp.crt"), "w", encoding="ascii") as file:
        file.write(text)
    yield directory
    # Not even empty: it would hide what this machine trusts from the tests after these.
    shutil.rmtree(directory)


FETCH = f'import urllib.request as u; print(u.urlopen("{URL}").read().decode())'
#: Each fetches with a store of certificates of its own kind.
PROGRAMS = {
    "curl": f"curl -sS {URL}",
    "wget": f"wget -q -O - {URL}",
    "curl without variables": f"env -i curl -sS {URL}",
    "python": f"python3 -c '{FETCH}'",
    "sudo": f"sudo curl -sS {URL}",
    "a log-in of root's": f"sudo -i curl -sS {URL}",
    "a service": f"sudo systemd-run --quiet --pipe --wait sh -c "
    f"'test -n \"$SSL_CERT_FILE\" && curl -sS {URL}'",
    "a service of the agent's": "systemd-run --user --quiet --pipe --wait sh -c "
    f"'test -n \"$NODE_EXTRA_CA_CERTS\" && curl -sS {URL}'",
}


def test_a_fresh_box_its_containers_and_its_builds_trust_it(
    make_space: MakeSpace, trusted: str, site: Site
) -> None:
    space = make_space()
    for what, command in PROGRAMS.items():
        assert space.sh(command) == "fetched", what
    assert space.sh('openssl verify "$NODE_EXTRA_CA_CERTS"').endswith(": OK")
    space.sh(NESTED)
    host = f"{NAME}:{site.docker('inspect', '--format', GATEWAY, space.box)}"
    fetch = f"curl -sS {URL} >/fetched"
    for builder in ("0", "1"):
        said = space.sh(f"set -- '{fetch}' {host}; export DOCKER_BUILDKIT={builder}; {BUILD}")
        # Nothing of it is in the image, neither in a file nor as a variable.
        assert said == "[PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin]"
        assert space.sh("docker run --rm $(cat /tmp/nest/id) /usr/bin/cat /fetched") == "fetched"
    run = f"docker run --rm --add-host {host} nested"
    assert space.sh(f"{run} /usr/bin/curl -sS {URL}") == "fetched"
    assert space.sh(f"{run} /usr/bin/env -i /usr/bin/curl -sS {URL}") == "fetched"
    mine = space.sh(f"{run.replace(' nested', ' --env SSL_CERT_FILE=/mine nested')} /usr/bin/env")
    assert "SSL_CERT_FILE=/mine" in mine.splitlines()
    assert space.sh("sudo ls /run/containai-surround") == ""


def test_a_running_box_follows_what_the_machine_trusts(make_space: MakeSpace, trusted: str) -> None:
    space = make_space()
    certificate = os.path.join(trusted, "corp.crt")
    os.rename(certificate, trusted + ".away")
    fetch = f"curl -sS {URL} 2>&1 || :"
    assert "SSL certificate problem" in space.sh(fetch)
    assert space.sh("readlink -f $(command -v runc)") in ("/usr/sbin/runc", "/usr/bin/runc")
    os.rename(trusted + ".away", certificate)
    assert space.sh(fetch) == "fetched"
    assert "SSL_CERT_FILE=" in space.sh("sudo systemctl show-environment; env")
    # What others wrote there stays.
    space.sh("sudo sed -i '1i MINE=1' /etc/environment")
    os.unlink(certificate)
    assert "SSL certificate problem" in space.sh(fetch)
    assert "SSL_CERT_FILE=" not in space.sh("sudo systemctl show-environment; env")
    assert space.sh("cat /etc/environment") == "MINE=1"
    assert space.sh("readlink -f $(command -v runc)") in ("/usr/sbin/runc", "/usr/bin/runc")


def test_a_stopped_box_finds_it_when_it_boots(
    make_space: MakeSpace, trusted: str, site: Site
) -> None:
    space = make_space()
    certificate = os.path.join(trusted, "corp.crt")
    os.rename(certificate, trusted + ".away")
    space.sh("true")
    site.cai("stop", space.path)
    os.rename(trusted + ".away", certificate)
    assert space.sh(f"curl -sS {URL}") == "fetched"


def test_a_file_that_is_no_certificate_is_named_and_no_box_is_made(
    make_space: MakeSpace, trusted: str, site: Site
) -> None:
    space = make_space()
    bad = os.path.join(trusted, "bad.crt")
    with open(bad, "w", encoding="ascii") as file:
        file.write("none\n")
    done = space.run("true", check=False)
    assert done.returncode != 0
    assert f"{bad} is no certificate" in done.stderr.decode()
    assert space.box not in site.container_names()
    off = {"CONTAINAI_NETWORK_CERTIFICATES": "false"}
    assert "SSL certificate problem" in space.sh(f"curl -sS {URL} 2>&1 || :", env=off)
