"""The agents in running boxes: versions, logins, and whether a sandbox of their own works.

What a box answers is its word: shown, and nothing else is made of it.
"""

import os
import re
import shlex
from collections.abc import Sequence
from typing import NamedTuple

from containai import agents
from containai.agents import AGENTS, Agent
from containai.boxes import inside
from containai.boxes.box import Box, Status
from containai.engine.client import Engine
from containai.host.machine import Machine
from containai.layout import AGENT_USER, HOME_IN_BOX
from containai.provision.step import Area, Fact
from containai.provision.steps.own import Only, none_runs, settings
from containai.work.actions import Finding, unknown

#: How long all agents of a box may take to say their versions, in seconds.
TIMEOUT = 60.0
_VERSION = re.compile(r"[0-9]+(\.[0-9A-Za-z-]+)+")


class Seen(NamedTuple):
    """An agent in a box, its version, and whether a login is there."""

    agent: Agent
    version: str
    has_login: bool


class Within(NamedTuple):
    """What a box says of its agents; `sandbox` is "works", "fails" or "none"."""

    seen: tuple[Seen, ...] = ()
    sandbox: str = ""

    @classmethod
    def parse(cls, text: str) -> "Within":
        """Read an answer. Never raises."""
        known = {agent.name: agent for agent in AGENTS}
        found, sandbox = {}, ""
        for line in text.splitlines():
            name, _, rest = line.partition(" ")
            if name == "sandbox":
                sandbox = rest if rest in ("works", "fails", "none") else ""
            elif name in known:
                login, _, said = rest.partition(" ")
                version = _VERSION.search(said[:200])
                shown = inside.plain(version[0]) if version else "of an unknown version"
                found[name] = Seen(known[name], shown, login == "1")
        return cls(tuple(found[name] for name in sorted(found)), sandbox)


class AgentsInside(Only, Fact):
    """The agents that running boxes have: asked as the user that they run as."""

    area = Area.AGENTS
    title = "agents in boxes"
    slow = True
    holds = (
        "a running box has the agent that `cai run` starts there, with a login, and can build a "
        "sandbox of an agent's own; versions are said"
    )
    otherwise = "`cai run` installs it by what it prints; log in there, or `cai import`"
    looks = "each prints its version; files of logins are looked for, and not read"
    means = "`cai run` without a command ends with what installs it, or asks for a login"

    def judged(self, host: Machine, own: Sequence[Box]) -> Finding[None]:
        """Ask each running box."""
        running = [box for box in own if box.status is Status.RUNNING]
        if not running:
            return none_runs(self.only)
        wanted = agents.find(settings(host).agent_default)
        said = inside.answers(Engine(host), running, script(), TIMEOUT)
        rows = [(box, Within.parse(said[box.container])) for box in running]
        if silent := [box.name for box, within in rows if not within.sandbox]:
            return unknown(f"{', '.join(silent)}: no answer")
        return _judged(rows, wanted)


def _judged(rows: list[tuple[Box, Within]], wanted: Agent) -> Finding[None]:
    seen = "; ".join(f"{box.name}: {_described(within)}" for box, within in rows)
    for box, within in rows:
        here = [each for each in within.seen if each.agent is wanted]
        if within.sandbox == "fails":
            return Finding(False, seen, optional=True, hint=_sandboxes(box))
        if not here:
            hint = f"cai run --name {box.name} prints what installs {wanted.name} in it"
            return Finding(False, seen, optional=True, hint=hint)
        if not here[0].has_login and not agents.carried(wanted, os.environ):
            hint = f"log in: cai run --name {box.name}; or bring it: cai import --name {box.name}"
            return Finding(False, seen, optional=True, hint=hint)
    return Finding(True, seen)


def _sandboxes(box: Box) -> str:
    return f"an agent's own sandbox fails there; make it anew: cai run --fresh --name {box.name}"


def _described(within: Within) -> str:
    if not within.seen:
        return "none"
    each = ", ".join(
        f"{seen.agent.name} {seen.version}{'' if seen.has_login else ' without a login'}"
        for seen in within.seen
    )
    sandbox = {"works": "sandboxes work", "fails": "sandboxes fail"}.get(within.sandbox)
    return f"{each}; {sandbox}" if sandbox else each


def script() -> str:
    """Return what is asked in a box: for each agent that it has, a line."""
    lines = ["cd /; export NO_COLOR=1 CI=1"]
    for agent in AGENTS:
        files = " ".join(shlex.quote(path.replace("~", HOME_IN_BOX, 1)) for path in agent.logins)
        lines.append(
            f"if command -v {agent.binary} >/dev/null; then (login=0; "
            f'for file in {files}; do [ -s "$file" ] && login=1; done; '
            f"said=$(timeout 20 {agent.binary} {agent.version} 2>/dev/null </dev/null | "
            f'head -c 200 | head -n 1); printf "%s %s %s\\n" {agent.name} "$login" "$said") & fi'
        )
    lines.append("wait")
    bind = "bwrap --ro-bind / / --proc /proc --dev /dev --unshare-all true"
    lines.append(
        "if ! command -v bwrap >/dev/null; then echo sandbox none; "
        f"elif timeout 10 {bind} 2>/dev/null; then echo sandbox works; else echo sandbox fails; fi"
    )
    asked = shlex.quote("\n".join(lines))
    return f"exec timeout 50 runuser --login {AGENT_USER} --command {asked} </dev/null"
