"""`cai image ls|build|show|pull|push|export|import|prune|preload`."""

import os
from typing import TYPE_CHECKING, Any

from containai.app import App
from containai.cli.command import Argument, Command, Example
from containai.cli.commands import _preload
from containai.cli.report import Note, Report, Table
from containai.config import values
from containai.errors import ContainAIError, UsageError
from containai.layout import LOCAL
from containai.work.sizes import size

#: The exit code where something could not be removed.
FOUND = 1

if TYPE_CHECKING:
    from collections.abc import Iterable

    from containai.flows.away_prune import There
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


def prune(app: App, *, on: str | None, dry_run: bool) -> Report:
    """Remove images that nobody needs, of this machine and of remote places."""
    from containai.flows import away_prune, image_moves

    is_here, is_there = _where(app, on)
    here = image_moves.unneeded(app) if is_here else []
    there = away_prune.unneeded(app, on) if is_there else away_prune.Unneeded([], [], [])
    kept: dict[str, str] = {}
    failures = there.problems
    removed, gone = here, there.rows
    if (here or there.rows) and not dry_run:
        app.ui.tell("These images are used by no box, and no new one would be:\n")
        app.ui.tell("".join(f"  {each}\n" for each in _each(here, there.rows)))
        if not app.ui.ask("Remove them?"):
            raise ContainAIError("nothing was removed", hint="run: cai image prune --yes")
        removed, kept = image_moves.prune(app, here)
        gone, failed = away_prune.remove(app, there.rows)
        failures = [*failures, *failed]
    rows = [{"on": LOCAL} | row._asdict() for row in removed] + [row._asdict() for row in gone]
    value = {"changed": bool(rows) and not dry_run, "removed": rows, "kept": kept}
    verb = "would be removed" if dry_run else "removed"
    views = [f"{verb}: {each}\n" for each in _each(removed, gone)]
    notes = [Note(f"{name} stays: {why}") for name, why in kept.items()]
    for row, how in there.stays:
        text = f"{_each((), [row])[0]}, is of all projects there, and stays"
        notes.append(Note(text, f"its administrator removes it where no project uses it: {how}"))
    notes += [Note(str(failed), failed.hint) for failed in failures]
    code = FOUND if kept or failures else 0
    return Report(value, views or ["nothing to remove\n"], code, notes)


def _where(app: App, on: str | None) -> tuple[bool, bool]:
    """Return whether images of this machine are meant, and those of remote places.

    A machine without an engine may have but places.
    """
    from containai.flows import enter, whereabouts

    if on is not None:
        return on == LOCAL, on != LOCAL
    has_places = whereabouts.has_places(app)
    return enter.has_engine(app) or not has_places, has_places


def _each(here: "Iterable[Listed]", there: "Iterable[There]") -> list[str]:
    """Return what is said of images."""
    rows = [(row.name, row.recipe or row.id[7:19], row.size) for row in here]
    rows += [(row.name, f"{row.recipe or row.id[:12]} on {row.on}", row.size) for row in there]
    return [f"{name} {which}, {size(count)}" for name, which, count in rows]


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
        arguments=(
            Argument("--dry-run", "print what would be removed"),
            Argument(
                "--on",
                "only those of a remote place, or of `local`, this machine",
                metavar="NAME",
                parse=values.place,
                kind="places",
            ),
        ),
        examples=(
            Example("cai image prune", "show them, ask, remove them"),
            Example("cai image prune --dry-run", ""),
            Example("cai image prune --on work", "those that were brought to a server"),
        ),
        more="What any container uses stays, stopped or not, and so does what new boxes would "
        "start from. What an interrupted build left goes too: the next one begins anew. On remote "
        "places, those of ours go that no box of the project is made from, whoever brought them, "
        "ten minutes after they came; images that a server has for all its projects are named, "
        "with what its administrator does.",
        asks=True,
    ),
    _preload.COMMAND,
)
