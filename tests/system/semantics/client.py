"""Docker's client on an engine of the tests' own, with one runtime for all it makes."""

import contextlib
import json
import os
import subprocess
from collections.abc import Callable
from typing import Any

from harness.waiting import until

IMAGE = "test-busybox"
#: What `docker cp` says of a path that is not there: Docker 28's client, and older ones.
NOT_FOUND = "Could not find|No such container:path"


class DockerFailedError(Exception):
    """A docker request that failed: its exit code and what it said."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(f"code {code}: {said}")
        self.code, self.said = code, said


class Docker:
    """The docker client on the site's engine, with one runtime for all it makes."""

    def __init__(self, socket: str, runtime: str) -> None:
        self.socket, self.runtime = socket, runtime
        self.containers: list[str] = []

    def raw(self, *words: str, data: bytes = b"", env: dict[str, str] | None = None) -> bytes:
        """Make a request. Raises DockerFailedError."""
        done = subprocess.run(
            ["docker", "--host", f"unix://{self.socket}", *words],
            input=data,
            capture_output=True,
            check=False,
            env=os.environ | (env or {}),
        )
        if done.returncode != 0:
            raise DockerFailedError(done.returncode, done.stderr.decode() + done.stdout.decode())
        return done.stdout

    def __call__(self, *words: str, data: bytes = b"") -> str:
        return self.raw(*words, data=data).decode().strip()

    def create(self, *options: str, image: str = IMAGE, command: tuple[str, ...] = ()) -> str:
        """Make a container that goes at the end of the test; return its id."""
        options = ("--runtime", self.runtime, *options)
        self.containers.append(self("create", *options, image, *command))
        return self.containers[-1]

    def start(self, *options: str, script: str = "exec sleep 1000", image: str = IMAGE) -> str:
        """Run a script in the background; return the container's id."""
        container = self.create(*options, image=image, command=("sh", "-c", script))
        self("start", container)
        return container

    def run(self, *options: str, script: str, image: str = IMAGE, data: bytes = b"") -> str:
        """Run a script in a container of its own and return what it printed."""
        options = ("--rm", "--runtime", self.runtime, *options)
        return self("run", *options, image, "sh", "-c", script, data=data)

    def sh(self, container: str, script: str, *options: str) -> str:
        """Run a script with `docker exec`."""
        return self("exec", *options, container, "sh", "-c", script)

    def inspect(self, container: str, *path: str | int) -> Any:
        """Return what the engine knows of a container, from a path on."""
        found = json.loads(self("container", "inspect", container))[0]
        for name in path:
            found = found[name]
        return found

    def until_logged(self, container: str, line: str) -> None:
        """Wait until a container has printed a line."""
        self.until(lambda: line in self("logs", container).split("\n"))

    @staticmethod
    def until(found: Callable[[], bool]) -> None:
        """Wait until something is so; a request that fails says that it is not yet."""

        def asked() -> bool:
            with contextlib.suppress(DockerFailedError):
                return found()
            return False

        until(asked)

    def end(self) -> None:
        """Remove what was made."""
        if self.containers:
            self("rm", "--force", "--volumes", *self.containers)
            self.containers.clear()
