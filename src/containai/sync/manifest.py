"""What of a home is brought into a box, a row each: logins and settings, and how they are treated.

Rows of agents come from their own table. Each lies in what `kept.py` says outlives a box. What only
leads in elsewhere (.ssh, .netrc, git's stored logins) has none.
"""

import functools
from typing import NamedTuple

from containai import agents
from containai.agents import AGENTS, Agent
from containai.host import gitconfig
from containai.kept import Kind
from containai.sync.filters import Treatment


class Row(NamedTuple):
    """A path below the home, without `~/`; `whose` is an agent's name or another program's.

    A `login` is left out where no secrets are to be brought. All is for nobody but the agent's
    user: 0600, in directories of 0700.
    """

    path: str
    whose: str
    kind: Kind = Kind.FILE
    login: bool = False
    treatment: Treatment = Treatment.WHOLE
    #: Why it is never brought.
    stays: str = ""
    #: Said where it is brought.
    news: str = ""

    @property
    def instead(self) -> str:
        """Which login there is that two places can have, or ""."""
        if self.treatment is not Treatment.ROTATING:
            return ""
        return agents.find(self.whose).instead


#: What is in no file of a directory that is brought: it is made again, or of no use elsewhere.
PASSED_OVER = frozenset(
    {
        ".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__", ".cache", "cache",
        ".DS_Store", ".mypy_cache", ".pytest_cache", ".ruff_cache", "undo", "swap", "backup",
    }
)  # fmt: skip
#: What a directory of one program has that is made again: by paths below the home.
PASSED_OVER_BELOW = {
    ".codex/skills/.system": "codex has its own",
    ".config/tmux/plugins": "the plugin manager fetches them again",
    ".config/fish/fish_variables": "fish writes it itself",
    ".vim/plugged": "the plugin manager fetches them again",
    ".vim/bundle": "the plugin manager fetches them again",
}

_COMMON = (
    *(Row(path, "git", treatment=Treatment.GIT) for path in gitconfig.PATHS),
    Row(".config/git/ignore", "git"),
    Row(".config/git/attributes", "git"),
    Row(".gitignore_global", "git"),
    Row(".config/gh/config.yml", "gh"),
    Row(
        ".config/gh/hosts.yml",
        "gh",
        login=True,
        news="gh's login opens all that you may on GitHub, not only this workspace",
    ),
    Row(".bash_aliases", "shell"),
    Row(".inputrc", "shell"),
    Row(".zshenv", "shell"),
    Row(".zprofile", "shell"),
    Row(".zshrc", "shell"),
    Row(".config/fish", "shell", Kind.DIRECTORY),
    Row(".tmux.conf", "tmux"),
    Row(".config/tmux", "tmux", Kind.DIRECTORY),
    Row(".config/starship.toml", "prompt"),
    Row(".config/oh-my-posh", "prompt", Kind.DIRECTORY),
    Row(".p10k.zsh", "prompt"),
    Row(".vimrc", "editors"),
    Row(".vim", "editors", Kind.DIRECTORY),
    Row(".config/nvim", "editors", Kind.DIRECTORY),
    Row(".config/helix", "editors", Kind.DIRECTORY),
    Row(".nanorc", "editors"),
)
#: Files of agents that are treated in a way of their own.
_TREATED = {
    ".claude.json": Treatment.CLAUDE,
    # It has settings as well.
    ".copilot/config.json": Treatment.SETTINGS,
}
#: Logins that are of no use elsewhere.
_STAYS = {
    ".gemini/gemini-credentials.json": "encrypted with the name of this machine and of its user",
}
_SETTINGS = (".json", ".jsonc", ".toml", ".yml", ".yaml")


@functools.cache
def rows() -> tuple[Row, ...]:
    """Return all rows, in the order in which they are shown."""
    return (*(row for agent in AGENTS for row in _of(agent)), *_COMMON)


def has(path: str) -> bool:
    """Whether a path below the home is one that a row is of."""
    return any(f"{path}/".startswith(f"{row.path}/") for row in rows())


def _of(agent: Agent) -> list[Row]:
    made = []
    for given in (*agent.settings, *agent.logins, *agent.work):
        path = given.removeprefix("~/").rstrip("/")
        kind = Kind.DIRECTORY if given.endswith("/") else Kind.FILE
        treatment = Treatment.WHOLE
        if given in agent.rotating:
            treatment = Treatment.ROTATING
        elif path in _TREATED:
            treatment = _TREATED[path]
        elif kind is Kind.FILE and path.endswith(_SETTINGS) and given not in agent.logins:
            treatment = Treatment.SETTINGS
        login = given in agent.logins
        made.append(Row(path, agent.name, kind, login, treatment, _STAYS.get(path, "")))
    return made
