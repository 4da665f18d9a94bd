"""`cai version`."""

from typing import TYPE_CHECKING, Any

from containai import __version__
from containai.app import App
from containai.cli.command import Command, Example
from containai.cli.report import Report

if TYPE_CHECKING:
    from containai.layout import Layout

#: How long the engine may take to say what it is, in seconds.
_PATIENCE = 2.0


def run(app: App) -> Report:
    """Return which versions of all parts there are. Nothing is started for it."""
    import sys

    layout = app.layout
    python = ".".join(map(str, sys.version_info[:3]))
    value: dict[str, Any] = {"version": __version__, "python": python}
    value |= {"engine": None, "runtime": None, "images": []}
    views = [f"cai {__version__}\n"]
    if _is_there(layout.engine_config):
        value |= _of_machine(app)
        views += _told(value)
    return Report(value, views)


def _is_there(path: str) -> bool:
    import os

    return os.path.exists(path)


def _of_machine(app: App) -> dict[str, Any]:
    from containai.engine import runtimes
    from containai.provision import versions

    layout = app.layout
    choice = runtimes.read_choice(layout)
    runtime = {
        "name": runtimes.chosen(layout),
        "version": versions.installed(layout),
        "probed_with": choice.versions if choice is not None else {},
    }
    return {"engine": _engine(layout), "runtime": runtime, "images": _images(app)}


def _engine(layout: "Layout") -> dict[str, Any]:
    """Return what the engine says of itself, where it runs and this user may ask."""
    said = _asked(layout, "/version")
    known = said if isinstance(said, dict) else {}
    return {
        "running": said is not None,
        "version": known.get("Version"),
        "api": known.get("ApiVersion"),
    }


def _images(app: App) -> list[dict[str, str]]:
    from containai.engine import api
    from containai.images.labels import LABEL_IMAGE
    from containai.layout import LABEL_RECIPE

    filters = api.quoted(f'{{"label":["{LABEL_IMAGE}"]}}')
    said = _asked(app.layout, f"/images/json?filters={filters}")
    rows = []
    for image in said if isinstance(said, list) else []:
        labels = image.get("Labels") or {}
        tags = image.get("RepoTags") or []
        if tags:
            row = {"name": labels.get(LABEL_IMAGE, ""), "recipe": labels.get(LABEL_RECIPE, "")}
            rows.append(row | {"reference": tags[0]})
    return rows


def _asked(layout: "Layout", address: str) -> Any:
    """Return the answer of a running engine, or None: to no answer, and to no right to ask."""
    from containai.engine import api

    try:
        answer = api.request(layout.engine_socket, "GET", address, timeout=_PATIENCE)
        return answer.value if answer.status == 200 else None
    except (OSError, ValueError):
        return None


def _told(value: dict[str, Any]) -> list[str]:
    engine, runtime = value["engine"], value["runtime"]
    runs = f"Docker {engine['version']}" if engine["running"] else "does not run, or is not yours"
    of = f" of cai {runtime['version']}" if runtime["version"] else ""
    images = [f"image {row['name']} {row['recipe'][:12]}\n" for row in value["images"]]
    return [f"engine {runs}\n", f"runtime {runtime['name']}{of}\n", *images]


COMMANDS = (
    Command(
        "version",
        "print the versions of cai, the engine, the runtime and the images",
        run,
        group="machine",
        examples=(
            Example("cai version", ""),
            Example("cai version --json", "for machines"),
        ),
        more="Nothing is started: of an engine that does not run, no version is known. "
        "cai --version is of cai alone.",
    ),
)
