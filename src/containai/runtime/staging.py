"""The root file system and the bind mounts of a container, staged with shifted ids.

All of it happens in a mount namespace that is ours alone and that runc inherits: runc's container
gets a copy of it, and with the end of `runc create` it is gone. Nothing is ever mounted on the
host, so nothing can be left there, whoever dies when.
"""

import errno
import os
import stat
from collections.abc import Callable, Sequence
from typing import NamedTuple

from . import idmap, syscalls
from .errors import RuntimeRefusal
from .idmap import Mapping

#: Of a descriptor of a tree and its real path: how its ids are to be mapped.
MappingOf = Callable[[int, str], Mapping]


class Overlay(NamedTuple):
    """An overlay mount's directories, as absolute paths; the first lower one is on top."""

    lower: tuple[str, ...]
    upper: str
    work: str


def unescaped(text: str) -> str:
    """Return a field of mountinfo as it was: octal escapes stand for blanks and backslashes."""
    parts = text.split("\\")
    return parts[0] + "".join(chr(int(part[:3], 8)) + part[3:] for part in parts[1:])


def find_overlay(mountinfo: str, root: str) -> Overlay | None:
    """Return the overlay that is mounted at `root`, or None where something else is.

    `mountinfo` is as in proc(5). Relative names are Docker's, in the directory above the one that
    `root` is in, or above the writable layer's.
    """
    options = None
    for line in mountinfo.split("\n"):
        before, dash, after = line.partition(" - ")
        if dash and unescaped(before.split(" ")[4]) == root:
            kind, _, super_options = after.split(" ", 2)
            options = super_options if kind == "overlay" else None
    fields: dict[str, list[str]] = {}
    # A comma, blank or backslash in a value is an octal escape; what is left separates.
    for pair in (options or "").split(","):
        name, _, value = pair.partition("=")
        fields.setdefault(name, []).append(unescaped(value))
    if "upperdir" not in fields or "workdir" not in fields:
        return None
    # With many layers Docker mounts from the directory that holds them: all names are relative.
    home = os.path.dirname(os.path.dirname(root))
    upper, work = (
        os.path.join(home, *_parts(fields[name][-1], "")) for name in ("upperdir", "workdir")
    )
    above = os.path.dirname(os.path.dirname(upper))
    # One option with colons, or with fsconfig(2) one a layer, which has no escapes of its own.
    lower = [name for value in fields.get("lowerdir", []) for name in _parts(value, ":")]
    lower += fields.get("lowerdir+", [])
    if not all(lower) or "datadir+" in fields:
        raise RuntimeRefusal(f"{root}: an overlay with data-only layers")
    return Overlay(tuple(os.path.join(above, name) for name in lower), upper, work)


def _parts(value: str, separator: str) -> list[str]:
    """Return the parts of a value of overlay's, in which a backslash takes the next one's sense."""
    parts, escaped = [""], False
    for character in value:
        if not escaped and character == "\\":
            escaped = True
        elif not escaped and character == separator:
            parts.append("")
        else:
            parts[-1] += character
            escaped = False
    return parts


def root_path(stage: str) -> str:
    """Return where a stage at that path has the root file system."""
    return os.path.join(stage, "root")


class Tree(NamedTuple):
    """A detached mount, by a descriptor of its root, and whether that is a directory."""

    fd: int
    is_directory: bool


class Trees:
    """Detached copies of trees of the host with a container's ids. `base` is the first of those."""

    def __init__(self, base: int) -> None:
        self.base = base
        self._namespaces: dict[Mapping, int] = {}

    def namespace(self, mapping: Mapping) -> int:
        """Return a descriptor of a user namespace of the container's own with that mapping."""
        if mapping not in self._namespaces:
            self._namespaces[mapping] = idmap.user_namespace(mapping, self.base)
        return self._namespaces[mapping]

    def tree(self, fd: int, mapping: Mapping, *, recursive: bool, readonly: bool = False) -> int:
        """Return a detached copy, with these ids, of what a descriptor names. Raises OSError."""
        flags = syscalls.AT_RECURSIVE if recursive else 0
        tree = syscalls.open_tree(fd, flags)
        try:
            # No device node in an image, a volume or somebody's tree is a device: the box's root
            # would own it. Devices are in the box's own /dev alone.
            syscalls.map_ids(tree, self.namespace(mapping), flags)
            if readonly:
                # Here, as the kernel locks what a mount namespace of the host's says. What runc
                # makes read-only in the container's own, its root makes writable again.
                syscalls.set_attributes(tree, syscalls.MOUNT_ATTR_RDONLY, flags=flags)
        except OSError:
            os.close(tree)
            raise
        return tree

    def bound(
        self, source: str, mapping_of: MappingOf, *, recursive: bool, readonly: bool = False
    ) -> Tree:
        """Return a detached copy of a bind mount's source with ids as `mapping_of` says.

        That is asked with a descriptor of the source and its real path. `recursive` takes along
        what is mounted in it, and `readonly` holds for that, too.
        Raises RuntimeRefusal where it is missing, a link, or on a file system without id mapping.
        """
        try:
            # A workspace may lie in another one, whose agent can put a link to /etc in its place.
            fd = syscalls.open_without_links(source)
        except OSError as wrong:
            if wrong.errno == errno.ELOOP:
                raise RuntimeRefusal(
                    f"bind source {source} leads through a symbolic link that not only root could "
                    "have made: give the real path"
                ) from None
            raise RuntimeRefusal(f"bind source {source}: {os.strerror(wrong.errno or 0)}") from None
        try:
            seen = os.fstat(fd)
            # Of what was opened, not of its name, which can mean something else by now: shifted, a
            # tree of the host's would have the box's root for its own.
            mapping = mapping_of(fd, os.readlink(f"/proc/self/fd/{fd}"))
            tree = self.tree(fd, mapping, recursive=recursive, readonly=readonly)
            return Tree(tree, stat.S_ISDIR(seen.st_mode))
        except OSError as wrong:
            raise RuntimeRefusal(
                f"bind source {source}: cannot map ids "
                f"[{self._unmappable(source, mapping, recursive=recursive) or wrong.strerror}]"
            ) from None
        finally:
            os.close(fd)

    def _unmappable(self, source: str, mapping: Mapping, *, recursive: bool) -> str:
        """Return which file systems at a path and in it cannot map ids, for engine/client.py."""
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            mountinfo = file.read()
        point, _, kind = covering(mountinfo, source)
        wrong = [] if self._can_map(source, mapping) else [f"it is on {kind} at {point}"]
        for inner in mounted_in(mountinfo, source) if recursive else ():
            if not self._can_map(inner, mapping):
                wrong.append(f"in it: {covering(mountinfo, inner)[2]} at {inner}")
        return "; ".join(wrong)

    def _can_map(self, path: str, mapping: Mapping) -> bool:
        opened = []
        try:
            opened.append(os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC))
            opened.append(syscalls.open_tree(opened[0], 0))
            syscalls.map_ids(opened[1], self.namespace(mapping), 0)
        except OSError:
            return False
        finally:
            for fd in opened:
                os.close(fd)
        return True


class Stage(Trees):
    """A private mount namespace with a small tmpfs in it, on which everything is staged."""

    def __init__(self, directory: str, base: int) -> None:
        super().__init__(base)
        self.directory = directory
        make(directory, "size=4m")
        self._binds = 0

    def _place(self, fd: int, target: str, mapping: Mapping) -> None:
        tree = self.tree(fd, mapping, recursive=False)
        try:
            syscalls.attach(tree, target)
        finally:
            os.close(tree)

    def _place_opened(self, fd: int, target: str, mapping: Mapping) -> None:
        try:
            os.mkdir(target)
            self._place(fd, target, mapping)
        finally:
            os.close(fd)

    def root(self, overlay: Overlay | None, plain: str, mapping: Mapping) -> str:
        """Stage the root file system; return where it is.

        A new overlay over shifted copies of the layers: no inode is changed, whatever its size.
        `plain` is the root file system as it is, for storage drivers that are no overlay.
        """
        target = root_path(self.directory)
        if overlay is None:
            fd = syscalls.open_without_links(os.path.realpath(plain))
            self._place_opened(fd, target, mapping)
            return target
        above = os.path.dirname(overlay.upper)
        if os.path.dirname(overlay.work) != above:
            raise RuntimeRefusal(f"{overlay.upper} and {overlay.work} are not side by side")
        os.mkdir(target)
        layers = os.path.join(self.directory, "l")
        os.mkdir(layers)
        # Nothing is opened outside the directory that holds the layers, whoever made the links in
        # it: Docker's short names of layers are some.
        home = os.path.dirname(above)
        beneath = syscalls.open_without_links(os.path.realpath(home))
        try:
            for index, lower in enumerate(overlay.lower):
                fd = syscalls.open_beneath(beneath, os.path.relpath(lower, home))
                self._place_opened(fd, os.path.join(layers, str(index)), mapping)
            fd = syscalls.open_beneath(beneath, os.path.basename(above))
            self._place_opened(fd, os.path.join(self.directory, "u"), mapping)
        finally:
            os.close(beneath)
        self._mount_overlay(layers, overlay, self.base)
        if os.statvfs(target).f_flag & os.ST_RDONLY:
            raise RuntimeRefusal("the kernel made the container's root file system read-only")
        return target

    def cover(self, staged: str, path: str) -> str:
        """Move what is staged to a path of the host's, for this mount namespace; return the path.

        Whoever opens it elsewhere finds what was there.
        """
        target = syscalls.open_without_links(os.path.realpath(path))
        try:
            syscalls.move(staged, target)
        finally:
            os.close(target)
        return path

    @staticmethod
    def _mount_overlay(layers: str, overlay: Overlay, base: int) -> None:
        # Relative and numbered: 60 layers fit into the page that mount(2) takes, and no character
        # of a layer's own path means anything.
        names = ":".join(str(index) for index in range(len(overlay.lower)))
        # Docker's own work directory, which Docker does not use while the box runs (view.py).
        upper, work = (f"../u/{os.path.basename(path)}" for path in (overlay.upper, overlay.work))
        options = f"lowerdir={names},upperdir={upper},workdir={work}"
        if os.path.exists("/sys/module/overlay/parameters/index"):
            options += ",index=off"
        before = os.getcwd()
        os.chdir(layers)
        # As fsuid 0, which is not in the mapping, the kernel cannot make the work directory
        # (EOVERFLOW) and silently gives a read-only overlay.
        syscalls.set_fs_ids(base, base)
        try:
            syscalls.mount("overlay", "../root", "overlay", syscalls.MS_NODEV, options)
        finally:
            syscalls.set_fs_ids(0, 0)
            os.chdir(before)

    def sysfs(self, source: str) -> str:
        """Stage the host's /sys without what is mounted in it, read-only; return where it is."""
        target = os.path.join(self.directory, "sys")
        os.mkdir(target)
        fd = os.open(source, os.O_PATH | os.O_CLOEXEC)
        try:
            tree = syscalls.open_tree(fd, 0)
            try:
                syscalls.set_attributes(tree, syscalls.MOUNT_ATTR_SYSFS)
                syscalls.attach(tree, target)
            finally:
                os.close(tree)
        finally:
            os.close(fd)
        return target

    def placed(self, tree: int, *, directory: bool = False) -> str:
        """Stage a detached mount of a file or a directory, as it is; return where it is."""
        target = self._new_target()
        make_target(target, directory=directory)
        syscalls.attach(tree, target)
        os.close(tree)
        return target

    def device(
        self, major: int, minor: int, *, mode: int = 0o666, owner: Sequence[int] = (0, 0)
    ) -> str:
        """Stage a character device, for everybody or of an owner (uid, gid); return where it is."""
        directory = os.path.join(self.directory, "dev")
        if not os.path.isdir(directory):
            os.mkdir(directory)
            # The stage itself allows no devices.
            flags = syscalls.MS_NOSUID | syscalls.MS_NOEXEC
            syscalls.mount("cai-runc", directory, "tmpfs", flags, "mode=755,size=64k")
        target = os.path.join(directory, os.path.basename(self._new_target()))
        os.mknod(target, stat.S_IFCHR | 0o600, os.makedev(major, minor))
        os.chown(target, *owner)
        os.chmod(target, mode)
        return target

    def _new_target(self) -> str:
        self._binds += 1
        return os.path.join(self.directory, f"m{self._binds}")

    def bind(
        self, source: str, mapping_of: MappingOf, *, recursive: bool, readonly: bool = False
    ) -> str:
        """Stage a bind mount's source; return where it is. As `bound`, which raises the same."""
        tree = self.bound(source, mapping_of, recursive=recursive, readonly=readonly)
        try:
            target = self._new_target()
            make_target(target, directory=tree.is_directory)
            syscalls.attach(tree.fd, target)
        finally:
            os.close(tree.fd)
        return target


def make(directory: str, size: str) -> None:
    """Become a mount namespace of our own, with a tmpfs of a size (tmpfs(5)) at a directory."""
    syscalls.unshare(syscalls.CLONE_NEWNS)
    # Slave: mounts of the host still arrive, ours never leave.
    syscalls.mount("none", "/", "none", syscalls.MS_REC | syscalls.MS_SLAVE)
    # `runc exec` changes into the root file system's path on the host, where it is empty.
    os.makedirs(root_path(directory), mode=0o711, exist_ok=True)
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
    syscalls.mount("cai-runc", directory, "tmpfs", flags, f"mode=755,{size}")


def make_target(path: str, *, directory: bool, within: int | None = None) -> None:
    """Make what something can be mounted on; a path is one in the directory of a descriptor."""
    if directory:
        os.mkdir(path, 0o755, dir_fd=within)
    else:
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(path, flags, 0o644, dir_fd=within))


def is_engine_data(source: str, engine_data: str, mountinfo: str) -> bool:
    """Whether the engine made what is at `source`, so that its ids on disk count from 0.

    Both are real paths; nothing is resolved here, as it could change meanwhile.

    By path alone that would be untrue for a volume that is a directory of the host bound there
    (`--opt o=bind`): shifted, its host-root files would be the box's root's, set-uid and all.
    """
    if not is_below(source, engine_data):
        return False
    point, part, kind = covering(mountinfo, source)
    # Its own file system, or a fresh tmpfs there: /dev/shm, a volume of type tmpfs.
    return is_below(engine_data, point) or (kind == "tmpfs" and part == "/")


def covering(mountinfo: str, path: str) -> tuple[str, str, str]:
    """Return where the mount that holds `path` is, what of its file system that is, and its type.

    Lines are in the order of mounting: of two at one place the last is on top.
    """
    over = ("", "", "")
    for line in mountinfo.split("\n"):
        before, dash, after = line.partition(" - ")
        if not dash:
            continue
        part, point = (unescaped(field) for field in before.split(" ")[3:5])
        if is_below(path, point) and len(point) >= len(over[0]):
            over = (point, part, after.split(" ")[0])
    return over


def mounted_in(mountinfo: str, directory: str) -> list[str]:
    """Return where something is mounted below a directory."""
    points: dict[str, None] = {}
    for line in mountinfo.split("\n"):
        before, dash, _ = line.partition(" - ")
        point = unescaped(before.split(" ")[4]) if dash else directory
        if point != directory and is_below(point, directory):
            points[point] = None
    return list(points)


def is_below(path: str, directory: str) -> bool:
    """Whether a path is in a directory, by name."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")
