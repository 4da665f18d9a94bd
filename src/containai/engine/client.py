"""The engine's client: Docker's own command line, always and only on ContainAI's socket.

What is asked most is asked of the socket itself, where this user may use it.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from containai.engine import api, attached
from containai.engine.container import Container, Image
from containai.errors import EngineError, NoSpaceError, WorkspaceError
from containai.host import proc
from containai.host.machine import Machine

#: Addresses of what can be inspected.
_ADDRESSES = {
    "container": "/containers/{}/json",
    "image": "/images/{}/json",
    "network": "/networks/{}",
    "volume": "/volumes/{}",
}


class Engine:
    """Requests to ContainAI's dockerd. Whoever may not use the socket goes through sudo."""

    def __init__(self, host: Machine) -> None:
        self.host = host
        self.layout = host.layout

    def argv(self, *arguments: str) -> list[str]:
        """Return the command line of a docker request."""
        return ["docker", "--host", f"unix://{self.layout.engine_socket}", *arguments]

    @property
    def needs_root(self) -> bool:
        """Whether this user has to go through sudo to reach the socket."""
        socket = self.layout.engine_socket
        return not self.host.is_root() and not os.access(socket, os.R_OK | os.W_OK)

    def docker(
        self,
        *arguments: str,
        ok: Sequence[int] | None = (0,),
        stdin: bytes | None = None,
        timeout: float | None = 300,
    ) -> proc.Done:
        """Make a request. Raises EngineError, NoSpaceError where a disk is full, WorkspaceError."""
        try:
            return self.host.run(
                self.argv(*arguments), ok=ok, stdin=stdin, timeout=timeout, root=self.needs_root
            )
        except proc.ProcessError as failed:
            raise engine_error(failed) from None

    def copy_in(self, name: str, archive: bytes) -> None:
        """Unpack a tar archive at the root of a container. Raises as `docker` does."""
        address = f"/containers/{api.quoted(name)}/archive?path=/"
        self._change("PUT", address, archive, ("cp", "-", f"{name}:/"))

    def start(self, name: str) -> None:
        """Start a container. Raises as `docker` does."""
        self._change("POST", f"/containers/{api.quoted(name)}/start", b"", ("start", name))

    def rename(self, container: str, name: str) -> None:
        """Give a container a name. Raises as `docker` does."""
        address = f"/containers/{api.quoted(container)}/rename?name={api.quoted(name)}"
        self._change("POST", address, b"", ("rename", container, name))

    def hold_volume(self, name: str, volume: str, image: str, labels: Mapping[str, str]) -> None:
        """Make a container that is never started, and has a volume: the engine keeps that then.

        Nothing of the image comes into it. Raises as `docker` does.
        """
        mount = {
            "Type": "volume",
            "Source": volume,
            "Target": "/held",
            "VolumeOptions": {"NoCopy": True},
        }
        made = {
            "Image": image,
            "Labels": dict(labels),
            "HostConfig": {"NetworkMode": "none", "Mounts": [mount]},
        }
        words = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
        words += ["--mount", f"type=volume,src={volume},dst=/held,volume-nocopy"]
        request = ("create", "--name", name, "--network", "none", *words, image)
        address, body = f"/containers/create?name={api.quoted(name)}", json.dumps(made).encode()
        self._change("POST", address, body, request, kind="application/json")

    def make_volume(self, name: str, labels: Mapping[str, str]) -> None:
        """Make a volume, or have the one of that name as it is. Raises as `docker` does."""
        body = json.dumps({"Name": name, "Labels": dict(labels)}).encode()
        words = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
        request = ("volume", "create", *words, name)
        self._change("POST", "/volumes/create", body, request, kind="application/json")

    def remove_volume(self, name: str) -> None:
        """Remove a volume; one that a container has is refused. Raises as `docker` does."""
        self._change("DELETE", f"/volumes/{api.quoted(name)}", b"", ("volume", "rm", name))

    def _change(
        self,
        method: str,
        address: str,
        body: bytes,
        words: tuple[str, ...],
        kind: str = "application/x-tar",
    ) -> None:
        """Make a request of the socket, or with docker's client for who needs sudo."""
        if self.needs_root:
            self.docker(*words, stdin=body)
            return
        try:
            socket = self.layout.engine_socket
            answer = api.request(socket, method, address, body, kind=kind, timeout=300)
            said = "" if answer.status < 400 else str(answer.value["message"])
        except (OSError, ValueError, LookupError, TypeError) as wrong:
            said = f"no answer from the engine: {wrong}"
        if said:
            failed = proc.ProcessError(f"docker {' '.join(words)}: {said}", proc.Done(1, "", said))
            raise engine_error(failed)

    def stream(
        self,
        *arguments: str,
        on_line: Callable[[str], None],
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        longest: int = -1,
        holds: bool = False,
    ) -> None:
        """Make a request whose output is handed over line by line. Raises as `docker` does.

        What it `holds` is its stdin, which is at its end when we are. `env` are variables for
        docker's client: what is no secret of the command line's. A line longer than `longest`
        comes in parts.
        """
        try:
            self.host.stream(
                self.argv(*arguments),
                on_line,
                stdin=stdin,
                root=self.needs_root,
                env=self.host.environment(DOCKER_BUILDKIT="0", **(env or {})),
                keep=tuple(env or ()),
                longest=longest,
                holds=holds,
            )
        except proc.ProcessError as failed:
            raise engine_error(failed) from None

    def inspect(self, kind: str, name: str) -> dict[str, Any] | None:
        """Return what the engine knows of a container, image, network or volume, or None."""
        answer = self._ask(_ADDRESSES[kind].format(api.quoted(name)))
        if answer is not None:
            known: dict[str, Any] | None = answer[1] if answer[0] == 200 else None
            return known
        done = self.docker(kind, "inspect", name, ok=(0, 1))
        if done.code == 1:
            if "no such" in done.err.lower():
                return None
            raise EngineError(f"docker {kind} inspect {name}: {done.err.strip()}")
        rows: list[dict[str, Any]] = json.loads(done.out)
        return rows[0] if rows else None

    def volumes(self, *filters: str) -> list[str]:
        """Return the names of the volumes that pass all filters."""
        answer = self._ask(f"/volumes?filters={_query(filters)}")
        if answer is not None and answer[0] == 200:
            return [str(volume["Name"]) for volume in answer[1]["Volumes"] or []]
        chosen = [word for condition in filters for word in ("--filter", condition)]
        return self.docker("volume", "ls", "--quiet", *chosen).out.split()

    def volume_sizes(self) -> dict[str, int]:
        """Return what is in each volume, in bytes, which the engine counts now."""
        answer = self._ask("/system/df")
        if answer is not None and answer[0] == 200:
            rows = answer[1]["Volumes"] or []
            return {str(row["Name"]): int((row["UsageData"] or {})["Size"]) for row in rows}
        words = ("system", "df", "--verbose", "--format", "{{json .Volumes}}")
        said: list[dict[str, str]] = json.loads(self.docker(*words).out)
        return {row["Name"]: _bytes(row["Size"]) for row in said}

    def container(self, reference: str) -> Container | None:
        """Return the container of a name or an id, or None."""
        inspected = self.inspect("container", reference)
        return None if inspected is None else self._whole(inspected)

    def image(self, reference: str) -> Image | None:
        """Return the image of a reference or an id, or None."""
        inspected = self.inspect("image", reference)
        return None if inspected is None else Image.from_inspect(inspected)

    def images(self, *filters: str) -> list[Image]:
        """Return every image that passes all filters; those that a build went through are none."""
        answer = self._ask(f"/images/json?filters={_query(filters)}")
        if answer is not None and answer[0] == 200:
            ids = [str(row["Id"]) for row in answer[1]]
        else:
            chosen = [word for condition in filters for word in ("--filter", condition)]
            ids = self.docker("image", "ls", "--no-trunc", "--quiet", *chosen).out.split()
        # One may go between the two questions; one with two tags is listed twice by the client.
        inspected = (self.image(identity) for identity in dict.fromkeys(ids))
        return [image for image in inspected if image is not None]

    def names(self, *filters: str) -> dict[str, str]:
        """Return every container, running or not, that passes all filters: id → name."""
        answer = self._ask(f"/containers/json?all=1&filters={_query(filters)}")
        if answer is not None and answer[0] == 200:
            # Of links, which nobody here makes, there would be more.
            return {str(row["Id"]): str((row["Names"] or [""])[0]).lstrip("/") for row in answer[1]}
        chosen = [word for condition in filters for word in ("--filter", condition)]
        words = ("ps", "--all", "--no-trunc", "--format", "{{.ID}} {{.Names}}", *chosen)
        return dict(line.split(" ", 1) for line in self.docker(*words).out.splitlines())

    def containers(self, *filters: str) -> list[Container]:
        """Return every container, running or not, that passes all filters."""
        return self.each(self.names(*filters))

    def each(self, containers: Iterable[str]) -> list[Container]:
        """Return containers by their ids, as far as they are still there."""
        ids = [*containers]
        if not self.needs_root:
            found = (self.container(each) for each in ids)
            return [container for container in found if container is not None]
        if not ids:
            return []
        # docker prints the others and ends with 1 where one has gone.
        done = self.docker("container", "inspect", *ids, ok=(0, 1))
        return [self._whole(inspected) for inspected in json.loads(done.out or "[]")]

    def _whole(self, inspected: object) -> Container:
        return attached.whole(self.layout, Container.from_inspect(inspected))

    def _ask(self, address: str) -> tuple[int, Any] | None:
        """Return the answer to a question, 200 or 404 and its JSON, or None.

        None is for docker's client to ask again: for who needs sudo, and where it is to say what is
        wrong with an engine that does not answer.
        """
        if self.needs_root:
            return None
        try:
            answer = api.get(self.layout.engine_socket, address)
            return (answer.status, answer.value) if answer.status in (200, 404) else None
        except (OSError, ValueError):
            return None


def _bytes(text: str) -> int:
    """Return a size as docker's client says it ("1.5MB"), in bytes."""
    number, unit = re.fullmatch(r"([0-9.]+)([kMGTP]?)B", text).groups()  # type: ignore[union-attr]
    return int(float(number) * 1000 ** " kMGTP".index(unit or " "))


def _query(filters: Sequence[str]) -> str:
    wanted: dict[str, list[str]] = {}
    for condition in filters:
        key, _, value = condition.partition("=")
        wanted.setdefault(key, []).append(value)
    return api.quoted(json.dumps(wanted))


def engine_error(failed: proc.ProcessError) -> EngineError | NoSpaceError | WorkspaceError:
    """Return the error for a docker request that failed, by what dockerd said."""
    said = (failed.done.err or failed.done.out).strip() or str(failed)
    unmappable = re.search(r"bind source (.+): cannot map ids \[(.*)\]", said)
    if unmappable is not None:
        # runtime/staging.py
        path, why = unmappable.groups()
        itself = "it is on " in why or "in it: " not in why
        return WorkspaceError(
            f"{path!r} cannot be shown to a box with its owner as the agent: the kernel cannot map "
            f"ids of its file system ({why})",
            hint="move or copy it to a file system like ext4, xfs or btrfs"
            if itself
            else "make a box without what is mounted in it: cai run --skip-mounts; or unmount it",
        )
    if "no space left on device" in said.lower():
        return NoSpaceError(
            "no space left on the disk of the engine: " + said.splitlines()[-1],
            hint="free some: cai ls shows the boxes, cai rm removes one",
        )
    return EngineError(
        said.splitlines()[-1] if failed.done.code == 125 else str(failed),
        hint="look for what is wrong: cai doctor; its log: cai engine logs",
    )
