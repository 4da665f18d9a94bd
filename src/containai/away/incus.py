"""Boxes on Incus: a box is an instance, and what we know of it is in its `user.containai.…` keys.

Everybody of the project can read those, and no box can write them.
"""

import os
import posixpath
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cached_property

from containai import __version__
from containai.away import incus_copies, incus_ids, incus_images, limits, telling
from containai.away.incus_copies import KEY, NOWHERE
from containai.away.place import Ended, Node, Order, Seen, Snapshot, Stored, Twin, Use, cannot
from containai.boxes.box import Status
from containai.boxes.given import Files
from containai.host.machine import Machine
from containai.incus import certificate, files, images, instances, server, snapshots, stream
from containai.incus import exec as execution
from containai.incus.client import Incus
from containai.incus.errors import ForbiddenError, IncusError, NotFoundError
from containai.incus.instances import Instance
from containai.incus.known import Remote
from containai.layout import REMOTE_OWNER, REMOTE_WORKSPACE
from containai.work.ui import Progress

#: What a box is on Incus: an id range of its own, and its own Docker in it.
_CONFIG = {"security.nesting": "true", "security.idmap.isolated": "true"}
#: How long a box may take to shut down, in seconds, as boxes here may (spec.STOP_TIMEOUT).
_PATIENCE = 100
#: How many files are put at once.
_AT_ONCE = 4
#: How long ssh's connection waits for a box that boots, in seconds.
_BOOT = 90
_STATUS = {
    "Running": Status.RUNNING,
    "Ready": Status.RUNNING,
    "Stopped": Status.STOPPED,
    "Frozen": Status.PAUSED,
}


class IncusPlace:
    """A server or cluster of Incus, as one user of this machine sees it."""

    def __init__(self, host: Machine, remote: Remote) -> None:
        self.name = remote.name
        self._host = host
        self._remote = remote
        self._identity = certificate.identity(host)

    @cached_property
    def owner(self) -> str:
        """The fingerprint of this user's certificate."""
        return certificate.fingerprint(self._identity)

    @cached_property
    def incus(self) -> Incus:
        """The connection, which is kept."""
        return self._another()

    def _another(self) -> Incus:
        return Incus(self._remote.served(self._identity), self._remote.project)

    def find(self, instance: str) -> Seen | None:
        """See `Place`."""
        with self._told():
            try:
                found = instances.find(self.incus, instance)
            except IncusError as failed:
                if not telling.is_of_a_node(failed.text):
                    raise
                every = instances.listed(self.incus)
                found = next((each for each in every if each.name == instance), None)
        return _seen(found) if found is not None else None

    def every(self, *, timeout: float) -> list[Seen]:
        """See `Place`."""
        with self._told():
            return [_seen(each) for each in instances.listed(self.incus, timeout=timeout)]

    def create(self, order: Order, progress: Progress) -> None:
        """See `Place`."""
        config = _CONFIG | {key: text for key, text in order.limits.items() if text}
        config |= {
            KEY + "version": __version__,
            KEY + "box": order.name,
            REMOTE_OWNER: self.owner,
            KEY + "host": socket.gethostname(),
            REMOTE_WORKSPACE: order.workspace,
            KEY + "image": order.image_name,
            KEY + "host-key": order.host_key,
        }
        wanted = instances.Wanted(
            order.instance,
            instances.of_image(order.image),
            config,
            description=f"ContainAI box {order.name}",
            devices=self._devices(order.disk),
        )
        # The first one of an image has it unpacked.
        with self._told(), self._free(order.instance, "again: cai run"):
            instances.create(self.incus, wanted, timeout=1800.0, progress=progress)

    def _devices(self, disk: int) -> dict[str, dict[str, str]]:
        """Return the root disk of so many bytes: the profile's, as one takes its place whole."""
        if not disk:
            return {}
        profile = server.profile(self.incus) or {}
        root = (profile.get("devices") or {}).get("root") or {"type": "disk", "path": "/"}
        return {"root": {**root, "size": str(disk)}}

    def put(self, instance: str, given: Files) -> None:
        """See `Place`."""
        with self._told():
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                parts = [sorted(given.items())[number::_AT_ONCE] for number in range(_AT_ONCE)]
                done = [pool.submit(self._put, instance, dict(part)) for part in parts if part]
            for each in done:
                each.result()

    def _put(self, instance: str, given: Files) -> None:
        with self._another() as incus:
            for path, (text, mode) in given.items():
                content = text.encode("utf-8", "surrogateescape")
                try:
                    files.push(incus, instance, f"/{path}", content, uid=0, gid=0, mode=mode)
                except NotFoundError:
                    _make_above(incus, instance, f"/{path}")
                    files.push(incus, instance, f"/{path}", content, uid=0, gid=0, mode=mode)

    def finish(self, instance: str) -> None:
        """See `Place`."""
        self._patch(instance, {KEY + "whole": "true"})

    def rename(self, instance: str, name: str) -> None:
        """See `Place`. Incus itself renames only what is off."""
        self._patch(instance, {KEY + "box": name})

    def limit(self, instance: str, limits: Mapping[str, str]) -> None:
        """See `Place`."""
        self._patch(instance, limits)

    def _patch(self, instance: str, config: Mapping[str, str]) -> None:
        with self._told():
            instances.patch(self.incus, self._found(instance), config=config)

    def _found(self, instance: str) -> Instance:
        found = instances.find(self.incus, instance)
        if found is None:
            raise NotFoundError(f"{instance} is gone", code=404)
        return found

    def start(self, instance: str) -> None:
        """See `Place`."""
        with self._told():
            incus_ids.have_own(self.incus, instance)
            instances.start(self.incus, instance)

    def stop(self, instance: str) -> None:
        """See `Place`."""
        with self._told():
            self._stop(instance, _PATIENCE)

    def _stop(self, instance: str, patience: int) -> None:
        try:
            instances.stop(self.incus, instance, patience=patience)
        except IncusError as failed:
            # It ended by itself, just before it was killed (liblxc's words).
            if "is not running" not in failed.text:
                raise

    def remove(self, instance: str) -> None:
        """See `Place`."""
        with self._told():
            found = instances.find(self.incus, instance)
            if found is None:
                return
            if found.status != "Stopped":
                self._stop(instance, 0)
            instances.delete(self.incus, instance)

    def snapshots(self, instance: str) -> list[Snapshot]:
        """See `Place`."""
        with self._told():
            found = snapshots.listed(self.incus, instance)
        return [Snapshot(each.name, each.created_at, each.size) for each in found]

    def take(self, instance: str, snapshot: str, progress: Progress) -> None:
        """See `Place`."""
        with self._told(), self._free(snapshot, "choose another name"):
            snapshots.take(self.incus, instance, snapshot, progress=progress)

    def restore(self, instance: str, snapshot: str, progress: Progress) -> None:
        """See `Place`."""
        with self._told():
            found = self._found(instance)
            incus_copies.restore(self.name, self.incus, found, snapshot, progress)

    def drop(self, instance: str, snapshot: str) -> bool:
        """See `Place`."""
        with self._told():
            return snapshots.delete(self.incus, instance, snapshot)

    def copy(self, twin: Twin, progress: Progress) -> None:
        """See `Place`. It is made where the other one is, whose disk can be shared there."""
        with self._told(), self._free(twin.instance, "choose another name: --as NAME"):
            incus_copies.copy(self.incus, self._found(twin.origin), twin, progress)

    def nodes(self) -> list[Node]:
        """See `Place`."""
        with self._told():
            if not server.about(self.incus).is_clustered:
                return []
            return [
                Node(each.name, "" if each.status == "Online" else f"it is {each.status} there")
                for each in server.members(self.incus)
            ]

    def move(self, instance: str, node: str, progress: Progress) -> None:
        """See `Place`."""
        with self._told():
            instances.move(self.incus, instance, node, progress=progress)
            incus_ids.have_own(self.incus, instance)

    def use(self, instance: str) -> Use:
        """See `Place`."""
        with self._told():
            now = instances.state(self.incus, instance)
        return Use(
            now.memory, now.memory_total, now.cpu, now.processes, now.disk, now.disk_total,
            now.address, now.started_at,
        )  # fmt: skip

    def log(self, instance: str) -> str:
        """See `Place`."""
        with self._told():
            return instances.console_log(self.incus, instance)

    def run(self, instance: str, words: Sequence[str], stdin: bytes = b"") -> Ended:
        """See `Place`."""
        with self._told():
            done = execution.run(self.incus, instance, execution.Command(words), stdin)
        return Ended(*done)

    def stream(self, instance: str) -> list[str]:
        """See `Place`."""
        return stream.command(self._host.layout.config_dir, self.name, instance, _BOOT)

    def has_image(self, fingerprint: str) -> bool:
        """See `Place`."""
        with self._told():
            return images.find(self.incus, fingerprint) is not None

    def named_image(self, name: str) -> str:
        """See `Place`."""
        with self._told():
            return images.alias(self.incus, name)

    def add_image(self, metadata: str, rootfs: str, fingerprint: str, progress: Progress) -> None:
        """See `Place`."""

        def sent(done: int, whole: int) -> None:
            progress(f"{done >> 20} of {whole >> 20} MiB to {self.name}", done / whole)

        with self._told(), open(metadata, "rb") as first, open(rootfs, "rb") as second:
            name = os.path.basename(rootfs)
            try:
                images.upload(
                    self.incus, first, second, name=name, expected=fingerprint, sent=sent,
                    progress=progress,
                )  # fmt: skip
            except ForbiddenError:
                # With features.images=false they are the whole server's.
                cannot(
                    "an image that is brought there",
                    self.name,
                    "only its administrator may bring one: have the project's own images "
                    "allowed (features.images=true), or have them bring it",
                )

    def stored_images(self, *, timeout: float) -> list[Stored]:
        """See `Place`."""
        with self._told():
            return incus_images.stored(self.incus, timeout=timeout)

    def remove_image(self, fingerprint: str) -> None:
        """See `Place`."""
        with self._told():
            incus_images.remove(self.incus, self.name, fingerprint)

    def name_image(self, fingerprint: str, name: str) -> None:
        """See `Place`."""
        try:
            images.set_alias(self.incus, name, fingerprint)
        except ForbiddenError:
            # It is found by its fingerprint all the same.
            return

    def _told(self) -> AbstractContextManager[None]:
        return telling.told(self.name, self._remote.project)

    def _free(self, name: str, hint: str) -> AbstractContextManager[None]:
        return telling.free(self.name, name, hint)


def _make_above(incus: Incus, instance: str, path: str) -> None:
    """Have the directories that a file is in."""
    names = posixpath.dirname(path).strip("/").split("/")
    for count in range(len(names)):
        files.make_directory(incus, instance, "/" + "/".join(names[: count + 1]))


def _seen(found: Instance) -> Seen:
    said = {key.removeprefix(KEY): text for key, text in found.config.items()}
    status = _STATUS.get(found.status, Status.BROKEN)
    is_whole = said.get("whole") == "true"
    if status is Status.STOPPED and not is_whole:
        status = Status.UNFINISHED
    node = "" if found.location in NOWHERE else found.location
    broken = f"its node {node} is away" if node else f"it is {found.status} there"
    restoring = said.get("restoring", "")
    if restoring and status is not Status.BROKEN:
        status, broken = Status.BROKEN, f"it is half put back to the snapshot {restoring}"
    return Seen(
        instance=found.name,
        status=status,
        name=said.get("box", ""),
        owner=found.config.get(REMOTE_OWNER, ""),
        workspace=found.config.get(REMOTE_WORKSPACE, ""),
        host=said.get("host", ""),
        image=said.get("image", ""),
        host_key=said.get("host-key", ""),
        created=found.created_at,
        node=node,
        is_whole=is_whole,
        limits=tuple(
            (key, found.expanded_config[key]) for key in limits.KEYS if key in found.expanded_config
        ),
        problem=broken if status is Status.BROKEN else "",
        origin=said.get("fork-of", ""),
        restoring=restoring,
    )
