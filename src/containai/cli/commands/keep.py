"""`cai keep [PATH]`."""

from containai.app import App
from containai.boxes.target import Target
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Report


def run(app: App, target: Target, *, off: bool) -> Report:
    """Mark a box, so that it is never pruned."""
    from containai.boxes import keeping
    from containai.flows import whereabouts

    box = whereabouts.here(app, target)
    if off:
        keeping.forget(app.layout, box.name)
    else:
        keeping.keep(app.layout, box)
    return Report({"name": box.name, "kept": not off})


COMMANDS = (
    Command(
        "keep",
        "mark a box, so that cai prune leaves it alone",
        run,
        group="boxes",
        arguments=(Argument("--off", "take the mark away"),),
        examples=(
            Example("cai keep", "the box of this directory"),
            Example("cai keep --off --name api", "no more, a box by its name"),
        ),
        more="cai rm removes it all the same. cai run --keep marks a box where it is made.",
        has_target=True,
    ),
)
