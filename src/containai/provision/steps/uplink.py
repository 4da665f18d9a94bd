"""What is between this machine and the network: its way out, who tells it names, a firewall."""

import os

from containai.host import files, names
from containai.host.machine import Machine
from containai.provision.step import Area, Fact
from containai.work.actions import Finding

#: Where iptables' older half says which of its tables are in use.
LEGACY_TABLES = "/proc/net/ip_tables_names"
#: How long name servers are waited for, in seconds: by resolv.conf(5), a resolver waits for 5.
PATIENCE = 2.0


class Uplink(Fact):
    """A way out, whose packets may be smaller than the bridge's."""

    area = Area.NETWORK
    title = "uplink"
    holds = (
        "wanted: a default route; where its packets are smaller (MTU, as of a VPN) than those of "
        "boxes, our rules hold connections of boxes to its size"
    )
    otherwise = "connect the machine, or bring its VPN up"
    looks = "`/proc/net/route`, and the MTU of that interface and of the bridge"
    means = "boxes reach nothing beyond this machine; or small answers come and large ones do not"

    def __init__(self, routes: str = "/proc/net/route", links: str = "/sys/class/net") -> None:
        self._routes, self._links = routes, links

    def check(self, host: Machine) -> Finding[None]:
        """Read the kernel's routes."""
        rows = [line.split() for line in (files.read(self._routes) or "").splitlines()[1:]]
        ways = [row for row in rows if len(row) > 7 and row[1] == row[7] == "00000000"]
        if not ways:
            seen = "there is no default route: boxes reach this machine and its neighbours"
            return Finding(False, seen, optional=True, hint="see: ip route")
        link = min(ways, key=lambda row: int(row[6]))[0]
        own, ours = self._mtu(link), self._mtu(host.layout.bridge)
        held = f", to which connections of boxes ({ours}) are held" if 0 < own < ours else ""
        return Finding(True, f"{link}, MTU {own or 'unknown'}{held}")

    def _mtu(self, link: str) -> int:
        said = (files.read(os.path.join(self._links, link, "mtu")) or "").strip()
        return int(said) if said.isdigit() else 0


class NameServers(Fact):
    """Somebody whom this machine, and so boxes, ask for names."""

    area = Area.NETWORK
    title = "name servers"
    holds = "the machine's `resolv.conf` names one"
    otherwise = "that file is its administrator's, or its network manager's"
    looks = "that file; whether they answer is another check"
    means = "no name resolves, here or in boxes"

    def check(self, host: Machine) -> Finding[None]:
        """Read whom it names."""
        path = host.layout.host_resolver
        servers = names.servers(files.read(path) or "")
        if not servers:
            hint = "see: resolvectl status; or write there: nameserver 9.9.9.9"
            return Finding(False, f"{path} names none", hint=hint)
        return Finding(True, ", ".join(servers))


class Answers(Fact):
    """Those who are asked for names answer."""

    area = Area.NETWORK
    title = "answers of name servers"
    slow = True
    holds = "each that the machine's `resolv.conf` names answers; wanted: all, needed: one"
    otherwise = "that file is its administrator's, or its network manager's; a VPN may be down"
    looks = f"each is asked a question, all at once, and has {PATIENCE:g} s"
    means = "names resolve late, where one is silent; where all are, not at all, here or in boxes"

    def check(self, host: Machine) -> Finding[None]:
        """Ask each."""
        servers = names.servers(files.read(host.layout.host_resolver) or "")
        silent = names.silent(servers, PATIENCE)
        if not silent:
            return Finding(True, f"of {len(servers)}")
        seen = f"no answer from {', '.join(silent)}, of {len(servers)}"
        some = len(silent) < len(servers)
        return Finding(False, seen, optional=some, hint="see: resolvectl status; ip route")


class Firewall(Fact):
    """Which firewalls there are, and whether one of them is where ours cannot see it."""

    area = Area.NETWORK
    title = "firewall"
    holds = (
        "firewalls are named; wanted: none has rules in the older of iptables' two halves, which "
        "the check of the network does not see"
    )
    otherwise = "the administrator moves those rules, or lets the bridge through in them"
    looks = "what ufw and firewalld say of themselves, and, as root, the tables of the older half"
    means = "what is dropped there is dropped for boxes, and nothing here says so"

    def __init__(self, root: str = "/", tables: str = LEGACY_TABLES) -> None:
        self._root, self._tables = root, tables

    def check(self, host: Machine) -> Finding[None]:
        """Look which there are."""
        ufw = files.read(os.path.join(self._root, "etc/ufw/ufw.conf")) or ""
        found = ["ufw"] if "\nENABLED=yes" in f"\n{ufw}" else []
        running = os.path.exists(os.path.join(self._root, "run/firewalld"))
        found += ["firewalld"] if running else []
        older = ""
        if os.path.exists(self._tables):
            older = host.run(["cat", self._tables], root=True, ok=None).out
        if "filter" in older.split() and not _is_older(host):
            hint = "see: sudo iptables-legacy --list-rules FORWARD"
            seen = "rules in iptables-legacy, which boxes have to pass, too"
            return Finding(False, seen, optional=True, hint=hint)
        return Finding(True, ", ".join(found) or "neither ufw nor firewalld")


def _is_older(host: Machine) -> bool:
    """Whether this machine's iptables is of the older half: then the network's check asks it."""
    return "legacy" in host.run(["iptables", "--version"], ok=None).out


class Told(Fact):
    """What the network asks of programs: certificates of its own, and proxies."""

    area = Area.NETWORK
    title = "certificates and proxies"
    holds = "those that this machine was given can be read; how many, and which, is said"
    otherwise = "the file or variable that is named is mended by who wrote it"
    looks = "where distributions, Docker, apt and the environment have them"
    means = "boxes are made without them, or not at all: TLS fails in them, nothing is reached"

    def check(self, host: Machine) -> Finding[None]:
        """Read them. Raises ContainAIError for what is damaged."""
        told = host.surroundings
        names = sorted(told.proxies.variables())
        seen = f"{len(told.certificates)} of this machine's own"
        return Finding(True, f"{seen}; proxies: {', '.join(names) or 'none'}")
