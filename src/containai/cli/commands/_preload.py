"""`cai image preload`, a row of image.py."""

from collections.abc import Sequence

from containai.app import App
from containai.cli.command import Argument, Command, Example
from containai.cli.report import Report, Table
from containai.errors import UsageError
from containai.work.sizes import size


def run(
    app: App,
    *,
    image: Sequence[str],
    archive: str | None,
    list: bool,  # noqa: A002 - as the option is called
    remove: bool,
) -> Report:
    """Add images, or list or remove them."""
    from containai.flows import preload

    many = list + remove + (archive is not None) > 1
    if many or (image and (list or archive is not None)):
        raise UsageError("IMAGE, --archive and --list exclude each other, as --remove and --list")
    if remove:
        left = preload.remove(app, image)
    elif image or archive is not None:
        left = preload.add(app, image, archive or "")
    else:
        left = preload.listed(app)
    rows = [[", ".join(each.names) or each.id, size(each.size)] for each in left]
    return Report(left, [Table(rows, ["IMAGE", "SIZE"])] if rows else [])


COMMAND = Command(
    "image preload",
    "put images into the Docker of new boxes",
    run,
    group="images",
    arguments=(
        Argument("IMAGE", "images of a registry or of the engine, with their tag", many=True),
        Argument("--archive", "add those of an archive of `docker save`", metavar="FILE"),
        Argument("--list", "list them, which is also done without any argument"),
        Argument("--remove", "remove these images from the list, or all; boxes keep theirs"),
    ),
    examples=(
        Example("cai image preload postgres:17 redis:8", "pulled once, there in every new box"),
        Example("cai image preload --archive app.tar", "without a registry"),
        Example("cai image preload --remove redis:8", ""),
    ),
    more="Each new box of yours gets a copy of its own before it first boots. On btrfs and xfs the "
    "copies share their bytes until somebody writes; elsewhere a box takes as much as the images, "
    "and about a second for each gigabyte. Boxes that are there stay as they are.",
)
