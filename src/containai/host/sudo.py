"""Root for who is not root: through sudo, for as long as that lets this user.

On the warm path, as proc.py is.
"""

from __future__ import annotations

from collections.abc import Sequence

from containai.errors import PrivilegeError
from containai.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from containai.host.proc import Done

    #: `Programs.run`.
    Run = Callable[..., Done]

#: How much of a command is shown, in characters.
_LONGEST = 100
_PREFIX = ["sudo", "--"]
_HINT = "add yourself to the group sudo, or run this command as root"


def asks_nothing(run: Run) -> bool:
    """Whether sudo runs something without asking for a password. Raises as `run` does."""
    return run(["sudo", "--non-interactive", "--", "true"], ok=None).code == 0


class Sudo:
    """What is known of sudo: that it lets this user be root, that it does not, or nothing yet."""

    def __init__(self) -> None:
        self._lets: bool | None = None

    def argv(self, argv: Sequence[str], program: str | None) -> list[str]:
        """Return a command behind sudo. Raises PrivilegeError where there is none, or it refused.

        Else it would ask for a password again and again, of somebody who is not to have any.
        """
        if program is None:
            what, how = "root is needed for", f"install sudo and {_HINT}"
        elif self._lets is False:
            what, how = "sudo does not let you be root, which is needed for", _HINT
        else:
            return [*_PREFIX, *argv]
        import shlex

        command = shlex.join(argv)
        shown = command if len(command) <= _LONGEST else f"{command[:_LONGEST]}…"
        raise PrivilegeError(f"{what}: {shown}", hint=how)

    def heed(self, argv: Sequence[str], code: int, said: str, run: Run) -> None:
        """Hear how a command of `argv` ended. Raises PrivilegeError where sudo ran nothing.

        sudo itself ends with 1 then (sudo(8), "Exit value"), as many programs do. What it says, in
        whichever language, has its name in it; and asked for no password, it refuses again.
        """
        if self._lets is not None or argv[: len(_PREFIX)] != _PREFIX:
            return
        self._lets = code != 1 or "sudo" not in said or asks_nothing(run)
        self.argv(argv[len(_PREFIX) :], argv[0])
