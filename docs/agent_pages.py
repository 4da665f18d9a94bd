"""A page for each agent, of its row in agents.py."""

from collections.abc import Iterable

from containai import agents
from containai.agents import Agent

_INDEX = """\
# Agents, one by one

Each page says how that agent comes into a box, how it logs in, and what it does there. All are
started alike: `cai run --agent NAME`, or `cai run` alone for the one that `agent.default` names:
[all of them in one table](../../reference/agents.md).
"""
_OTHER = """\
## Another one

Whatever runs on Linux runs in a box: install it there, or in [an image of the
workspace's](../../explanation/images.md#an-image-of-a-workspaces-own), and start it by its name:

```sh
cai run . -- sh -c 'npm install --global some-agent'
cai run . -- some-agent
```

What of its home outlives the box has to lie below `/mnt/agent-data`: [what outlives a
box](../../explanation/data.md).
"""


def pages() -> dict[str, str]:
    """Return all pages of agents: file name → text."""
    rows = [f"- [{each.title}]({each.name}.md)" for each in agents.AGENTS]
    made = {f"{each.name}.md": _page(each) for each in agents.AGENTS}
    return {"README.md": "\n".join([_INDEX, *rows, "", _OTHER]), **made}


def _page(agent: Agent) -> str:
    parts = [
        f"# {agent.title} in a box\n",
        _shell(f"cai run --agent {agent.name}"),
        "starts it in the box of this directory. To have `cai run` alone do that:\n",
        _shell(f"cai config set agent.default {agent.name}"),
        _installed(agent),
        "## Log in\n",
        *_logins(agent),
        "## Let it work without asking\n",
        f"In a box it can be let alone: `cai run` then starts it with {_code(agent.unattended)}.\n",
        _shell("cai config set agent.unattended true"),
        f"Its own sandbox: {agent.sandbox}.\n",
        "To leave it and take it up again, from any terminal ([jobs](../jobs.md)):\n",
        _shell(f"cai run --agent {agent.name} --attach"),
        "## What it keeps\n",
        f"Settings in {_code(agent.settings)}, logins in {_code(agent.logins)}: they are in [the "
        "data volume](../../explanation/data.md), and outlive the box.\n",
        f"How it becomes newer: {agent.updates}.\n",
        "[All of them in one table](../../reference/agents.md), [logins](../logins.md), "
        "[several at once](../several-agents.md).\n",
    ]
    return "\n".join(parts)


def _installed(agent: Agent) -> str:
    needs = f"It needs {agent.needs}. " if agent.needs != "nothing" else ""
    install = f"cai run . -- sh -c '{agent.install}'"
    if agent.left_out:
        said = f"{needs}No image has it ({agent.left_out}): once, in the box,\n\n"
    else:
        said = f"{needs}The image `full` has it. In a box of another:\n\n"
    return said + _shell(install)


def _logins(agent: Agent) -> Iterable[str]:
    first = agent.variables[0]
    yield (
        f"**With a key.** Where one of {_code(agent.variables)} is set, its session is given it:\n"
    )
    yield _shell(f"export {first}=…\ncai run --agent {agent.name}")
    if agent.wider:
        yield (
            f"It takes {_code(agent.wider)}, too, which opens more than its own service and is "
            "therefore not given: say it for one session, by `--env`.\n"
        )
    yield (
        "**With an account.** Start it and log in as it asks; the login stays in the box's data "
        "volume.\n"
    )
    if agent.callback:
        yield (
            f"The answer of your browser comes to port {agent.callback} of your `localhost`, which "
            "`cai run` leads into the box meanwhile. For one that was started otherwise:\n"
        )
        yield _shell(f"cai forward --on-demand . {agent.callback}")
    else:
        yield (
            "How an address comes to your browser, and the answer back: [browser "
            "log-ins](../ports.md#browser-log-ins).\n"
        )
    yield "**With what your home has.** Settings, skills and commands come along:\n"
    yield _shell("cai import --dry-run\ncai import")
    if agent.rotating:
        yield (
            f"{_code(agent.rotating)} stays: its token is another one after each use, and of two "
            f"copies the one that is used first logs the other out. Instead: {agent.instead}.\n"
        )


def _shell(lines: str) -> str:
    return f"```sh\n{lines}\n```\n"


def _code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)
