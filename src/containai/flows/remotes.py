"""`cai remote`: other machines that boxes can be on, and who they are."""

import contextlib
import re
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar

from containai.app import App
from containai.away import telling
from containai.errors import DamagedError, RemoteError, RemoteIdentityError, UsageError
from containai.host.background import Background
from containai.incus import certificate, instances, known, server, store, tls, token
from containai.incus.client import Incus
from containai.incus.errors import (
    CutError,
    ForbiddenError,
    IncusError,
    OtherCertificateError,
    TimedOutError,
)
from containai.incus.known import Remote
from containai.incus.server import About
from containai.incus.tls import Address, Server
from containai.layout import LOCAL, REMOTE_OWNER, REMOTE_WORKSPACE

Value = TypeVar("Value")

#: How many addresses of a server are kept: each that does not answer costs five seconds.
_ADDRESSES = 8
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


class Wanted(NamedTuple):
    """A place as `cai remote add` is asked for it; "" is for what is not said."""

    name: str
    url: str = ""
    token: str = ""
    project: str = ""
    fingerprint: str = ""


class Shown(NamedTuple):
    """A place, and what its server says of itself and of the project.

    `certificate` is the fingerprint that the server knows the user by; `limits` are of the project,
    what is used and how much may be (-1: all), by what it is of.
    """

    name: str
    is_default: bool
    addresses: list[str]
    fingerprint: str
    certificate: str
    project: str
    server: str
    version: str
    storage: str
    kernel: str
    members: list[server.Member]
    limits: dict[str, tuple[int, int]]
    port_forward: bool


def fingerprint(text: str) -> str:
    """Parse a fingerprint, as Incus and openssl write it. Raises ValueError."""
    plain = text.replace(":", "").lower()
    if not _FINGERPRINT.fullmatch(plain):
        raise ValueError("64 hexadecimal digits (sha256), as Incus shows them")
    return plain


def add(app: App, wanted: Wanted) -> tuple[Remote, bool]:
    """Have a place of a name; return it, and whether a token was used for it.

    One of the name that is there is looked at anew: its certificate, its addresses. Raises
    UsageError, RemoteError, RemoteIdentityError.
    """
    known.check_name(wanted.name)
    before = store.load(app.layout).remotes.get(wanted.name)
    given = token.decode(wanted.token) if wanted.token else None
    addresses = _addresses(wanted, given, before)
    own = certificate.ensure(app.host)
    if given:
        pin = given.fingerprint
        if wanted.fingerprint not in ("", pin):
            raise OtherCertificateError("the token's server", wanted.fingerprint, pin)
    else:
        pin = _agreed(app, wanted, addresses, before)
    app.ui.say(f"{wanted.name}: asking who it is")
    addresses = _sorted(addresses, pin)
    with Incus(Server(addresses, pin, own, wanted.name if before else "")) as incus:
        about = server.about(incus)
        used = bool(given) and not about.is_trusted
        if given and used:
            _redeem(incus, given.text)
            about = server.about(incus)
        _check(app, about, given=given is not None)
        project = _project(incus, wanted, before)
        where = tuple(dict.fromkeys([tls.address(incus.dialler.where), *addresses]))
        if about.is_clustered:
            where = tuple(dict.fromkeys([*where, *_members(incus)]))
    remote = Remote(wanted.name, where[:_ADDRESSES], pin, project, about.name)
    store.keep(app.layout, remote)
    return remote, used


def _addresses(
    wanted: Wanted, given: token.Token | None, before: Remote | None
) -> tuple[Address, ...]:
    if wanted.url:
        return (tls.address(wanted.url),)
    if given:
        return tuple(map(tls.address, given.addresses))[:_ADDRESSES]
    if before:
        return before.addresses
    raise UsageError(
        f"it is not said where {wanted.name!r} is",
        hint="give its token, or its URL: cai remote add NAME https://HOST:8443",
    )


def _sorted(addresses: tuple[Address, ...], pin: str) -> tuple[Address, ...]:
    """Return addresses of a server, those first that lead there, without those of somebody else.

    All are tried at once: a token has those of bridges of its server, too, and of networks that are
    not reached from here, where nobody answers for seconds.
    """
    if len(addresses) == 1:
        return addresses
    tries = [(each, Background(partial(_shown, each))) for each in addresses]
    seen = {each: tried.result() for each, tried in tries}
    right = [each for each in addresses if seen[each] == pin]
    silent = [each for each in addresses if not seen[each]]
    return (*right, *silent) if right else addresses


def _shown(where: Address) -> str:
    try:
        return tls.shown(where)
    except IncusError:
        return ""


def _agreed(app: App, wanted: Wanted, addresses: tuple[Address, ...], before: Remote | None) -> str:
    """Return the fingerprint that the server is to have: said, known, or agreed to now.

    Raises RemoteIdentityError where nobody agrees.
    """
    if wanted.fingerprint:
        return wanted.fingerprint
    seen = _seen(addresses)
    if before and before.pin == seen:
        return seen
    where = addresses[0]
    if app.at_terminal:
        was = f"It was {before.pin} before.\n" if before else ""
        app.ui.tell(
            f"{where} shows a certificate with the fingerprint\n{seen}\n{was}"
            "The administrator sees it on the server with: incus info | grep fingerprint\n\n"
        )
        # What was agreed to beforehand is nothing that somebody has compared.
        if app.ui.ask(f"Is that {wanted.name}?", beforehand=False):
            return seen
    if before:
        raise OtherCertificateError(str(where), before.pin, seen, wanted.name)
    raise RemoteIdentityError(
        f"nobody has said that {where} is {wanted.name}: its fingerprint is {seen}",
        hint="compare it with what the administrator sees, then add: --fingerprint FINGERPRINT",
    )


def _seen(addresses: tuple[Address, ...]) -> str:
    """Return the fingerprint that a server shows at the first address that answers."""
    for each in addresses[:-1]:
        with contextlib.suppress(IncusError):
            return tls.shown(each)
    return tls.shown(addresses[-1])


def _redeem(incus: Incus, text: str) -> None:
    """Have the server trust us by a token. Raises RemoteError, which says what became of it."""
    try:
        server.redeem(incus, text)
    except (CutError, TimedOutError):
        # It may have been taken all the same: whether it was is seen.
        return
    except ForbiddenError as refused:
        raise RemoteError(
            "the server knows no such token: it was used before, taken back, or made before the "
            f"server was started anew ({refused.text})",
            hint="have the administrator make another: incus config trust add NAME --restricted "
            "--projects PROJECT",
        ) from None
    except IncusError as refused:
        if "already trusted" in refused.text.lower():
            return
        late = "the token has expired" if "expired" in refused.text else "the token was refused"
        raise RemoteError(
            f"{late}: the server says: {refused.text}",
            hint="the token is gone; have the administrator make another: incus config trust add "
            "NAME --restricted --projects PROJECT",
        ) from None


def _check(app: App, about: About, *, given: bool) -> None:
    """Raise RemoteError for a server that does not know us, or is none of Incus."""
    own = certificate.identity(app.host)
    if not about.is_trusted:
        again = " after the token was sent" if given else ""
        raise RemoteError(
            f"the server does not know your certificate{again}: its fingerprint is "
            f"{certificate.fingerprint(own)}",
            hint="ask the administrator for a token, and give it with --token; or have them add "
            f"{own.certificate}: incus config trust add-certificate FILE --restricted --projects "
            "PROJECT",
        )
    if about.kind != "incus":
        raise RemoteError(
            f"the server is {about.kind or 'something else'}, not Incus",
            hint="boxes need a server of Incus, of version 6.0 or later",
        )


def _project(incus: Incus, wanted: Wanted, before: Remote | None) -> str:
    """Return the project for boxes: the one that was said, was known, or is the only one.

    Raises RemoteError where there is none, UsageError where it has to be said.
    """
    names = sorted(each.name for each in server.projects(incus))
    said = wanted.project or (before.project if before else "")
    if said:
        if said not in names:
            raise RemoteError(
                f"there is no project {said!r} that is yours there",
                hint=f"yours are: {', '.join(names) or 'none'}; the administrator adds one",
            )
        return said
    if not names:
        raise RemoteError(
            "there is no project that is yours there",
            hint="the administrator adds your certificate to one: incus config trust edit",
        )
    if len(names) > 1:
        raise UsageError(
            f"several projects are yours there: {', '.join(names)}",
            hint="say which one, and all else as before: --project PROJECT. A token that was used "
            "can be given again",
        )
    return names[0]


def _members(incus: Incus) -> list[Address]:
    """Return the addresses of a cluster's members, as far as they are said."""
    found = []
    for each in server.members(incus):
        with contextlib.suppress(UsageError):
            found.append(tls.address(each.url))
    return found


def client(app: App, remote: Remote) -> Incus:
    """Return a client of a place. Raises DamagedError for a certificate that cannot be used."""
    own = certificate.identity(app.host)
    certificate.check(own)
    return Incus(remote.served(own), remote.project)


def ask(app: App, name: str, call: Callable[[Incus], Value]) -> Value:
    """Return what a call has of a place.

    Where its server shows another certificate, somebody at a terminal is asked, and it is called
    again if they agree. Raises OtherCertificateError, and what the call raises.
    """
    remote = store.find(app.layout, name)
    try:
        with telling.told(name, remote.project), client(app, remote) as incus:
            return call(incus)
    except OtherCertificateError as other:
        if not app.at_terminal:
            raise
        app.ui.tell(f"{other}\n\n")
        if not app.ui.ask(f"Is that {name} still?", beforehand=False):
            raise
        store.keep(app.layout, remote._replace(pin=other.shown))
    with telling.told(name, remote.project), client(app, store.find(app.layout, name)) as incus:
        return call(incus)


def show(app: App, name: str) -> Shown:
    """Return a place, and what its server says now. Raises as `ask`."""
    about, limits, members = ask(app, name, _described)
    places = store.load(app.layout)
    remote = places.remotes[name]
    return Shown(
        name,
        places.default == name,
        list(map(str, remote.addresses)),
        remote.pin,
        about.own or certificate.fingerprint(certificate.identity(app.host)),
        remote.project,
        about.name,
        about.version,
        about.storage,
        about.kernel,
        members,
        limits,
        server.PORT_FORWARD in about.extensions,
    )


def _described(
    incus: Incus,
) -> tuple[About, dict[str, tuple[int, int]], list[server.Member]]:
    about = server.about(incus)
    if not about.is_trusted:
        raise RemoteError(
            "the server does not know your certificate any more",
            hint="ask the administrator for a token, then: cai remote add NAME --token TOKEN",
        )
    members = server.members(incus) if about.is_clustered else []
    limits: dict[str, tuple[int, int]] = {}
    # Not every version lets a restricted certificate see them.
    with contextlib.suppress(IncusError):
        limits = server.usage(incus, incus.project)
    return about, limits, members


def named(app: App, name: str | None) -> str:
    """Return the place that is meant: the one of a name, the default, or the only one there is.

    Raises UsageError.
    """
    places = store.load(app.layout)
    if name is None and places.default == LOCAL and len(places.remotes) == 1:
        return next(iter(places.remotes))
    if name is None and places.default == LOCAL:
        raise UsageError("it is not said which place", hint="see: cai remote ls")
    return store.find(app.layout, name or places.default).name


def remove(app: App, name: str, *, force: bool) -> tuple[Remote, str, bool]:
    """Forget a place; return it, the fingerprint that its server knows, whether it was the default.

    Raises RemoteError where boxes of the user's are there, or it cannot be seen whether, unless
    `force` is.
    """
    remote = store.find(app.layout, name)
    own = ""
    # Without it nothing is there to be seen, or to be taken back.
    with contextlib.suppress(DamagedError):
        own = certificate.fingerprint(certificate.identity(app.host))
    if not force:
        left = _boxes(app, remote, own)
        if left:
            raise RemoteError(
                f"{len(left)} of your boxes are at {name}: {', '.join(left)}",
                hint="remove them first, or forget the place and leave them: cai remote rm NAME "
                "--force",
            )
    was = store.load(app.layout).default == name
    store.forget(app.layout, name)
    return remote, own, was


def _boxes(app: App, remote: Remote, own: str) -> list[str]:
    """Return the names of the user's boxes at a place. Raises RemoteError."""
    try:
        with client(app, remote) as incus:
            found = instances.listed(incus, timeout=15.0)
    except (RemoteError, RemoteIdentityError, DamagedError) as wrong:
        raise RemoteError(
            f"it cannot be seen whether boxes of yours are at {remote.name}: {wrong}",
            hint="to forget it all the same: cai remote rm NAME --force",
        ) from None
    return sorted(
        each.name
        for each in found
        if REMOTE_WORKSPACE in each.config and each.config.get(REMOTE_OWNER, own) == own
    )
