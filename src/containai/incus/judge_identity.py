"""Who the user is to a server, who it is, and whether both are still so tomorrow. Pure.

A server does not know whom a certificate names that is past its end, or not begun, by its own
clock (incus, CheckTrustState). Its own is pinned, whatever its times: those count for others.
"""

from containai.incus.sight import Sight, Unseen
from containai.incus.validity import Validity, day
from containai.incus.verdicts import fine, wanted, wrong
from containai.work.actions import Finding, unknown

#: How far a clock may be off, in seconds: what is signed on one machine begins a day earlier.
_DRIFT = 60
#: How long before its end a certificate is spoken of, in seconds.
_SOON = 30 * 24 * 3600
_NTP = "set both by NTP: timedatectl set-ntp true"
_NEW_OWN = (
    "move ~/.config/containai/client.crt and client.key away: cai remote add makes new ones, and "
    "each server needs a token for them"
)
_NEW_SERVER = (
    "the administrator makes another (cai help incus-server), and each user agrees to it: "
    "cai remote add NAME"
)


def trusted(seen: Sight) -> Finding[None]:
    """Judge what the user may do there."""
    if not seen.about.is_trusted:
        return wrong("the server does not know it", "get a token: cai remote add NAME --token …")
    own = seen.certificate
    if isinstance(own, Unseen):
        return unknown(f"known; how it is restricted is not seen: {own.why}")
    if not own.is_restricted:
        name = seen.about.own[:12]
        return wanted(
            "known without any restriction: whoever has its key is root of the server",
            f"on the server: incus config trust edit {name}: restricted: true, and its projects",
        )
    return fine(f"known, restricted to {', '.join(own.projects) or 'no project'}")


def own_time(seen: Sight) -> Finding[None]:
    """Judge from when until when the user's certificate is good, by the server's clock."""
    ahead = 0.0 if isinstance(seen.ahead, Unseen) else seen.ahead
    return _timed(seen.own_valid, seen.at + ahead, _NEW_OWN, "no server knows it any more")


def server_time(seen: Sight) -> Finding[None]:
    """Judge from when until when the server's certificate is good."""
    return _timed(seen.server_valid, seen.at, _NEW_SERVER, "Incus's own client refuses it")


def clock(seen: Sight) -> Finding[None]:
    """Judge the server's clock by this machine's."""
    if isinstance(seen.ahead, Unseen):
        return unknown(seen.ahead.why)
    if abs(seen.ahead) > _DRIFT:
        how = "ahead of" if seen.ahead > 0 else "behind"
        return wrong(f"{abs(seen.ahead):.0f} s {how} this machine's", _NTP)
    return fine(f"within {max(1, round(abs(seen.ahead)))} s of this machine's")


def _timed(valid: Validity | Unseen, at: float, hint: str, means: str) -> Finding[None]:
    if isinstance(valid, Unseen):
        return unknown(valid.why)
    if at < valid.begins:
        text = f"good from {day(valid.begins)} on, and a clock says {day(at)}: {means}"
        return wrong(text, _NTP)
    if at > valid.ends:
        return wrong(f"it ended on {day(valid.ends)}: {means}", hint)
    if at > valid.ends - _SOON:
        left = int((valid.ends - at) // (24 * 3600))
        return wanted(f"it ends on {day(valid.ends)}, in {left} days", hint)
    return fine(f"good until {day(valid.ends)}")
