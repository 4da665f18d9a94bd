"""What a box's control connection has beside sessions: forwarded ports, and an ssh agent."""

import os
import sys

from containai.app import App
from containai.errors import ContainAIError
from containai.host.proc import ENDS_WITH_US
from containai.ssh import forwarding, session, signing


def have(app: App, name: str) -> None:
    """Have what the settings say for a box that has just been connected to; tell what fails.

    A box that can be entered is entered: nothing here is in the way of that.
    """
    settings = app.settings
    local = [forwarding.local(each) for each in settings.ssh_local_forward]
    remote = [forwarding.remote(each) for each in settings.ssh_remote_forward]
    try:
        for failed in forwarding.have(app.host, name, [*local, *remote]):
            _tell(app, failed.described())
        for text in _agent(app, name):
            _tell(app, text)
    except ContainAIError as wrong:
        _tell(app, f"{wrong}" + (f"\n  hint: {wrong.hint}" if wrong.hint else ""))


def lead_back(app: App, name: str, port: int) -> None:
    """Have a port of this machine lead to the same one of a box, while something listens on it.

    For as long as this process lives: by a `cai forward` that ends with it.
    """
    if app.settings.browser_open == "never":
        return
    command = [sys.executable, "-I", "-m", "containai", "forward", "--quiet", "--on-demand"]
    root = f"CONTAINAI_ROOT={app.layout.root}"
    argv = [*ENDS_WITH_US, "env", root, *command, name, str(port)]
    with open(os.devnull, "r+b") as null:
        app.host.begin(argv, stdin=null.fileno(), stdout=null.fileno())


def without_proxies(app: App) -> list[str]:
    """Return what is to be said of proxies that boxes do not reach."""
    from containai.engine import forward

    lines = forward.explained(app.host.surroundings.proxies, forward.forwarded(app.layout))
    return [f"cai: {line}\n" for line in lines]


def _agent(app: App, name: str) -> list[str]:
    """Have a box's own agent sign for the hosts of the setting, or for none any more."""
    hosts = app.settings.ssh_forward_agent
    place = session.place_of(app.layout, name)
    if isinstance(hosts, tuple) and place:
        # It ends with a process of its box, and what is on the server has the box's host key, too.
        names = ", ".join(hosts)
        return [f"ssh.forward_agent: {name} has no agent: one for {names} alone is not for {place}"]
    if not isinstance(hosts, tuple):
        if not place:
            signing.end(app.host, name)
        return []
    container = app.engine.container(name)
    if container is None or not container.pid:
        return []
    return signing.have(app.host, name, hosts, container.pid)


def _tell(app: App, text: str) -> None:
    app.ui.tell(f"cai: {text}\n")
