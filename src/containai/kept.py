"""What of a home outlives its box, a row each: it is in the data volume, the home has links to it.

In the volume a path is what it is below the home. Rows of agents come from their own table.
"""

from enum import StrEnum
from typing import NamedTuple

from containai.agents import AGENTS, Agent


class Kind(StrEnum):
    """What is at a path. A file may be missing, a directory is made."""

    FILE = "file"
    DIRECTORY = "directory"


class Kept(NamedTuple):
    """A path below the home, without `~/`; `whose` is an agent's name, "" for what is everybody's.

    What is `secret` is for nobody but the agent's user: 0600, in a directory of mode 0700.
    """

    path: str
    kind: Kind
    secret: bool = True
    whose: str = ""
    #: What it is, in a few words.
    what: str = ""


_COMMON = (
    Kept(".bash_history", Kind.FILE, what="bash's history"),
    Kept(".zsh_history", Kind.FILE, what="zsh's history"),
    Kept(".local/share/fish", Kind.DIRECTORY, what="fish's history"),
    Kept(".bash_aliases", Kind.FILE, what="bash's aliases"),
    Kept(".inputrc", Kind.FILE, what="readline's settings"),
    Kept(".zshenv", Kind.FILE, what="zsh's settings"),
    Kept(".zprofile", Kind.FILE, what="the same, of a login"),
    Kept(".zshrc", Kind.FILE, what="the same, of a terminal"),
    Kept(".config/fish", Kind.DIRECTORY, what="fish's settings"),
    Kept(".gitconfig", Kind.FILE, secret=False, what="git's settings"),
    Kept(".gitignore_global", Kind.FILE, secret=False, what="what git ignores everywhere"),
    Kept(".config/git", Kind.DIRECTORY, what="git's settings, ignored files, stored logins"),
    Kept(".config/gh", Kind.DIRECTORY, what="gh's settings and login"),
    Kept(".tmux.conf", Kind.FILE, what="tmux's settings"),
    Kept(".config/tmux", Kind.DIRECTORY, what="the same"),
    Kept(".config/starship.toml", Kind.FILE, what="starship's settings"),
    Kept(".config/oh-my-posh", Kind.DIRECTORY, what="Oh My Posh's settings"),
    Kept(".p10k.zsh", Kind.FILE, what="Powerlevel10k's settings"),
    Kept(".vimrc", Kind.FILE, what="vim's settings"),
    Kept(".vim", Kind.DIRECTORY, what="vim's plugins"),
    Kept(".config/nvim", Kind.DIRECTORY, what="Neovim's settings"),
    Kept(".config/helix", Kind.DIRECTORY, what="Helix's settings"),
    Kept(".nanorc", Kind.FILE, what="nano's settings"),
    Kept(".vscode-server", Kind.DIRECTORY, what="VS Code's server and extensions"),
    Kept(".vscode-server-insiders", Kind.DIRECTORY, what="the same of VS Code Insiders"),
    Kept(".vscodium-server", Kind.DIRECTORY, what="VSCodium's server and extensions"),
    Kept(".cursor-server", Kind.DIRECTORY, what="Cursor's server and extensions"),
    Kept(".windsurf-server", Kind.DIRECTORY, what="Windsurf's server and extensions"),
    Kept(".kiro-server", Kind.DIRECTORY, what="Kiro's server and extensions"),
    Kept(".trae-server", Kind.DIRECTORY, what="Trae's server and extensions"),
    Kept(".antigravity-server", Kind.DIRECTORY, what="Antigravity's server and extensions"),
    Kept(".positron-server", Kind.DIRECTORY, what="Positron's server and extensions"),
    Kept(".local/share/code-server", Kind.DIRECTORY, what="code-server's extensions and settings"),
    Kept(".config/code-server", Kind.DIRECTORY, what="the same"),
    Kept(".zed_server", Kind.DIRECTORY, what="Zed's server"),
    Kept(".local/share/zed", Kind.DIRECTORY, what="Zed's extensions and language servers"),
    Kept(".config/JetBrains", Kind.DIRECTORY, what="settings of JetBrains' editors"),
    Kept(".local/share/JetBrains", Kind.DIRECTORY, what="plugins of JetBrains' editors"),
    Kept(".cache/JetBrains/RemoteDev", Kind.DIRECTORY, what="the servers of JetBrains' editors"),
    Kept(".jupyter", Kind.DIRECTORY, what="Jupyter's settings"),
    Kept(".local/share/jupyter", Kind.DIRECTORY, what="Jupyter's kernels and secrets"),
    Kept(".ipython", Kind.DIRECTORY, what="IPython's settings and history"),
)


def _of(agent: Agent) -> list[Kept]:
    """Return what is kept of an agent: the directories that have its files, or a file of the home.

    An agent writes its sessions beside its settings, or beside its login.
    """
    tops: dict[str, Kind] = {}
    for path in (*agent.settings, *agent.logins, *agent.work):
        directory, _, name = path.removeprefix("~/").rstrip("/").rpartition("/")
        tops.setdefault(directory or name, Kind.DIRECTORY if directory else Kind.FILE)
    tops |= {path.removeprefix("~/"): Kind.DIRECTORY for path in agent.sessions}
    what = f"{agent.title}: settings, logins, sessions"
    return [Kept(path, kind, whose=agent.name, what=what) for path, kind in tops.items()]


KEPT = (*_COMMON, *(row for agent in AGENTS for row in _of(agent)))


def covering(path: str) -> Kept | None:
    """Return the row that a path below the home belongs to, or None: it goes with its box."""
    for row in KEPT:
        if path == row.path or path.startswith(f"{row.path}/"):
            return row
    return None


def table() -> str:
    """Return what a box is given, for its program `data`: kind, mode and path, a line each."""
    modes = {Kind.FILE: ("644", "600"), Kind.DIRECTORY: ("755", "700")}
    return "".join(f"{row.kind} {modes[row.kind][row.secret]} {row.path}\n" for row in KEPT)
