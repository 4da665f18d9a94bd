"""Which remote places a user has: the driver of each."""

from containai.away.incus import IncusPlace
from containai.away.place import Place
from containai.host.machine import Machine
from containai.incus import store


def names(host: Machine) -> list[str]:
    """Return what the user calls the places. Raises DamagedError."""
    return sorted(store.load(host.layout).remotes)


def open_place(host: Machine, name: str) -> Place:
    """Return a place; it is not asked yet. Raises UsageError where the user has none so called."""
    return IncusPlace(host, store.find(host.layout, name))
