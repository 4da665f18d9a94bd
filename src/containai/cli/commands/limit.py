"""`cai limit [PATH]`."""

from containai.app import App
from containai.boxes.target import Target
from containai.cli.command import Command, Example
from containai.cli.report import Report


def run(app: App, target: Target) -> Report:
    """Give a box other limits, running or not; without any, say which it has."""
    from containai.boxes import locate
    from containai.boxes.limits import Limits
    from containai.flows import enter, whereabouts

    entry = whereabouts.found(app, target)
    if entry is not None:
        from containai.flows import away

        seen = away.limited(app, entry)
        limits = dict(seen.seen.limits)
        return Report({"name": entry.name, "limits": limits}, [f"{entry.name}: {seen.limits}\n"])
    box, asked = locate.existing(app.engine, target), enter.asked(app)
    if asked != Limits():
        box = app.boxes.limit(box, asked)
    value = {"name": box.name, "limits": box.limits}
    return Report(value, [f"{box.name}: {box.limits.described()}\n"])


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
