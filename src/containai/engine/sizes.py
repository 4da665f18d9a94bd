"""What containers and volumes take on the engine's disk: the engine counts every file for it."""

from containai.engine import api
from containai.engine.client import Engine

#: How long counting may take, in seconds.
TIMEOUT = 600.0


def written(engine: Engine, container: str) -> int | None:
    """Return the bytes that a container has of its own; None where that is not known."""
    if engine.needs_root:
        words = ("container", "inspect", "--size", "--format", "{{.SizeRw}}", container)
        said = engine.docker(*words, ok=None, timeout=TIMEOUT).out.strip()
        return int(said) if said.isdigit() else None
    address = f"/containers/{api.quoted(container)}/json?size=1"
    try:
        answer = api.request(engine.layout.engine_socket, "GET", address, timeout=TIMEOUT)
        return _size(answer.value["SizeRw"]) if answer.status == 200 else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def volumes(engine: Engine) -> dict[str, int]:
    """Return the bytes of every volume; none for who has to go through sudo."""
    if engine.needs_root:
        return {}
    try:
        address = "/system/df?type=volume"
        answer = api.request(engine.layout.engine_socket, "GET", address, timeout=TIMEOUT)
        rows = [(row["Name"], _size(row["UsageData"]["Size"])) for row in answer.value["Volumes"]]
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    return {str(name): size for name, size in rows if size is not None}


def _size(value: object) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None
