"""The files that everything else reads: a damaged one is put out of the way before that."""

from containai.host.machine import Machine
from containai.provision import known_files
from containai.provision.known_files import ASIDE, Damaged, Whose
from containai.provision.step import Area, Described, Scope
from containai.work.actions import Action, Finding, Run


class Files(Described):
    """Every file that cai reads is one, whole, and written by nobody else."""

    area = Area.CONFIGURATION
    title = "files"
    holds = (
        "every file of ContainAI's and of yours that `cai` reads is a file, can be read, says "
        "something, and is written by nobody else"
    )
    otherwise = (
        "yours is moved aside, to a name with `.damaged` at its end; one of the machine goes; both "
        "are written anew. One that only has wrong rights gets the right ones"
    )

    looks = "each is opened, and what has a form is read as it is when it is needed"
    means = "commands that need the file end with code 30, or do as if it were not there"
    interrupts = "moves damaged files aside, or removes them where they are written anew"

    def check(self, host: Machine) -> Finding[list[Damaged]]:
        """Look at each of them; through sudo, those of the user are the user's own affair."""
        found = list(known_files.damaged(host.layout, user=host.invoker() is None))
        if found:
            return Finding(
                False, "; ".join(f"{each.path} {each.why}" for each in found), data=found
            )
        return Finding(True, "all are whole")

    def plan(self, host: Machine, finding: Finding[list[Damaged]]) -> list[Action]:
        """Put what is damaged out of the way; the steps that follow write it anew."""
        return [action for each in finding.data or () for action in _mended(each)]

    def undo(self, host: Machine, scope: Scope) -> list[Action]:
        """They go with what they are a part of."""
        return []


def _mended(damaged: Damaged) -> list[Run]:
    is_roots = damaged.whose is Whose.MACHINE
    if damaged.rights and is_roots:
        owned = Run(["chown", "--no-dereference", "root:root", damaged.path])
        return [owned, Run(["chmod", "u+rwx,go-w", damaged.path])]
    if damaged.rights:
        return [Run(["chmod", "u+rwX", damaged.path], root=False)]
    return [_away(damaged, is_roots=is_roots)]


def _away(damaged: Damaged, *, is_roots: bool) -> Run:
    if is_roots:
        return Run(["rm", "-rf", "--one-file-system", damaged.path])
    words = ["mv", "--no-target-directory", "--backup=numbered", damaged.path]
    return Run([*words, damaged.path + ASIDE], root=False)
