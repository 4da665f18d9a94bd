"""The time zone and the language of whoever makes a box, for the box. Pure but for `seen`."""

import os
import re
from collections.abc import Mapping

from containai.boxes.given import Files
from containai.host.machine import Machine

#: Taken over by the image's `region`, at boot.
FILE_IN_BOX = "etc/containai/region"
_ZONES = "zoneinfo/"
#: A name of the time zone database, as paths below zoneinfo are (tzfile(5)).
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}")
#: setlocale(3): language, territory, codeset, modifier.
_LOCALE = re.compile(r"[A-Za-z0-9_.@-]{1,40}")
#: The image's own.
_PLAIN_ZONES = frozenset({"", "UTC", "Etc/UTC", "Universal", "Zulu"})
_PLAIN_LOCALES = frozenset({"", "C", "POSIX", "C.UTF-8", "C.utf8"})


def seen(host: Machine) -> Files:
    """Return the file for a new box; nothing where the image is right as it is."""
    try:
        link = os.readlink("/etc/localtime")
    except OSError:
        link = ""
    return files(host.environment(), link)


def files(environ: Mapping[str, str], link: str) -> Files:
    """Return the file for a user's environment, and where the machine's /etc/localtime leads."""
    lines = [f"{name}={value}\n" for name, value in locale(environ).items()]
    name = zone(environ, link)
    if name not in _PLAIN_ZONES:
        lines.insert(0, f"TZ={name}\n")
    return {FILE_IN_BOX: ("".join(lines), 0o644)} if lines else {}


def zone(environ: Mapping[str, str], link: str) -> str:
    """Return the name of the time zone: the user's own, else the machine's; "" for none."""
    # tzset(3): a colon may precede it, and it may be a whole path. A rule ("JST-9") is no name, and
    # no file that a link leads to elsewhere.
    own = environ.get("TZ", "").removeprefix(":")
    for text in (own.rpartition(_ZONES)[2], link.partition(_ZONES)[2]):
        if _ZONE.fullmatch(text):
            return text
    return ""


def locale(environ: Mapping[str, str]) -> dict[str, str]:
    """Return LANG and LC_…, where they say anything else than the image does."""
    found = {
        name: value
        for name, value in environ.items()
        if (name == "LANG" or re.fullmatch("LC_[A-Z]+", name)) and _LOCALE.fullmatch(value)
    }
    return found if set(found.values()) - _PLAIN_LOCALES else {}
