"""The agents that people run, a row each: how each is started, and comes into a box without it."""

from typing import NamedTuple


class Agent(NamedTuple):
    """A program that works in a box: the command's name, and the npm package that brings it."""

    name: str
    package: str

    @property
    def install(self) -> str:
        """The shell commands that bring it into a box, with Debian's npm."""
        return f"sudo apt-get update && sudo apt-get install -y npm && npm i -g {self.package}"


AGENTS = (
    Agent("claude", "@anthropic-ai/claude-code"),
    Agent("codex", "@openai/codex"),
    Agent("copilot", "@github/copilot"),
    Agent("gemini", "@google/gemini-cli"),
    Agent("opencode", "opencode-ai"),
)


def find(name: str) -> Agent | None:
    """Return the row of an agent; none for one that is not known here, and may be in a box yet."""
    return next((agent for agent in AGENTS if agent.name == name), None)


def start_command(name: str) -> list[str]:
    """Return the command that starts an agent in a box, or says there what to do without it."""
    advice = f"cai: the agent {name!r} is not in this box\n  hint: "
    agent = find(name)
    if agent is not None:
        advice += f"install it, here with Debian's npm: cai run . -- sh -c '{agent.install}'\n"
    else:
        advice += "install it there (cai shell), or run a command: cai run . -- COMMAND\n"
    script = 'command -v -- "$1" >/dev/null && exec "$1"; printf %s "$2" >&2; exit 127'
    return ["sh", "-c", script, "sh", name, advice]
