"""The steps of `cai setup`, a module a family, in the order they build on each other."""

from containai.provision.step import Choices, Step
from containai.provision.steps.choice import RuntimeChoice
from containai.provision.steps.engine import EngineFiles, EngineRunning
from containai.provision.steps.image import Image
from containai.provision.steps.lxcfs import Lxcfs
from containai.provision.steps.platform import Kernel
from containai.provision.steps.programs import Programs
from containai.provision.steps.runtime import Runtime
from containai.provision.steps.sysbox import Attempt, Sysbox


def steps(choices: Choices) -> list[Step]:
    """Return the steps of a whole setup. `undo` goes through them backwards."""
    attempt = Attempt(choices.runtime)
    return [
        Kernel(),
        Programs(),
        Lxcfs(),
        Runtime(),
        Sysbox(attempt),
        EngineFiles(),
        EngineRunning(),
        Image(choices.image, choices.image_root, choices.image_archive),
        RuntimeChoice(attempt, choices.image),
    ]
