"""The agents that people run, a row each: how one is installed and started, what it knows of you.

The image `full` has them, `cai run` starts them, and the reference shows this table. The facts are
what the versions of November 2026 showed in a box of Debian 13: `--help`, files written, `strings`.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from containai.errors import UsageError


class Source(StrEnum):
    """Which registry an agent's package is in."""

    NPM = "npm"
    PYPI = "pypi"


class Agent(NamedTuple):
    """A program that works in a box. Paths are the user's, of the host and of a box alike."""

    #: What `agent.default` and `--agent` say, and what people call it.
    name: str
    title: str
    #: What it is installed from, and the command that it brings.
    source: Source
    package: str
    binary: str
    #: The oldest Node that it runs on, 0 for one that needs none; the Pythons it runs on.
    node: int
    python: str
    #: The argument with which it prints its version.
    version: str
    #: Where it has its settings, and a login that was made in it.
    settings: tuple[str, ...]
    logins: tuple[str, ...]
    #: Variables that carry a login to its own service: they go into its session.
    variables: tuple[str, ...]
    #: Variables that it takes, too, and that open more than that: they stay on the host.
    wider: tuple[str, ...]
    #: What else of its user's work it reads there; a directory ends with a slash.
    work: tuple[str, ...]
    #: Of its logins those with a token that is another one after each use, here or there: of two
    #: copies the one that is used first logs the other out.
    rotating: tuple[str, ...]
    #: What it offers in their place: a login that two places can have.
    instead: str
    #: Arguments with which it does all it wants to without asking.
    unattended: tuple[str, ...]
    #: Whether its own sandbox for commands works in a box.
    sandbox: str
    #: How it becomes newer.
    updates: str
    #: What its download weighs, in megabytes; 0 for one that the image does not have.
    megabytes: int
    #: Why the image does not have it.
    left_out: str = ""
    #: Directories beside those of its settings and logins that it remembers sessions in.
    sessions: tuple[str, ...] = ()
    #: The port of `localhost` to which the answer to a log-in in a browser comes, where it is
    #: always the same.
    callback: int = 0

    @property
    def needs(self) -> str:
        """What it needs beside itself."""
        needs = [f"Node ≥ {self.node}"] if self.node else []
        return ", ".join([*needs, *([f"Python {self.python}"] if self.python else [])]) or "nothing"

    @property
    def install(self) -> str:
        """The shell commands that bring it into a box of any image."""
        if self.source is Source.NPM:
            npm = "command -v npm || (sudo apt-get update && sudo apt-get install -y npm)"
            # Debian 13 has Node 20.
            node = " node@24" if self.node > 20 else ""
            return f"({npm}) && npm i -g {self.package}{node} --prefix ~/.local"
        uv = "(command -v uv || pipx install uv)"
        return f'{uv} && uv tool install --python "{self.python}" {self.package}'


AGENTS = (
    Agent(
        name="aider",
        title="aider",
        source=Source.PYPI,
        package="aider-chat",
        binary="aider",
        node=0,
        python=">=3.10,<3.13",
        version="--version",
        settings=("~/.aider.conf.yml",),
        logins=("~/.aider/oauth-keys.env",),
        variables=("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY"),
        wider=(),
        work=("~/.aider.model.settings.yml", "~/.aider.model.metadata.json"),
        rotating=(),
        instead="",
        unattended=("--yes-always",),
        sandbox="it has none",
        updates="asks at a start; `aider --upgrade`",
        megabytes=0,
        left_out="0.7 GB, and a Python before 3.13, which Debian 13 does not have",
    ),
    Agent(
        name="claude",
        title="Claude Code",
        source=Source.NPM,
        package="@anthropic-ai/claude-code",
        binary="claude",
        node=22,
        python="",
        version="--version",
        settings=("~/.claude/settings.json", "~/.claude/CLAUDE.md", "~/.claude.json"),
        logins=("~/.claude/.credentials.json",),
        variables=("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"),
        wider=(),
        work=(
            "~/.claude/settings.local.json",
            "~/.claude/keybindings.json",
            "~/.claude/agents/",
            "~/.claude/commands/",
            "~/.claude/hooks/",
            "~/.claude/output-styles/",
            "~/.claude/plugins/",
            "~/.claude/rules/",
            "~/.claude/skills/",
        ),
        rotating=("~/.claude/.credentials.json",),
        instead="`claude setup-token`, and its token as `CLAUDE_CODE_OAUTH_TOKEN`",
        unattended=("--dangerously-skip-permissions",),
        sandbox="works, with bubblewrap and socat: files and network",
        updates="by itself, with npm; `claude update`",
        megabytes=190,
    ),
    Agent(
        name="codex",
        title="Codex",
        source=Source.NPM,
        package="@openai/codex",
        binary="codex",
        node=16,
        python="",
        version="--version",
        settings=("~/.codex/config.toml", "~/.codex/AGENTS.md"),
        logins=("~/.codex/auth.json",),
        variables=("OPENAI_API_KEY", "CODEX_API_KEY", "CODEX_ACCESS_TOKEN"),
        wider=(),
        work=("~/.codex/prompts/", "~/.codex/rules/", "~/.codex/skills/", "~/.agents/skills/"),
        rotating=("~/.codex/auth.json",),
        instead="`OPENAI_API_KEY`, or `codex login --device-auth` in the box",
        unattended=("--dangerously-bypass-approvals-and-sandbox",),
        sandbox="works, with bubblewrap",
        updates="says so at a start; `codex update`, with npm",
        megabytes=170,
        callback=1455,
    ),
    Agent(
        name="copilot",
        title="GitHub Copilot CLI",
        source=Source.NPM,
        package="@github/copilot",
        binary="copilot",
        node=0,
        python="",
        version="--version",
        settings=("~/.copilot/settings.json", "~/.copilot/mcp-config.json"),
        logins=("~/.copilot/config.json",),
        variables=("COPILOT_GITHUB_TOKEN",),
        wider=("GH_TOKEN", "GITHUB_TOKEN"),
        work=(
            "~/.copilot/copilot-instructions.md",
            "~/.copilot/agents/",
            "~/.copilot/hooks/",
            "~/.copilot/skills/",
        ),
        rotating=(),
        instead="",
        unattended=("--allow-all",),
        sandbox="off unless asked for; not tried: it takes a login and slirp4netns",
        updates="by itself, below `~/.cache/copilot`; `copilot update`, from GitHub",
        megabytes=130,
    ),
    Agent(
        name="gemini",
        title="Gemini CLI",
        source=Source.NPM,
        package="@google/gemini-cli",
        binary="gemini",
        node=20,
        python="",
        version="--version",
        settings=("~/.gemini/settings.json", "~/.gemini/GEMINI.md"),
        logins=(
            "~/.gemini/oauth_creds.json",
            "~/.gemini/gemini-credentials.json",
            "~/.gemini/.env",
        ),
        variables=("GEMINI_API_KEY",),
        wider=("GOOGLE_API_KEY",),
        work=(
            "~/.gemini/google_accounts.json",
            "~/.gemini/agents/",
            "~/.gemini/commands/",
            "~/.gemini/extensions/",
            "~/.gemini/policies/",
            "~/.gemini/skills/",
        ),
        rotating=(),
        instead="",
        unattended=("--yolo", "--skip-trust"),
        sandbox="off unless asked for; an image of its maker's, with the box's own Docker",
        updates="says how at a start: `npm install --global @google/gemini-cli`",
        megabytes=25,
    ),
    Agent(
        name="opencode",
        title="opencode",
        source=Source.NPM,
        package="opencode-ai",
        binary="opencode",
        node=0,
        python="",
        version="--version",
        settings=("~/.config/opencode/opencode.json", "~/.config/opencode/AGENTS.md"),
        logins=("~/.local/share/opencode/auth.json",),
        variables=("OPENCODE_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY"),
        wider=("GITHUB_TOKEN",),
        work=(
            "~/.config/opencode/opencode.jsonc",
            "~/.config/opencode/tui.json",
            "~/.config/opencode/agent/",
            "~/.config/opencode/agents/",
            "~/.config/opencode/command/",
            "~/.config/opencode/commands/",
            "~/.config/opencode/modes/",
            "~/.config/opencode/plugin/",
            "~/.config/opencode/plugins/",
            "~/.config/opencode/skills/",
            "~/.config/opencode/themes/",
            "~/.config/opencode/tools/",
        ),
        rotating=("~/.local/share/opencode/auth.json",),
        instead="a key: its own, or of a provider; keys in that file are brought",
        unattended=("--auto",),
        sandbox="it has none",
        updates="by itself, with npm; `opencode upgrade`",
        megabytes=120,
        sessions=("~/.local/state/opencode",),
    ),
    Agent(
        name="qwen",
        title="Qwen Code",
        source=Source.NPM,
        package="@qwen-code/qwen-code",
        binary="qwen",
        node=22,
        python="",
        version="--version",
        settings=("~/.qwen/settings.json", "~/.qwen/QWEN.md"),
        logins=("~/.qwen/oauth_creds.json", "~/.qwen/.env"),
        variables=("DASHSCOPE_API_KEY", "BAILIAN_CODING_PLAN_API_KEY", "OPENAI_API_KEY"),
        wider=(),
        work=("~/.qwen/agents/", "~/.qwen/commands/", "~/.qwen/skills/"),
        rotating=("~/.qwen/oauth_creds.json",),
        instead="`DASHSCOPE_API_KEY`",
        unattended=("--yolo",),
        sandbox="off unless asked for",
        updates="says how at a start: `npm install --global @qwen-code/qwen-code`",
        megabytes=45,
    ),
    Agent(
        name="vibe",
        title="Mistral Vibe",
        source=Source.PYPI,
        package="mistral-vibe",
        binary="vibe",
        node=0,
        python=">=3.12",
        version="--version",
        settings=("~/.vibe/config.toml", "~/.vibe/AGENTS.md"),
        logins=("~/.vibe/.env",),
        variables=("MISTRAL_API_KEY",),
        wider=(),
        work=("~/.vibe/agents/", "~/.vibe/prompts/", "~/.vibe/skills/"),
        rotating=(),
        instead="",
        unattended=("--auto-approve", "--trust"),
        sandbox="it has none",
        updates="asks at a start; `vibe update`, with uv",
        megabytes=90,
    ),
)


def find(name: str) -> Agent:
    """Return the row of an agent. Raises UsageError for a name that none has."""
    for agent in AGENTS:
        if agent.name == name:
            return agent
    known = ", ".join(agent.name for agent in AGENTS)
    raise UsageError(
        f"there is no agent {name!r}; known are {known}",
        hint="set agent.default to one of them, or run a command: cai run . -- COMMAND",
    )


def start_command(agent: Agent, into: str, *, unattended: bool = False) -> list[str]:
    """Return the command that starts an agent in a box, or says there how it comes into it.

    `into` is the command line of cai that leads there, without its end.
    """
    advice = (
        f"cai: the agent {agent.name!r} is not in this box\n"
        f"  hint: install it there: {into} -- sh -c '{agent.install}'\n"
    )
    script = (
        'name=$1 advice=$2; shift 2; command -v -- "$name" >/dev/null && exec "$name" "$@"; '
        'printf %s "$advice" >&2; exit 127'
    )
    arguments = agent.unattended if unattended else ()
    return ["sh", "-c", script, "sh", agent.binary, advice, *arguments]


def carried(agent: Agent, environ: Mapping[str, str]) -> list[str]:
    """Return the names of the variables that are set and carry a login to an agent's service."""
    return [name for name in agent.variables if environ.get(name)]


def accepted() -> str:
    """Return the lines of sshd's configuration with which a box takes those variables."""
    names = sorted({name for agent in AGENTS for name in agent.variables})
    return "# Logins of agents: `cai run` sends its agent's.\n" + "".join(
        f"AcceptEnv {name}\n" for name in names
    )


def listed() -> str:
    """Return what the image `full` is made from: a line for each agent that it has."""
    return "# source, command, package, megabytes to fetch\n" + "".join(
        f"{agent.source} {agent.binary} {agent.package} {agent.megabytes}\n"
        for agent in AGENTS
        if not agent.left_out
    )


def left_out() -> str:
    """Return what the image `full` says of those that it does not have: a name and why, a line."""
    return "".join(f"{agent.name} {agent.left_out}\n" for agent in AGENTS if agent.left_out)
