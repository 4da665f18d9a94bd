"""What the network around this machine asks of programs: where it is said, and if it changed.

On the warm path: what is said there is read by `certificates.py` and `proxies.py`.
"""

import os
import zlib
from collections.abc import Mapping

#: Where an administrator puts certificates, and what their names end in: Debian and Ubuntu
#: (update-ca-certificates(8)), Fedora (update-ca-trust(8)), Arch (the same program), openSUSE.
ANCHORS = (
    ("usr/local/share/ca-certificates", ".crt"),
    ("etc/pki/ca-trust/source/anchors", ""),
    ("etc/ca-certificates/trust-source/anchors", ""),
    ("etc/pki/trust/anchors", ""),
)
#: Which of a package's certificates Debian trusts; `mozilla/` are everybody's.
CHOSEN = "etc/ca-certificates.conf"
#: All that a machine trusts, in one file: each distribution makes its own from the above.
BUNDLES = (
    "etc/ssl/certs/ca-certificates.crt",
    "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "var/lib/ca-certificates/ca-bundle.pem",
    "etc/ssl/certs/ca-bundle.crt",
    "etc/ssl/cert.pem",
)
#: Where Docker's daemon and apt are told of proxies.
DOCKER_DAEMON = "etc/docker/daemon.json"
DOCKER_UNITS = ("etc/systemd/system/docker.service.d", "usr/lib/systemd/system/docker.service.d")
APT = ("etc/apt/apt.conf", "etc/apt/apt.conf.d")
#: The same for Docker's client, below a home.
DOCKER_CLIENT = ".docker/config.json"
#: By which programs of this user are told of certificates, each the path of a file.
CERTIFICATE_VARIABLES = (
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "PIP_CERT",
    "AWS_CA_BUNDLE",
)
#: And of proxies, in small letters; in capitals, too.
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def at(root: str, path: str) -> str:
    """Return where a file of the machine is: below `root` if it has one, else the real one's."""
    own = os.path.join(root, path)
    return own if os.path.lexists(own) else os.path.join("/", path)


def fingerprint(root: str, home: str, settings: str, environ: Mapping[str, str]) -> str:
    """Return what is another whenever something of it is said otherwise, or a setting is.

    Nothing is read. A distribution makes its bundle anew when a certificate is added.
    """
    said = [environ.get(name, "") for name in CERTIFICATE_VARIABLES]
    for name in PROXY_VARIABLES:
        said += [environ.get(name, ""), environ.get(name.upper(), "")]
    paths = [path for path, _ in ANCHORS]
    paths += [CHOSEN, *BUNDLES, DOCKER_DAEMON, *DOCKER_UNITS, *APT]
    where = [at(root, path) for path in paths]
    where += [os.path.join(home, DOCKER_CLIENT), settings]
    where += [path for path in said[: len(CERTIFICATE_VARIABLES)] if path]
    return f"{zlib.crc32(repr((said, [seen(path) for path in where])).encode()):08x}"


def seen(path: str) -> tuple[int, int, int]:
    """Return what tells a file from what it was before."""
    try:
        now = os.stat(path)
    except OSError:
        return 0, 0, 0
    return now.st_ino, now.st_size, now.st_mtime_ns
