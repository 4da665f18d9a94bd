"""Steps that are not really of a machine."""

from containai.errors import ContainAIError
from containai.provision.step import Area, Described
from containai.work.actions import Do, Finding


class Switch(Described):
    """A step that is right once it was made so; it counts how often it is looked at.

    `breaks` is another that making this one right makes wrong.
    """

    area = Area.HOST
    holds = otherwise = looks = means = ""

    def __init__(self, title, *, right=False, fails="", breaks=None):
        self.title, self.right, self.fails, self.breaks = title, right, fails, breaks
        self.checks = 0
        self.planned_for = []

    def check(self, host):
        self.checks += 1
        return Finding(self.right, f"looked at {self.checks} times", data=self.checks)

    def plan(self, host, finding):
        self.planned_for.append(finding)
        return [Do(f"make {self.title} right", self._turn, ("$ turn it",))]

    def undo(self, host, scope):
        return [Do(f"undo {self.title}", self._back)] if self.right else []

    def _turn(self, progress):
        if self.fails:
            raise ContainAIError(self.fails, hint="a hint")
        self.right = True
        if self.breaks is not None:
            self.breaks.right = False

    def _back(self, progress):
        if self.fails:
            raise ContainAIError(self.fails)
        self.right = False
