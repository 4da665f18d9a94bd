"""Ids of a box on a cluster of Incus: a range for itself alone, on the node where it is.

Each node gives its new boxes ids that no other box on it has. A box that comes from another node
keeps what it got there (`volatile.idmap.base`; seen on 6.0.4), which may be what a box here has.
"""

from containai.away.incus_copies import KEY, NOWHERE
from containai.incus import instances
from containai.incus.client import Incus
from containai.incus.errors import IncusError
from containai.incus.instances import Instance

#: The node that last gave a box ids, and how Incus notes their first.
_GIVEN_BY, _FIRST = KEY + "ids-of", "volatile.idmap.base"
_ISOLATED = "security.idmap.isolated"
#: How often it is looked whether two that asked at once got the same.
_TRIES = 4


def have_own(incus: Incus, instance: str) -> None:
    """Have a box that is off get other ids where it needs them. Raises IncusError."""
    for _ in range(_TRIES):
        found = instances.find(incus, instance)
        if found is None or not _needs(incus, found):
            return
        # A node chooses anew where the setting is another text (findIdmap and Update in
        # internal/server/instance/drivers/driver_lxc.go); to choose it oneself is forbidden.
        yes = "1" if found.expanded_config.get(_ISOLATED) == "true" else "true"
        instances.patch(incus, found, config={_ISOLATED: yes, _GIVEN_BY: found.location})
    raise IncusError(
        f"its node gave {instance} ids that another box there has",
        hint="again: cai start; what has them: cai remote doctor",
    )


def _needs(incus: Incus, found: Instance) -> bool:
    """Whether others are to be given, as far as the boxes of the project say it."""
    if found.location in NOWHERE or found.status != "Stopped":
        return False
    if found.config.get(_GIVEN_BY) != found.location:
        return True
    first = found.config.get(_FIRST)
    return any(
        each.config.get(_FIRST) == first
        for each in instances.listed(incus)
        if each.location == found.location and each.name != found.name
    )
