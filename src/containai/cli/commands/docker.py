"""`cai docker …`."""

from collections.abc import Sequence

from containai.app import App
from containai.cli.command import Command, Example
from containai.cli.report import Become
from containai.errors import NotSetUpError

#: Variables of docker's client that change how it works, and nothing of what it runs or where.
_KEPT = ("DOCKER_BUILDKIT", "DOCKER_DEFAULT_PLATFORM", "DOCKER_CLI_HINTS", "BUILDKIT_PROGRESS")


def run(app: App, command: Sequence[str]) -> Become:
    """Become docker's client, on ContainAI's engine, which is started."""
    from containai.engine import configuration, daemon

    if configuration.read(app.layout) is None:
        raise NotSetUpError("ContainAI's engine is not set up", hint="run: cai setup")
    daemon.start(app.host)
    engine, host = app.engine, app.host
    # sudo looks for programs by its own path.
    docker = host.which("docker", root=engine.needs_root) or "docker"
    argv = [docker, *engine.argv(*command)[1:]]
    return Become(host.as_root(argv) if engine.needs_root else argv, keep=_KEPT)


COMMANDS = (
    Command(
        "docker",
        "run Docker's client on ContainAI's own engine",
        run,
        group="machine",
        examples=(
            Example("cai docker ps -a", "the containers there: boxes are some of them"),
            Example("cai docker system df", "what takes how much of its disk"),
        ),
        more="Every argument is docker's, --help too; so is the exit code. DOCKER_HOST and "
        "contexts do not count. What is removed there is gone: cai stop and cai rm know what "
        "belongs to a box.",
        has_value=False,
        passes_all=True,
    ),
)
