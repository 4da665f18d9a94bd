"""`cai image ls|build|show`."""

from typing import TYPE_CHECKING, Any

from containai.app import App
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Note, Report, Table

if TYPE_CHECKING:
    from containai.flows.images import Listed, Shown


def ls(app: App) -> Report:
    """List the images of ours."""
    from containai.flows import images

    rows = images.listed(app)
    notes = []
    there = {row.name for row in rows if row.status == images.CURRENT}
    missing = [each.name for each in images.layers(app) if each.name not in there]
    if missing:
        hint = f"a box that needs one builds it; now: cai image build {missing[-1]}"
        notes.append(Note(f"not built yet: {', '.join(missing)}", hint))
    return Report(rows, [_table(rows)] if rows else [], notes=notes)


def _table(rows: "list[Listed]") -> Table:
    cells = [
        [
            row.name,
            row.status,
            row.source or "-",
            size(row.size),
            row.recipe or "-",
            ", ".join(row.boxes) or "-",
        ]
        for row in rows
    ]
    return Table(cells, ["IMAGE", "STATUS", "SOURCE", "SIZE", "RECIPE", "BOXES"])


def size(count: int) -> str:
    """Return a size as people say it, in powers of ten, as Docker does."""
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def build(app: App, *, layer: str | None, no_cache: bool) -> Report:
    """Build a layer, and what it begins with."""
    from containai.flows import images

    done = images.make(app, layer or app.settings.image_name, anew=no_cache)
    rows = [[each.name, "built" if each.built else "was there", each.reference] for each in done]
    return Report(done, [Table(rows)])


def show(app: App, *, image: str | None) -> Report:
    """Show what an image is made of."""
    from containai.flows import images

    found = images.shown(app, image or app.settings.image_name)
    value = found.listed._asdict() | {
        "digests": found.digests,
        "labels": found.labels,
        "manifests": found.manifests,
    }
    return Report(value, _views(found))


def _views(found: "Shown") -> list[str | Table]:
    row = found.listed
    facts = [
        ("name", row.name),
        ("status", row.status),
        ("source", row.source or "-"),
        ("recipe", row.recipe or "-"),
        ("size", size(row.size)),
        ("created", row.created),
        ("id", row.id),
        *(("tag", tag) for tag in row.tags),
        *(("digest", digest) for digest in found.digests),
        ("boxes", ", ".join(row.boxes) or "-"),
        *(("label", f"{key}={text}") for key, text in sorted(found.labels.items())),
    ]
    views: list[str | Table] = [Table(facts)]
    for content in found.manifests:
        views.append(f"\n{content.get('name', 'a layer')}:\n")
        views.append(Table([("", key, _said(value)) for key, value in _flat(content)]))
    if not found.manifests:
        views.append("\nit has no manifest\n")
    return views


def _flat(content: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return what a manifest says, a line each: of what it lists, one for each."""
    rows: list[tuple[str, Any]] = []
    for key, value in content.items():
        if isinstance(value, dict):
            rows += [(f"{key}: {name}", each) for name, each in value.items()]
        elif isinstance(value, list):
            rows += [(key, each) for each in value]
        elif key != "name":
            rows.append((key, value))
    return rows


def _said(value: Any) -> str:
    import json

    if isinstance(value, dict):
        return ": ".join(map(str, value.values()))
    return value if isinstance(value, str) else json.dumps(value)


COMMANDS = (
    Command(
        "image ls",
        "list the images of boxes, and which boxes use them",
        ls,
        group="images",
        examples=(Example("cai image ls", ""),),
        more="`current` is what new boxes start from with these settings, and what that is built "
        "on; `older` is of another recipe or other settings, and `other` is no layer. Sizes are "
        "of all that an image is made of; what two have in common is on the disk once.",
    ),
    Command(
        "image build",
        "build a layer of the images, and those it begins with",
        build,
        group="images",
        arguments=(
            Argument("LAYER", "base, sdks or full (default: the setting image.name)"),
            Argument("--no-cache", "build them again, with what the archives have today"),
        ),
        examples=(
            Example("cai image build", "the image of new boxes"),
            Example("cai image build base --no-cache", "again, with today's packages"),
        ),
        more="What is there is not built again without --no-cache, and an interrupted build goes "
        "on at the step where it was. Until a layer is done, the one before keeps its name. Boxes "
        "keep the image that they were made from.",
    ),
    Command(
        "image show",
        "show what an image is made of: source, versions, what was left out",
        show,
        group="images",
        arguments=(Argument("IMAGE", "a layer or a reference (default: the setting image.name)"),),
        examples=(
            Example("cai image show", "the image of new boxes"),
            Example("cai image show base --json", "for machines"),
        ),
        more="What its layers say of themselves is in `/usr/share/containai/image` of the image. "
        "It is read without running anything of it.",
    ),
)
