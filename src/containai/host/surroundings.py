"""What the network asks of programs on this machine: certificates to trust, proxies to use."""

import os
from typing import TYPE_CHECKING, NamedTuple

from containai.host import certificates as trusted
from containai.host import proxies as told
from containai.host.certificates import Certificate
from containai.host.proxies import Proxies

if TYPE_CHECKING:
    from containai.host.machine import Machine


class Surroundings(NamedTuple):
    """Certificates that were added to what is trusted, and proxies."""

    certificates: tuple[Certificate, ...] = ()
    proxies: Proxies = Proxies()


def look(host: "Machine", *, certificates: bool = True, proxies: bool = True) -> Surroundings:
    """Return what there is of both, or nothing of what is not asked for.

    Raises ContainAIError for a file that is no certificate, and a proxy that is none.
    """
    return Surroundings(
        trusted.added(host.layout.root, os.environ) if certificates else (),
        told.known(host, os.environ) if proxies else Proxies(),
    )
