"""The agents that people run, and how each comes into a box that has it not."""

#: name → the npm package that brings it
AGENTS = {
    "claude": "@anthropic-ai/claude-code",
    "codex": "@openai/codex",
    "copilot": "@github/copilot",
    "gemini": "@google/gemini-cli",
    "opencode": "opencode-ai",
}


def start_command(agent: str) -> list[str]:
    """Return the command that starts an agent in a box, or says there what to do without it."""
    advice = f"cai: the agent {agent!r} is not in this box\n  hint: "
    if agent in AGENTS:
        install = f"sudo apt-get update && sudo apt-get install -y npm && npm i -g {AGENTS[agent]}"
        advice += f"install it, here with Debian's npm: cai run . -- sh -c '{install}'\n"
    else:
        advice += "install it there (cai shell), or run a command: cai run . -- COMMAND\n"
    script = 'command -v "$1" >/dev/null && exec "$1"; printf %s "$2" >&2; exit 127'
    return ["sh", "-c", script, "sh", agent, advice]
