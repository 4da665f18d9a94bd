"""The mount and namespace system calls that Python's standard library lacks."""

import ctypes
import errno
import os

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWUSER = 0x10000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19

MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8

AT_FDCWD = -100
AT_SYMLINK_NOFOLLOW = 0x100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000

OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH = 4
MOVE_MOUNT_T_EMPTY_PATH = 0x40
MOUNT_ATTR_RDONLY = 0x00000001
MOUNT_ATTR_NODEV = 0x00000004
#: Read-only, nosuid, nodev, noexec.
MOUNT_ATTR_SYSFS = 0x0000000F
MOUNT_ATTR_IDMAP = 0x00100000

PR_GET_SECUREBITS = 27
PR_SET_SECUREBITS = 28
SECBIT_NO_SETUID_FIXUP = 4

# One number on every architecture: include/uapi/asm-generic/unistd.h, from 424 on.
_OPEN_TREE = 428
_MOVE_MOUNT = 429
_FSCONFIG = 431
_FSPICK = 433
_MOUNT_SETATTR = 442
_OPENAT2 = 437

RESOLVE_NO_MAGICLINKS = 2
RESOLVE_NO_SYMLINKS = 4
RESOLVE_BENEATH = 8

FSPICK_CLOEXEC = 1
FSCONFIG_CMD_RECONFIGURE = 7

#: How often a path is looked up again.
_ATTEMPTS = 1000

_libc = ctypes.CDLL(None, use_errno=True)


class _MountAttr(ctypes.Structure):
    """struct mount_attr (mount_setattr(2))."""

    _fields_ = [
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    ]


def _checked(result: int, what: str) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")
    return result


def unshare(flags: int) -> None:
    """unshare(2)."""
    _checked(_libc.unshare(ctypes.c_int(flags)), "unshare")


def enter(fd: int, kind: int) -> None:
    """Enter the namespace, of this CLONE_NEW* kind, that a descriptor names (setns(2))."""
    _checked(_libc.setns(ctypes.c_int(fd), ctypes.c_int(kind)), "setns")


def unmount(path: str, *, links: bool = False) -> None:
    """Detach what is mounted at a path, busy or not (umount2(2)).

    It is not one that a link leads to, unless `links` are followed: those of /proc to descriptors.
    """
    flags = MNT_DETACH | (0 if links else UMOUNT_NOFOLLOW)
    done = _libc.umount2(os.fsencode(path), ctypes.c_int(flags))
    _checked(done, f"umount {path}")


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """mount(2)."""
    done = _libc.mount(
        _encoded(source),
        _encoded(target),
        kind.encode(),
        ctypes.c_ulong(flags),
        _encoded(data),
    )
    _checked(done, f"mount {kind} on {target}")


class _OpenHow(ctypes.Structure):
    """struct open_how (openat2(2))."""

    _fields_ = [
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    ]


def open_without_links(path: str) -> int:
    """Return an O_PATH descriptor of an absolute path none of whose parts is a symbolic link.

    Raises OSError; its errno is ELOOP where one is.
    """
    # Without O_NOFOLLOW: with it, a link in the last place would be opened itself.
    return _open_path(AT_FDCWD, path, RESOLVE_NO_SYMLINKS)


def open_beneath(directory: int, path: str, *, links: bool = True) -> int:
    """Return an O_PATH descriptor of a path in a directory, which no link and no ".." leaves.

    Raises OSError; its errno is EXDEV where one would, and ELOOP for any link where `links` are not
    followed at all.
    """
    resolve = RESOLVE_BENEATH | (RESOLVE_NO_MAGICLINKS if links else RESOLVE_NO_SYMLINKS)
    return _open_path(directory, path, resolve)


def _open_path(directory: int, path: str, resolve: int) -> int:
    how = _OpenHow(flags=os.O_PATH | os.O_CLOEXEC, resolve=resolve)
    for _ in range(_ATTEMPTS):
        fd: int = _libc.syscall(
            ctypes.c_long(_OPENAT2),
            ctypes.c_int(directory),
            _encoded(path),
            ctypes.byref(how),
            ctypes.c_size_t(ctypes.sizeof(how)),
        )
        # EAGAIN: something, anywhere on the machine, was renamed or mounted meanwhile (openat2(2)).
        if fd >= 0 or ctypes.get_errno() != errno.EAGAIN:
            break
    return _checked(fd, f"openat2 {path}")


def _encoded(path: str) -> bytes:
    raw = os.fsencode(path)
    if b"\0" in raw:
        # The kernel would take what is before it for the whole.
        raise OSError(errno.EINVAL, f"{path!r} has a null byte")
    return raw


def open_tree(fd: int, flags: int) -> int:
    """Return a detached copy of the mount that the descriptor `fd` is in, from there on."""
    number, flags = ctypes.c_long(_OPEN_TREE), flags | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC
    flags |= AT_EMPTY_PATH
    tree = _libc.syscall(number, ctypes.c_int(fd), b"", ctypes.c_uint(flags))
    return _checked(tree, "open_tree")


def map_ids(tree: int, userns: int, flags: int) -> None:
    """Give a detached mount the id mapping of a user namespace, and nodev. Needs Linux 5.12."""
    set_attributes(tree, MOUNT_ATTR_IDMAP | MOUNT_ATTR_NODEV, userns, flags)


def make_private(tree: int) -> None:
    """Have a mount, by a descriptor of its root, and all below get nothing of any other's."""
    set_attributes(tree, 0, flags=AT_RECURSIVE, propagation=MS_PRIVATE)


def set_attributes(
    tree: int, wanted: int, userns: int = 0, flags: int = 0, propagation: int = 0
) -> None:
    """Set MOUNT_ATTR_* of a mount by a descriptor of its root; of a detached one too."""
    attributes = _MountAttr(attr_set=wanted, propagation=propagation, userns_fd=userns)
    done = _libc.syscall(
        ctypes.c_long(_MOUNT_SETATTR),
        ctypes.c_int(tree),
        b"",
        ctypes.c_uint(flags | AT_EMPTY_PATH),
        ctypes.byref(attributes),
        ctypes.c_size_t(ctypes.sizeof(attributes)),
    )
    _checked(done, "mount_setattr")


def attach(tree: int, target: str) -> None:
    """Attach a detached mount at a path."""
    done = _libc.syscall(
        ctypes.c_long(_MOVE_MOUNT),
        ctypes.c_int(tree),
        b"",
        ctypes.c_int(AT_FDCWD),
        _encoded(target),
        ctypes.c_uint(MOVE_MOUNT_F_EMPTY_PATH),
    )
    _checked(done, f"move_mount to {target}")


def attach_to(tree: int, target: int) -> None:
    """Attach a detached mount at what a descriptor names."""
    done = _libc.syscall(
        ctypes.c_long(_MOVE_MOUNT),
        ctypes.c_int(tree),
        b"",
        ctypes.c_int(target),
        b"",
        ctypes.c_uint(MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH),
    )
    _checked(done, "move_mount")


def move(source: str, target: int) -> None:
    """Move what is mounted at a path onto what a descriptor names (move_mount(2))."""
    done = _libc.syscall(
        ctypes.c_long(_MOVE_MOUNT),
        ctypes.c_int(AT_FDCWD),
        _encoded(source),
        ctypes.c_int(target),
        b"",
        ctypes.c_uint(MOVE_MOUNT_T_EMPTY_PATH),
    )
    _checked(done, f"move_mount from {source}")


def forget_names(path: str) -> None:
    """Drop the names that the file system mounted at `path` remembers and nobody uses.

    The kernel does that whenever a file system is reconfigured (fs/super.c, reconfigure_super);
    here no option changes.
    """
    fd = _libc.syscall(
        ctypes.c_long(_FSPICK),
        ctypes.c_int(AT_FDCWD),
        _encoded(path),
        ctypes.c_uint(FSPICK_CLOEXEC),
    )
    _checked(fd, f"fspick {path}")
    try:
        command = ctypes.c_uint(FSCONFIG_CMD_RECONFIGURE)
        done = _libc.syscall(
            ctypes.c_long(_FSCONFIG), ctypes.c_int(fd), command, None, None, ctypes.c_int(0)
        )
        _checked(done, f"fsconfig {path}")
    finally:
        os.close(fd)


def become(owner: int) -> None:
    """Change all ids to one, for good; capabilities stay as they are (capabilities(7))."""
    _checked(_libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0), "prctl")
    os.setresgid(owner, owner, owner)
    os.setresuid(owner, owner, owner)


def set_fs_ids(uid: int, gid: int) -> None:
    """Change the ids that file access is checked with; capabilities stay as they are."""
    bits = SECBIT_NO_SETUID_FIXUP if uid else 0
    if uid:
        _checked(_libc.prctl(PR_SET_SECUREBITS, bits, 0, 0, 0), "prctl(PR_SET_SECUREBITS)")
    _libc.setfsgid(ctypes.c_uint(gid))
    _libc.setfsuid(ctypes.c_uint(uid))
    # setfsuid(2) cannot fail visibly: asking for an impossible id returns the one in force.
    if _libc.setfsuid(ctypes.c_uint(0xFFFFFFFF)) & 0xFFFFFFFF != uid:
        raise OSError(f"setfsuid({uid}) was refused")
    if not uid:
        _checked(_libc.prctl(PR_SET_SECUREBITS, bits, 0, 0, 0), "prctl(PR_SET_SECUREBITS)")
