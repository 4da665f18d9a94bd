"""Text for strangers: what is somebody's is masked, the same thing everywhere by the same word.

What is known to be somebody's (names, paths, values) is masked wherever it stands; what looks like
an address, a path, a name of a host or a secret, too, unless it is known to be everybody's. Rather
too much than too little: whoever reads it can ask.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from containai.layout import is_below

#: Words that are ours or everybody's, also where somebody has them as a name.
_OURS = frozenset(
    [
        "agent", "auto", "base", "box", "boxes", "cai", "cai-runc", "containai", "debian",
        "docker", "embedded", "engine", "false", "full", "host", "image", "linux", "localhost",
        "name", "network", "nobody", "none", "root", "runtime", "sdks", "ssh", "sysbox",
        "systemd", "true", "ubuntu", "unknown", "workspace", "wrong",
    ]
)  # fmt: skip
_PUBLIC_HOSTS = frozenset(
    [
        "docker.io", "registry-1.docker.io", "ghcr.io", "github.com", "download.docker.com",
        "deb.debian.org", "security.debian.org", "archive.ubuntu.com",
    ]
)  # fmt: skip
#: What ends so has a dot and is no host.
_SUFFIXES = frozenset(
    [
        "bak", "conf", "d", "deb", "gz", "img", "json", "lock", "log", "md", "mount", "new", "nft",
        "path", "pid", "pub", "py", "service", "sh", "slice", "sock", "socket", "sources", "tar",
        "target", "timer", "toml", "txt", "xz", "yaml", "yml",
    ]
)  # fmt: skip
#: Settings of the kernel, and plugins of containerd.
_NO_HOSTS = re.compile(
    r"(fs|kernel|vm|net\.(ipv4|ipv6|core))(\.[a-z0-9_-]+)+|io\.containerd\.[a-z0-9_.-]+"
)
_PUBLIC_SLASHED = re.compile(
    r"GNU/Linux|linux/\w+|\w{1,3}/\w{1,3}|ghcr\.io/containai/(base|full|sdks)(:recipe-[0-9a-f]+)?"
)
#: From how many characters on a known word is masked within others, too.
_ANYWHERE = 5


class Place(NamedTuple):
    """A path that everybody may know, and how it is shown; `is_open`: so is all that is below."""

    path: str
    shown: str
    is_open: bool = False


_PLACES = (
    *(
        Place(path, path, is_open=True)
        for path in ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/proc", "/sys", "/dev")
    ),
    *(
        Place(path, path)
        for path in (
            "/usr/local", "/etc", "/run", "/var/run", "/var/lib", "/var/log", "/var", "/opt",
            "/srv", "/tmp", "/home", "/mnt", "/media",  # noqa: S108 - nothing is there
        )
    ),
)  # fmt: skip

_OPEN, _CLOSE = "\u2039", "\u203a"
_STOP = rf"\s'\"`,;()\[\]{{}}|{_OPEN}{_CLOSE}"
_CALLED = (
    r"[\w.-]*(?:token|secret|passw(?:or)?d|passphrase|credential|api[_-]?key|authorization|cookie"
    r"|private[_-]?key)[\w.-]*"
)
_FQDN = r"(?<![\w.-])(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z](?:[a-z0-9-]*[a-z0-9])?(?![\w-])"
#: What is masked, by kind: the first that fits at a place counts. `known` comes with what is known.
_PATTERNS = {
    "named": rf"(?P<of>{_CALLED}[\"']?\s*[=:]\s*(?:(?:bearer|basic)\s+)?)"
    r"(?:\"[^\"]*\"|'[^']*'|\S+)",
    "bearer": r"(?P<scheme>(?:bearer|basic)\s+)\S+",
    "key": r"(?:ssh-(?:ed25519|rsa|dss)|ecdsa-sha2-\w+|sk-(?:ssh|ecdsa)[\w@.-]+)"
    r" [A-Za-z0-9+/=]{8,}(?: [^\s\"']+)?",
    "prefixed": r"(?<![a-z0-9])(?:sk-|gh[a-z]_|github_pat_|xox[a-z]-|akia|aiza|glpat-|hf_|npm_"
    r"|pypi-)[\w-]{6,}",
    "url": rf"(?P<start>[a-z][a-z0-9+.-]*://)(?:(?P<login>[^/{_STOP}@]*)@)?"
    rf"(?P<at>[^/{_STOP}:?#]*)(?P<port>:\d+)?(?P<rest>[^{_STOP}]*)",
    "mail": r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*",
    "known": "",
    "quoted": r"(?P<quote>['\"`])(?P<path>~?/[^'\"`]*)(?P=quote)",
    "mac": r"(?<![\w:])(?:[0-9a-f]{2}:){5}[0-9a-f]{2}(?![\w:])",
    "v6": r"(?<![\w:.])(?P<six>(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4})(?:%\w+)?(?P<of6>/\d{1,3})?"
    r"(?![\w:])",
    "v4": r"(?<![\w.])(?P<four>\d{1,3}(?:\.\d{1,3}){3})(?P<of4>/\d{1,2})?(?!\.?\w)",
    "slashed": rf"[^{_STOP}=:/]*/(?:[^{_STOP}:]|:(?=[^\s/]))*",
    "box": r"(?<![\w-])[a-z0-9][a-z0-9-]*-[0-9a-f]{8}(?![\w-])",
    "token": r"[A-Za-z0-9_][A-Za-z0-9_+.~-]{11,}={0,2}",
    "fqdn": _FQDN,
}  # fmt: skip
_OVER_LINES = re.compile(r"-----BEGIN [^-]+-----.*?(?:-----END [^-]+-----|\Z)", re.DOTALL)


class Masking:
    """What is masked by what. The same value has the same word in all texts."""

    def __init__(self, places: Iterable[Place] = (), public: Iterable[str] = ()) -> None:
        """`public` are words that stay, whatever they look like."""
        self._places = [*places, *_PLACES]
        self._public = frozenset(public)
        self._known: dict[str, str] = {}
        self._words: dict[tuple[str, str], str] = {}
        self._pattern: re.Pattern[str] | None = None

    def know(self, kind: str, *values: str) -> None:
        """Have values masked wherever they stand, as of a kind."""
        for value in map(str.strip, map(_plain, values)):
            if len(value) < 2 or value.lower() in _OURS or value.isdigit():
                continue
            self._known.setdefault(value.lower(), kind)
            if value.startswith("/"):
                self._places.insert(0, Place(value, self._word(kind, value)))
        self._pattern = None

    def lines(self, text: str) -> list[str]:
        """Return the lines of a text, in which nothing of anybody is left."""
        done: list[str] = []
        at = 0
        for found in [*_OVER_LINES.finditer(text), None]:
            before = text[at : len(text) if found is None else found.start()]
            done += map(self.line, before.splitlines())
            if found is not None:
                at = found.end()
                done.append(self._word("secret", found[0]))
        return done

    def line(self, text: str) -> str:
        """Return a text on one line, in which nothing of anybody is left."""
        if self._pattern is None:
            self._places.sort(key=lambda place: -len(place.path))
            self._pattern = self._compiled()
        return self._pattern.sub(self._masked, _plain(text))

    def _compiled(self) -> re.Pattern[str]:
        ordered = sorted(self._known, key=len, reverse=True)
        known = "|".join(map(_wherever, ordered)) or r"(?!)"
        parts = [f"(?P<{kind}>{one or known})" for kind, one in _PATTERNS.items()]
        return re.compile("|".join(parts), re.IGNORECASE)

    def _masked(self, found: re.Match[str]) -> str:
        text = found[0]
        ways: dict[str, Callable[[], str]] = {
            "known": lambda: self._word(self._known[text.lower()], text),
            "named": lambda: found["of"] + self._word("secret", text[len(found["of"]) :]),
            "bearer": lambda: found["scheme"] + self._word("secret", text[len(found["scheme"]) :]),
            "prefixed": lambda: self._word("secret", text),
            "url": lambda: self._url(found),
            "quoted": lambda: found["quote"] + self._path(found["path"]) + found["quote"],
            "v6": lambda: self._address(found["six"], text) + (found["of6"] or ""),
            "v4": lambda: self._address(found["four"], text) + (found["of4"] or ""),
            "slashed": lambda: self._path(text),
            "box": lambda: self._word("name", text),
            "token": lambda: self._token(text),
            "fqdn": lambda: self._host(text),
        }
        kind = next(kind for kind in _PATTERNS if found[kind] is not None)
        return ways.get(kind, lambda: self._word(kind, text))()

    def _word(self, kind: str, value: str) -> str:
        key = (kind, value.lower())
        if key not in self._words:
            number = 1 + sum(each == kind for each, _ in self._words)
            self._words[key] = f"<{kind}-{number}>"
        return self._words[key]

    def _url(self, found: re.Match[str]) -> str:
        login = self._word("secret", found["login"]) + "@" if found["login"] else ""
        begun, rest = found["start"] + login, found["rest"]
        if not found["at"]:
            return begun + (self._path(rest) if rest else "")
        below = rest if rest in ("", "/") else "/" + self._word("path", rest)
        return begun + self._host(found["at"]) + (found["port"] or "") + below

    def _host(self, text: str) -> str:
        if re.fullmatch(r"\d{1,3}(\.\d{1,3}){3}", text):
            return self._address(text, text)
        word = text.lower()
        if word in self._public or word in _PUBLIC_HOSTS or word in _OURS:
            return text
        if word.rpartition(".")[2] in _SUFFIXES or _NO_HOSTS.fullmatch(word):
            return text
        return self._word(self._known.get(word, "host"), text)

    def _address(self, text: str, whole: str) -> str:
        try:
            seen = ipaddress.ip_address(text)
        except ValueError:
            # A time; and a version in four parts is as good as an address.
            return whole if ":" in text else self._word("address", text)
        public = seen.is_loopback or seen.is_unspecified or str(seen) == "169.254.169.254"
        return text if public else self._word("address", text)

    def _path(self, text: str) -> str:
        if _PUBLIC_SLASHED.fullmatch(text) or text in self._public or not text.strip("/"):
            return text
        # The number of a line stays.
        path = re.sub(r":\d+$", "", text)
        line = text[len(path) :]
        for place in self._places:
            if is_below(path, place.path):
                rest = path[len(place.path) :]
                return place.shown + (rest if place.is_open else self._parts(rest)) + line
        return self._parts(path) + line

    def _parts(self, text: str) -> str:
        return "/".join(self._part(part) if part else "" for part in text.split("/"))

    def _part(self, text: str) -> str:
        stem, dot, suffix = text.rpartition(".")
        if stem.lower() in self._known and suffix in _SUFFIXES:
            return self._part(stem) + dot + suffix
        return self._word(self._known.get(text.lower(), "path"), text)

    def _token(self, text: str) -> str:
        if text.lower() in self._public:
            return text
        if re.fullmatch(r"[0-9a-f]{12,64}", text):
            return self._word("id", text)
        if all(map(_is_word, re.split(r"[._+~-]", text))):
            return self._host(text) if re.fullmatch(_FQDN, text, re.IGNORECASE) else text
        return self._word("secret", text)


def _wherever(value: str) -> str:
    escaped = re.escape(value)
    if value.startswith("/"):
        return rf"{escaped}(?![\w.-])"
    return escaped if len(value) >= _ANYWHERE else rf"(?<![a-z0-9]){escaped}(?![a-z0-9])"


#: Parts of words that people have made up: letters of one case, few digits at their end.
_WORD = re.compile(
    r"([a-z]{0,23}|[A-Z][a-z]{0,22}|[A-Z]{0,12}|([A-Z][a-z]{1,12}){2,3})\d{0,3}"
    r"|\d{1,10}|v?\d+[a-z]{0,4}\d{0,2}|\d+T\d+|\d+Z|T?\d+Z?"
)


def _is_word(part: str) -> bool:
    return _WORD.fullmatch(part) is not None


def _plain(text: str) -> str:
    """Return a text on one line that steers nothing, and in which nothing looks like our words."""
    kept = "".join(c if c.isprintable() else " " for c in text)
    return kept.replace("<", _OPEN).replace(">", _CLOSE)
