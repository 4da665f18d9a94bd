"""A report for whoever is to find a fault: of this machine, and of nobody on it."""

import inspect
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import containai
from containai import agents
from containai.app import App
from containai.boxes import lookup
from containai.boxes.box import Box
from containai.config.setting import Origin
from containai.engine import daemon, lxcfs, resolver
from containai.errors import ContainAIError
from containai.host import files, noted, services
from containai.host.service import Service
from containai.layout import Layout
from containai.provision import versions
from containai.provision.apply import Row
from containai.ssh import hosts, session
from containai.work.masking import Masking, Place

#: The version of the report's form.
VERSION = 1
#: How many lines of a log are in it, and how long one of them may be.
LINES, LONGEST = 60, 600
_PROGRAMS = ("dockerd", "docker", "containerd", "runc")
#: Settings that say which of a few, which are nobody's.
_SHORTEST = 3


def written(app: App, rows: Sequence[Row]) -> str:
    """Return the report as text."""
    masking = mask(app)
    parts = [
        f"cai doctor --report, version {VERSION}",
        "Names, paths, addresses and secrets are masked; read it before you send it.",
        *_section("Versions", _versions(app), masking),
        *_section("Checks", _checks(rows), masking),
        *_section("Settings that are not the default, and what says them", _settings(app), masking),
    ]
    for title, log in _logs(app):
        parts += _section(f"Log: {title}", [log], masking)
    return "\n".join(parts) + "\n"


def save(path: str, text: str) -> None:
    """Write a report for this user alone. Raises ContainAIError where something is there."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError:
        raise ContainAIError(
            f"{path!r} is there already, and is left as it is", hint="name another file"
        ) from None
    except (OSError, ValueError) as wrong:
        said = getattr(wrong, "strerror", None) or str(wrong)
        raise ContainAIError(
            f"{path!r} cannot be written: {said}", hint="name another, or - to see it"
        ) from None
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _section(title: str, texts: Iterator[str] | Sequence[str], masking: Masking) -> list[str]:
    lines = [line[:LONGEST] for text in texts for line in masking.lines(text)]
    return ["", f"== {title}", *(f"  {line}" for line in lines or ["none"])]


def _versions(app: App) -> Iterator[str]:
    host = app.host
    yield f"cai {containai.__version__}, of the machine {versions.installed(app.layout) or 'none'}"
    yield f"Python {'.'.join(map(str, sys.version_info[:3]))}"
    system = host.os_release()
    yield f"{system.get('ID', 'unknown')} {system.get('VERSION_ID', '')}, {os.uname().machine}"
    yield f"kernel {os.uname().release}"
    yield f"{'systemd' if host.has_systemd() else 'no systemd'}{', WSL' if host.is_wsl() else ''}"
    yield f"ssh {'.'.join(map(str, host.ssh_version()))}"
    for program in _PROGRAMS:
        try:
            version = re.search(r"\d+(\.\d+)+\S*", host.told_version(program).out)
            yield f"{program} {version[0].rstrip(',') if version else 'does not say its version'}"
        except ContainAIError as failed:
            yield f"{program}: {failed}"


def _checks(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        # One line each: what a box says ends none.
        seen = " ".join(
            f"{row.finding.seen} {row.finding.hint and f'({row.finding.hint})'}".split()
        )
        yield f"{row.finding.state.value:7}  {row.step.title}: {seen}"


def _settings(app: App) -> Iterator[str]:
    for row in app.settings.rows():
        source = app.settings.source(row)
        if source.origin is not Origin.DEFAULT:
            yield f"{row.key}: {source}"


def _logs(app: App) -> Iterator[tuple[str, str]]:
    layout = app.layout
    network = None
    wanted: tuple[Service, ...] = (
        daemon.service(app.host, network),
        lxcfs.service(layout),
        resolver.service(layout, network),
    )
    for service in wanted:
        try:
            yield service.name, services.manager(app.host).log(service, LINES)
        except ContainAIError as failed:
            yield service.name, f"not read: {failed}"


def mask(app: App) -> Masking:
    """Return what masks all that is known to be of this machine and of whoever is on it."""
    masking = Masking(_places(app.layout), {row.key.lower() for row in app.settings.rows()})
    host = app.host
    masking.know("host", os.uname().nodename, os.uname().nodename.partition(".")[0])
    masking.know("user", *_users(app))
    for kind, values in _of_boxes(app).items():
        masking.know(kind, *values)
    for row in app.settings.rows():
        if app.settings.source(row).origin is not Origin.DEFAULT:
            masking.know("value", *_strings(app.settings.value(row)), *_given(app, row))
    # What is named for boxes, as it is here.
    masking.know("value", *(app.environ.get(name, "") for name in app.settings.variables.names))
    # Also where it cannot be understood.
    masking.know("value", *_quoted(files.read(app.layout.config_file) or ""))
    masking.know("value", *_of_environment(app.environ))
    masking.know("user", *(host.group_members(app.layout.engine_group) or ()))
    return masking


def _quoted(text: str) -> list[str]:
    """Return what stands in quotes in a file of settings."""
    found = re.findall(r"\"([^\"\n]+)\"|'([^'\n]+)'", text)
    return [word for pair in found for each in pair for word in _strings(each)]


def _places(layout: Layout) -> Iterator[Place]:
    """Return where ContainAI's own files are: everybody's paths, but for root and home."""
    root = layout.root.rstrip("/")

    def place(path: str, *, is_open: bool = False) -> Place:
        if path.startswith(layout.home):
            return Place(path, "<home>" + path[len(layout.home) :], is_open)
        at = "<root>" if root and path.startswith(root) else ""
        return Place(path, at + path[len(root) if at else 0 :], is_open)

    yield place(layout.home)
    yield Place("~", "<home>")
    for directory in (layout.runtime_dir, os.path.dirname(os.path.dirname(layout.engine_config))):
        yield place(directory, is_open=True)
    if root:
        yield Place(root, "<root>")
    for name, _ in inspect.getmembers(Layout, lambda each: isinstance(each, property)):
        path = getattr(layout, name)
        if isinstance(path, str) and path.startswith("/") and len(path) > 1:
            yield place(path)


def _users(app: App) -> Iterator[str]:
    import pwd

    user = app.host.invoker()
    if user is not None:
        yield user.name
        yield os.path.basename(user.home)
    yield os.path.basename(app.layout.home)
    for entry in pwd.getpwall():
        # Those of people, on whatever system (useradd(8): UID_MIN).
        if entry.pw_uid == app.layout.uid or 1000 <= entry.pw_uid < 65534:
            yield entry.pw_name
            yield entry.pw_gecos.partition(",")[0]


def _of_boxes(app: App) -> dict[str, list[str]]:
    """Return what is of boxes, by kind: also of those that only ssh knows of."""
    names = sorted(hosts.published(app.layout))
    workspaces = [session.workspace_of(app.layout, name) for name in names]
    volumes: list[str] = []
    for box in _boxes(app):
        names.append(box.name)
        workspaces.append(box.workspace)
        volumes.append(box.data)
    parts = [os.path.basename(path) for path in workspaces]
    return {"workspace": workspaces, "name": [*names, *parts], "volume": volumes}


def _boxes(app: App) -> list[Box]:
    try:
        if not daemon.reachable(app.host):
            return []
        return lookup.every(app.engine)
    except ContainAIError:
        return []


def _given(app: App, row: Any) -> list[str]:
    text = app.settings.text(row)
    try:
        return _strings(json.loads(text))
    except ValueError:
        return _strings(text)


def _strings(value: object) -> list[str]:
    """Return the texts in a value, as long as they can be of somebody."""
    if isinstance(value, str):
        return [value] if len(value) > _SHORTEST and re.search("[^0-9.:-]", value) else []
    if isinstance(value, Mapping):
        return [text for pair in value.items() for part in pair for text in _strings(part)]
    if isinstance(value, list | tuple | set | frozenset):
        return [text for each in value for text in _strings(each)]
    return []


def _of_environment(environ: Mapping[str, str]) -> Iterator[str]:
    """Return the values of variables that carry a login, or are called as a secret is."""
    logins = {name for agent in agents.AGENTS for name in (*agent.variables, *agent.wider)}
    for name, value in environ.items():
        if len(value) > _SHORTEST and (name in logins or noted.is_secret(name)):
            yield value
