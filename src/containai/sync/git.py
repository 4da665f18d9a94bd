"""Which of a user's settings of git are brought: who they are and how they work, no way in."""

import re
from collections.abc import Sequence

from containai.host import gitconfig
from containai.host.gitconfig import Entry
from containai.sync.filters import Asked, Filtered

_LOGIN = "a login"
_SIGNING = "signing, whose keys stay on the host"
_PROGRAM = "a program of the host"
_PLACE = "a place on the host"
#: What stays on the host: whole names of keys, and why.
_STAYS = (
    (r"credential\..*", _LOGIN),
    (r"user\.signingkey|(commit|tag|push)\.gpgsign|tag\.forcesignannotated|gpg\..*", _SIGNING),
    (r"core\.(sshcommand|hookspath|fsmonitor|askpass|gitproxy|alternaterefscommand)", _PROGRAM),
    (r"http\.(.*\.)?(extraheader|cookiefile|savecookies|delegation|emptyauth)", _LOGIN),
    (r"(http\.(.*\.)?proxy.*|remote\..*\.proxy.*)", "a proxy, which the box has its own way to"),
    (r"http\.(.*\.)?ssl(cert|key|ca|proxy|backend|try|cipher).*", _PLACE),
    (r"(safe\.directory|maintenance\.repo|gui\.recentrepo|init\.templatedir)", _PLACE),
    (r"core\.(worktree|alternatefile|repositoryformatversion)", _PLACE),
    (r"sendemail\.(.*\.)?smtp.*|imap\..*", _LOGIN),
    (r".*\.([a-z0-9-]*(passw(or)?d|smtppass|token|secret|apikey|api-key))", _LOGIN),
)
#: An address with a password, or a user's token, in it.
_WITH_LOGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s@]*:[^/\s]*@|https?://[^/\s@]+@")


def filtered(content: bytes, path: str, asked: Asked) -> Filtered:
    """Return a configuration of git as it is brought."""
    left: list[str] = []
    try:
        entries = gitconfig.included(content, path, asked.read, left)
    except ValueError as wrong:
        return Filtered(None, (str(wrong),))
    kept = []
    for entry in entries:
        if why := stays(entry):
            left.append(f"{entry.shown}: {why}")
        else:
            kept.append(_rehomed(entry, asked.home))
    left = list(dict.fromkeys(left))
    return Filtered(_bytes(kept) if kept else None, tuple(left))


def stays(entry: Entry) -> str:
    """Return why an entry stays on the host, or ""."""
    name = entry.name
    for pattern, why in _STAYS:
        if re.fullmatch(pattern, name, re.IGNORECASE | re.DOTALL):
            return why
    if _WITH_LOGIN.search(entry.subsection or "") or _WITH_LOGIN.search(entry.value or ""):
        return "a login in an address"
    return ""


def _bytes(entries: Sequence[Entry]) -> bytes:
    return gitconfig.written(entries).encode("utf-8", "surrogateescape")


def _rehomed(entry: Entry, home: str) -> Entry:
    if home.strip("/") and entry.value and entry.value.startswith(f"{home}/"):
        return entry._replace(value="~" + entry.value.removeprefix(home))
    return entry
