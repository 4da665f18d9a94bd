"""`cai image ls|build|show|pull|push|export|import|prune|preload`."""

import os
from typing import TYPE_CHECKING, Any

from containai.app import App
from containai.cli.command import Argument, Command, Example
from containai.cli.commands import _preload
from containai.cli.report import Note, Report, Table
from containai.errors import UsageError
from containai.work.sizes import size

#: The exit code where something could not be removed.
FOUND = 1

if TYPE_CHECKING:
    from containai.flows.image_moves import Moved
    from containai.flows.images import Listed, Shown


def ls(app: App) -> Report:
    """List the images of ours."""
    from containai.flows import images

    rows = images.listed(app)
    notes = []
    there = {row.name for row in rows if row.status == images.CURRENT}
    missing = [layer.name for layer in images.layers(app) if layer.name not in there]
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


def build(app: App, *, layer: str | None, no_cache: bool) -> Report:
    """Build a layer, and what it begins with."""
    from containai.flows import images

    done = images.make(app, layer or app.settings.image_name, anew=no_cache)
    rows = [
        [built.name, "built" if built.built else "was there", built.reference] for built in done
    ]
    return Report(done, [Table(rows)])


def show(app: App, *, image: str | None) -> Report:
    """Show what an image is made of."""
    from containai.flows import images

    shown = images.shown(app, image or app.settings.image_name)
    value = shown.listed._asdict() | {
        "digests": shown.digests,
        "labels": shown.labels,
        "manifests": shown.manifests,
    }
    return Report(value, _views(shown))


def _views(shown: "Shown") -> list[str | Table]:
    row = shown.listed
    facts = [
        ("name", row.name),
        ("status", row.status),
        ("source", row.source or "-"),
        ("recipe", row.recipe or "-"),
        ("size", size(row.size)),
        ("created", row.created),
        ("id", row.id),
        *(("tag", tag) for tag in row.tags),
        *(("digest", digest) for digest in shown.digests),
        ("boxes", ", ".join(row.boxes) or "-"),
        *(("label", f"{key}={text}") for key, text in sorted(shown.labels.items())),
    ]
    views: list[str | Table] = [Table(facts)]
    for content in shown.manifests:
        views.append(f"\n{content.get('name', 'a layer')}:\n")
        views.append(Table([("", key, _said(value)) for key, value in _flat(content)]))
    if not shown.manifests:
        views.append("\nit has no manifest\n")
    return views


def _flat(content: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return what a manifest says, a line each: of what it lists, one for each."""
    rows: list[tuple[str, Any]] = []
    for key, value in content.items():
        if isinstance(value, dict):
            rows += [(f"{key}: {name}", item) for name, item in value.items()]
        elif isinstance(value, list):
            rows += [(key, item) for item in value]
        elif key != "name":
            rows.append((key, value))
    return rows


def _said(value: Any) -> str:
    import json

    if isinstance(value, dict):
        return ": ".join(map(str, value.values()))
    return value if isinstance(value, str) else json.dumps(value)


def pull(app: App, *, reference: str | None) -> Report:
    """Pull an image."""
    from containai.flows import image_moves

    done = image_moves.pull(app, reference or app.settings.image_name)
    return Report(done, [_moved("pulled", done)])


def push(app: App, *, reference: str, image: str | None) -> Report:
    """Push an image."""
    from containai.flows import image_moves

    done = image_moves.push(app, reference, image)
    return Report(done, [_moved("pushed", done)])


def _moved(verb: str, done: "Moved") -> Table:
    return Table([[verb, done.reference], ["digest", done.digest or "-"], ["here", done.name]])


def export(app: App, *, file: str) -> Report:
    """Write the image of new boxes to a file."""
    from containai.flows import image_moves

    done = image_moves.export(app, file)
    return Report(done, [f"{done.file}: {size(done.size)}\n"])


def import_(app: App, *, file: str) -> Report:
    """Take images from a file."""
    from containai.flows import image_moves

    if not os.path.isfile(file) or not os.access(file, os.R_OK):
        raise UsageError(f"{file!r} is no file that can be read", hint="cai image import --help")
    done = image_moves.import_(app, file)
    return Report(
        done, [Table([["imported", imported.name, imported.reference] for imported in done])]
    )


def prune(app: App, *, dry_run: bool) -> Report:
    """Remove images that nobody needs."""
    from containai.flows import image_moves
    from containai.flows.image_moves import Pruned

    rows = image_moves.unneeded(app)
    if rows and not dry_run:
        app.ui.tell("These images are used by no box, and no new one would be:\n")
        app.ui.tell("".join(f"  {_described(row)}\n" for row in rows))
        done = image_moves.prune(app, rows)
    else:
        done = Pruned(rows, {})
    value = {"changed": bool(done.removed) and not dry_run} | done._asdict()
    verb = "would be removed" if dry_run else "removed"
    notes = [Note(f"{name} stays: {why}") for name, why in done.kept.items()]
    views = [f"{verb}: {_described(row)}\n" for row in done.removed]
    return Report(value, views or ["nothing to remove\n"], FOUND if done.kept else 0, notes)


def _described(row: "Listed") -> str:
    return f"{row.name} {row.recipe or row.id[7:19]}, {size(row.size)}"


def _new_file(text: str) -> str:
    directory = os.path.dirname(os.path.abspath(text))
    if not text or os.path.isdir(text) or not os.access(directory, os.W_OK):
        raise ValueError("no file that can be written")
    return text


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
            Example("cai image build --source distro full", "from the distribution, PyPI and npm"),
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
    Command(
        "image pull",
        "pull a layer, or another image for boxes, from a registry",
        pull,
        group="images",
        arguments=(
            Argument(
                "REFERENCE",
                "a layer, with @sha256:… a certain one, or a reference (default: image.name)",
            ),
        ),
        examples=(
            Example("cai image pull", "the image of new boxes, instead of building it"),
            Example("cai image pull registry.example.com/team/box:1", "one of your own"),
        ),
        more="A layer is pulled from `image.registry` and kept only if it is what this version "
        "makes with your settings; any other image only if it is made from a layer. What a digest "
        "names is checked against it. Where a connection breaks, it goes on from there, a few "
        "times; a pull that is ended begins anew.",
    ),
    Command(
        "image push",
        "push an image to a registry",
        push,
        group="images",
        arguments=(
            Argument("REFERENCE", "where to, with a tag (default: latest)", required=True),
            Argument(
                "--image",
                "which (default: the layer that REFERENCE ends with, else image.name)",
                metavar="IMAGE",
            ),
        ),
        examples=(
            Example("cai image push registry.example.com/team/base:1", "the layer base"),
            Example("cai image push localhost:5000/box --image full", "another name for one"),
        ),
        more="Logs in as `docker login` did for you. Prints the digest, by which it can be pulled.",
    ),
    Command(
        "image export",
        "write the image of new boxes to one file, for a machine without a network",
        export,
        group="images",
        arguments=(
            Argument("FILE", "is replaced when all is written", parse=_new_file, required=True),
        ),
        examples=(Example("cai image export containai.tar", "with all its layers"),),
        more="There: `cai image import FILE`, or `cai setup --image-archive FILE` for a machine "
        "that is not set up.",
    ),
    Command(
        "image import",
        "take images from a file of cai image export",
        import_,
        group="images",
        arguments=(Argument("FILE", "an archive of images", required=True),),
        examples=(Example("cai image import containai.tar", ""),),
        more="Every part is checked against its checksum first, and what this version would not "
        "make with your settings is refused; until then nothing is taken. `cai setup "
        "--image-archive` does the same. A checksum does not say who made the file: take it from "
        "whom you would take a program.",
    ),
    Command(
        "image prune",
        "remove images of earlier recipes that no box uses",
        prune,
        group="images",
        arguments=(Argument("--dry-run", "print what would be removed"),),
        examples=(
            Example("cai image prune", "show them, ask, remove them"),
            Example("cai image prune --dry-run", ""),
        ),
        more="What any container uses stays, stopped or not, and so does what new boxes would "
        "start from. What an interrupted build left goes too: the next one begins anew.",
        asks=True,
    ),
    _preload.COMMAND,
)
