"""What a new box is given beside its host key: what it knows of its maker, and of this host."""

from containai.boxes import design, identity, places, region
from containai.boxes.design import Order
from containai.boxes.given import Files
from containai.engine import nested
from containai.host.machine import Machine


def given(host: Machine, order: Order, told: str, authorized: str) -> Files:
    """Return the files for a new box: whose it is, time zone, language, who commits, and so on.

    `authorized` is the key that its user has; `told` what it is told of the network.
    """
    return design.files(
        region.seen(host) | identity.seen(host) | places.given(order.places),
        authorized=authorized,
        pools=nested.settings(host),
        told=told,
    )
