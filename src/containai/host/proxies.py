"""Proxies that this machine's programs are told to use, and those of its apt.

A user's environment counts before Docker's client, and that before Docker's daemon. What is said of
apt alone is for apt alone: such a proxy often is a cache that fetches nothing else.
"""

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from containai.errors import ContainAIError
from containai.host import around, proc

if TYPE_CHECKING:
    from containai.host.machine import Machine

HINT = (
    "expected a URL like http://proxy.example:3128; or have none in boxes: network.proxies = false"
)
#: They end up in many files, each with a language of its own: nothing that means something in one.
_URL = re.compile(
    r"([a-z][a-z0-9+.-]*)://"
    r"([A-Za-z0-9._~!&*+,=:%-]+@)?"
    r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)"
    r"(:[0-9]{1,5})?/?"
)
_DIRECT = re.compile(r"[A-Za-z0-9.*:/_\[\]-]+")
_LOOPBACK = re.compile(r"localhost|127\.[0-9.]+|::1", re.IGNORECASE)
#: A variable's name in Docker's configurations: daemon.json, and ~/.docker/config.json.
_IN_DAEMON = {"http_proxy": "http-proxy", "https_proxy": "https-proxy", "no_proxy": "no-proxy"}
_IN_CLIENT = {
    "http_proxy": "httpProxy",
    "https_proxy": "httpsProxy",
    "all_proxy": "allProxy",
    "no_proxy": "noProxy",
}


class Proxies(NamedTuple):
    """URLs, or "" where there is none; `direct` are hosts that are reached without (NO_PROXY)."""

    http: str = ""
    https: str = ""
    every: str = ""
    direct: tuple[str, ...] = ()
    apt_http: str = ""
    apt_https: str = ""

    @property
    def urls(self) -> tuple[str, ...]:
        """All URLs there are, each once."""
        urls = (self.http, self.https, self.every, self.apt_http, self.apt_https)
        return tuple(dict.fromkeys(filter(None, urls)))

    def mapped(self, names: Mapping[str, str]) -> "Proxies":
        """Return these with some URLs replaced, by "" if they are to be none."""
        urls = (self.http, self.https, self.every, self.apt_http, self.apt_https)
        http, https, every, apt_http, apt_https = (names.get(url, url) for url in urls)
        return Proxies(http, https, every, self.direct, apt_http, apt_https)

    def variables(self) -> dict[str, str]:
        """Return the variables by which programs are told, in small letters and in capitals."""
        said = {"http_proxy": self.http, "https_proxy": self.https, "all_proxy": self.every}
        found = {name: url for name, url in said.items() if url}
        if found and self.direct:
            found["no_proxy"] = ",".join(self.direct)
        return found | {name.upper(): value for name, value in found.items()}


def known(host: "Machine", environ: Mapping[str, str]) -> Proxies:
    """Return the proxies of this machine's programs. Raises ContainAIError for what is none."""
    layout = host.layout
    for said in (
        _environment(environ),
        _docker_client(os.path.join(layout.home, around.DOCKER_CLIENT)),
        _docker_daemon(around.at(layout.root, around.DOCKER_DAEMON)),
        _docker_units([around.at(layout.root, each) for each in around.DOCKER_UNITS]),
    ):
        if any(value for name, (value, _) in said.items() if name != "no_proxy"):
            break
    else:
        said = {}
    apt = _apt(host)
    http, https, every = (
        _url(*said.get(name, ("", ""))) for name in ("http_proxy", "https_proxy", "all_proxy")
    )
    return Proxies(
        http,
        https,
        every,
        direct=_direct(*said.get("no_proxy", ("", ""))),
        apt_http=_url(apt.get("http", ""), "apt's Acquire::http::Proxy"),
        apt_https=_url(apt.get("https", ""), "apt's Acquire::https::Proxy"),
    )


def loopback_port(url: str) -> int | None:
    """Return the port of an HTTP proxy on this machine's loopback addresses, which no box reaches.

    None for another; 0 where it is there and speaks something else than HTTP.
    """
    scheme, _, host, port = _parts(url)
    if not _LOOPBACK.fullmatch(host.strip("[]")):
        return None
    return int(port or 80) if scheme == "http" else 0


def moved(url: str, address: str, port: int) -> str:
    """Return a URL of the same proxy at another address; who logs in stays."""
    scheme, user, _, _ = _parts(url)
    return f"{scheme}://{user}{address}:{port}"


def shown(url: str) -> str:
    """Return a URL without the password that may be in it."""
    login, at, rest = url.rpartition("@")
    scheme, slashes, login = login.rpartition("://")
    user, colon, _ = login.partition(":")
    return f"{scheme}{slashes}{user}{colon and ':…'}{at}{rest}"


def _parts(url: str) -> tuple[str, str, str, str]:
    """Return scheme, who logs in (with the @), host and port of a URL that was checked."""
    matched = _URL.fullmatch(url)
    assert matched is not None, shown(url)
    scheme, user, host, port = matched.groups()
    return scheme, user or "", host, (port or "")[1:]


#: variable in small letters → its value, and who said so
_Said = dict[str, tuple[str, str]]


def _environment(environ: Mapping[str, str]) -> _Said:
    said: _Said = {}
    for name in around.PROXY_VARIABLES:
        # curl takes the small ones only (CVE-2016-5385), others rather those.
        for each in (name.upper(), name):
            if environ.get(each, "").strip():
                said[name] = environ[each].strip(), each
    return said


def _docker_client(path: str) -> _Said:
    return _named(_json(path, "proxies", "default"), _IN_CLIENT, path)


def _docker_daemon(path: str) -> _Said:
    return _named(_json(path, "proxies"), _IN_DAEMON, path)


def _named(table: Mapping[str, Any], names: Mapping[str, str], path: str) -> _Said:
    found = {name: table.get(key) for name, key in names.items()}
    return {
        name: (value, f"{names[name]} in {path}")
        for name, value in found.items()
        if isinstance(value, str) and value
    }


def _json(path: str, *keys: str) -> Mapping[str, Any]:
    """Return a table of a JSON file; nothing where it is damaged, which its own program says."""
    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
        for key in keys:
            value = value[key]
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    return value if isinstance(value, dict) else {}


def _docker_units(directories: list[str]) -> _Said:
    said: _Said = {}
    for directory in reversed(directories):
        for path in _files(directory):
            for line in _lines(path):
                key, equals, value = line.partition("=")
                if equals and key.strip() == "Environment":
                    said |= _assigned(value, path)
    return said


def _assigned(words: str, path: str) -> _Said:
    found: _Said = {}
    import shlex

    with contextlib.suppress(ValueError):
        for word in shlex.split(words):
            name, _, value = word.partition("=")
            if name.lower() in around.PROXY_VARIABLES:
                # A percent sign is two in a unit (systemd.unit(5), "Specifiers").
                found[name.lower()] = value.replace("%%", "%"), f"{name} in {path}"
    return found


def _apt(host: "Machine") -> Mapping[str, str]:
    """Return what apt is told: "http" and "https". Asked of apt only where a file speaks of it."""
    root = host.layout.root
    single, several = (around.at(root, each) for each in around.APT)
    told = (line for path in [single, *_files(several)] for line in _lines(path))
    if not any("proxy" in line.lower() for line in told if not line.lstrip().startswith("//")):
        return {}
    names = [word for kind in ("http", "https") for word in (kind, f"Acquire::{kind}::Proxy")]
    argv = ["apt-config", "-o", f"Dir::Etc::main={single}", "-o", f"Dir::Etc::parts={several}"]
    try:
        done = host.run([*argv, "shell", *names], ok=None)
    except proc.ProcessError:
        return {}
    import shlex

    pairs = (word.partition("=") for word in shlex.split(done.out))
    return {name: value for name, _, value in pairs if value and value != "DIRECT"}


def _files(directory: str) -> list[str]:
    try:
        return [os.path.join(directory, name) for name in sorted(os.listdir(directory))]
    except OSError:
        return []


def _lines(path: str) -> Iterator[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            yield from file
    except OSError:
        return  # root's alone, for the passwords in it


def _url(value: str, source: str) -> str:
    if not value:
        return ""
    url = value if "://" in value else f"http://{value}"
    matched = _URL.fullmatch(url)
    if matched is None or int((matched[4] or ":0")[1:]) > 65535:
        raise ContainAIError(f"{source} is no proxy: {shown(value)!r}", hint=HINT)
    return url.rstrip("/")


def _direct(value: str, source: str) -> tuple[str, ...]:
    words = tuple(filter(None, re.split(r"[,\s]+", value)))
    for word in words:
        if not _DIRECT.fullmatch(word):
            raise ContainAIError(
                f"{source} names no host: {word!r}",
                hint="expected names and addresses with commas between: localhost,.example.com",
            )
    return words
