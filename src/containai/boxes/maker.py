"""What a new box knows of whoever makes it."""

from containai.boxes import identity, region
from containai.boxes.given import Files
from containai.host.machine import Machine


def files(host: Machine, workspace: str) -> Files:
    """Return the files for a box of a workspace: whose it is, time zone, language, who commits."""
    return region.seen(host) | identity.seen(host)
