"""`cai limit [PATH]`."""

from containai.app import App
from containai.boxes.target import Target
from containai.cli.command import Command, Example
from containai.cli.report import Report


def run(app: App, target: Target) -> Report:
    """Give a box other limits, running or not; without any, say which it has."""
    from containai.flows import whereabouts

    box = whereabouts.box(app, target)
    limits = box.limit()
    return Report({"name": box.name, "limits": limits.value}, [f"{box.name}: {limits.text}\n"])


COMMANDS = (
    Command(
        "limit",
        "change what a box may use of this machine, while it runs",
        run,
        group="boxes",
        examples=(
            Example("cai limit --memory 8g", "the box of this directory"),
            Example("cai limit --name api --cpus none", "all processors, for a box by its name"),
            Example("cai limit", "what it has"),
        ),
        more="What is not said stays as it is. Nothing in the box is stopped: a limit on memory "
        "below what is in use is refused, or ends what has most of it. The next start keeps them.",
        has_target=True,
    ),
)
