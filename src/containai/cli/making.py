"""What commands have in common that may make a box."""

from containai.cli.command import Argument

ARGUMENTS = (
    Argument("--force", "take a workspace that is refused: /, $HOME, another user's"),
    Argument("--skip-mounts", "make a box without what is mounted in PATH"),
    Argument("--here", "have a box of PATH itself, also below a workspace that has one"),
    Argument("--read-only", "make a box that can only read PATH"),
)
