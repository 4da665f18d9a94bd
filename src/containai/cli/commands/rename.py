"""`cai rename [PATH] NEW`."""

from containai.app import App
from containai.boxes.target import Target
from containai.cli.command import Argument, Command, Example, box_name
from containai.cli.report import Report


def run(app: App, target: Target, *, new: str) -> Report:
    """Give a box another name."""
    from containai.flows import whereabouts

    box = whereabouts.box(app, target, to_enter=True)
    box.rename(new)
    return Report({"name": new, "renamed": True, "before": box.name})


COMMANDS = (
    Command(
        "rename",
        "give a box another name",
        run,
        group="boxes",
        arguments=(Argument("NEW", "what it is called then", last=True, parse=box_name),),
        examples=(
            Example("cai rename api", "the box of this directory"),
            Example("cai rename --name api web", "a box by its name, from anywhere"),
            Example("cai rename ~/api web", "the box of a workspace"),
        ),
        more="Its container, and what ssh knows of it, whether it runs or not; sessions in it go "
        "on. On a remote place it keeps its name, and what ssh and git here know of it changes. "
        "Its data volume stays its. The host name in the box stays until it is made anew "
        "(cai run --fresh).",
        has_target=True,
    ),
)
