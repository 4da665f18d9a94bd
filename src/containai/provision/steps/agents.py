"""Which agents the image of new boxes has, in which versions."""

from collections.abc import Iterable

from containai import agents
from containai.agents import AGENTS, Agent
from containai.config.settings import Settings
from containai.engine import daemon
from containai.engine.client import Engine
from containai.host.machine import Machine
from containai.images import manifest, recipe
from containai.images.manifest import Manifest
from containai.provision.step import Area, Fact
from containai.work.actions import Finding, unknown

#: How much is shown of what an image, which may be anybody's, says of a version.
_LONGEST = 40


class Agents(Fact):
    """Only looked at, in what the image says of itself: no box is started for it."""

    area = Area.AGENTS
    title = "agents"
    holds = (
        "the image of new boxes has the agent that `cai run` starts; which others it has, in which "
        "versions, and which of [those known](agents.md) it lacks, and why, is said"
    )
    otherwise = "`cai run` prints what installs it in a box"
    looks = "what the layers of the image say of themselves; no box is started"
    means = "`cai run` without a command ends with what installs the agent"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def check(self, host: Machine) -> Finding[None]:
        """Read what the layers of the image say they have."""
        if not daemon.reachable(host):
            return unknown("the engine does not run", optional=True)
        default = agents.find(self.settings.agent_default)
        engine = Engine(host)
        image = engine.image(recipe.wanted(self.settings).reference)
        if image is None:
            return unknown("the image is not there yet", optional=True)
        return judged(manifest.read(engine, image), default)


def judged(layers: Iterable[Manifest], default: Agent) -> Finding[None]:
    """Say which agents there are, and whether the one that is started without being named is."""
    versions: dict[str, object] = {}
    for layer in layers:
        versions |= layer.versions
    there = {
        agent: version[:_LONGEST]
        for agent in AGENTS
        if isinstance(version := versions.get(agent.binary), str)
    }
    if not there:
        return _lacks(default, "the image has none")
    known = ", ".join(f"{agent.name} {version}" for agent, version in there.items())
    lacking = [_with_reason(agent) for agent in AGENTS if agent not in there]
    seen = "; without ".join([known, *([", ".join(lacking)] if lacking else [])])
    return Finding(True, seen) if default in there else _lacks(default, seen)


def _with_reason(agent: Agent) -> str:
    return f"{agent.name} ({agent.left_out})" if agent.left_out else agent.name


def _lacks(default: Agent, seen: str) -> Finding[None]:
    hint = f"cai run prints what installs {default.name} in a box; `full` is an image with agents"
    return Finding(False, seen, optional=True, hint=hint)
