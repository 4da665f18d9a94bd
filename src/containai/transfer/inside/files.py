"""Lists, takes and gives files of ~/workspace, in a box, as the agent.

    files list | take | give

`list` says what there is, a line of JSON each. `take` reads a line of JSON, {"gone": [name, …],
"was": {name: facts}}, and an archive; it ends with 5, and names in JSON, where something is not as
it was. `give` reads names in JSON and writes an archive of them. A file is whole, or as it was
before.
"""

import contextlib
import hashlib
import json
import os
import shutil
import stat
import sys
import tarfile

STAGE = ".cai-stage"


def facts(path: str) -> "list[object] | None":
    """Return what is compared of a path: kind, mode, size, sum, where a link leads."""
    try:
        seen = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    mode = stat.S_IMODE(seen.st_mode) & 0o777
    if stat.S_ISDIR(seen.st_mode):
        return ["d", mode, 0, "", ""]
    if stat.S_ISLNK(seen.st_mode):
        return ["l", 0, 0, "", os.readlink(path)]
    if not stat.S_ISREG(seen.st_mode):
        return None
    total = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(1 << 20):
            total.update(part)
    return ["f", mode, seen.st_size, total.hexdigest(), ""]


def everything() -> "list[str]":
    """Return all names, but those of git's and ours."""
    names = []
    for parent, below, files in os.walk("."):
        below[:] = [each for each in below if each.lower() != ".git"]
        if parent == ".":
            below[:] = [each for each in below if each != STAGE]
        for name in (*below, *files):
            if name.lower() != ".git":
                names.append(os.path.join(parent, name)[2:])
    return names


def show() -> None:
    """Say what there is."""
    for name in everything():
        with contextlib.suppress(OSError):
            if (known := facts(name)) is not None:
                print(json.dumps([name, *known]))
    print("[]")


def take() -> None:
    """Put what comes in place of what was there."""
    header = json.loads(sys.stdin.buffer.readline())
    shutil.rmtree(STAGE, ignore_errors=True)
    os.mkdir(STAGE, 0o700)
    try:
        with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
            # What comes is the user's own; newer Pythons would refuse links of it.
            archive.extraction_filter = lambda entry, _: entry
            entries = []
            for entry in archive:
                entry.uid, entry.gid = os.getuid(), os.getgid()
                archive.extract(entry, STAGE, set_attrs=not entry.isdir())
                entries.append((entry.name, entry.isdir(), entry.mode))
        other = [name for name, was in header["was"].items() if facts(name) != was]
        if other:
            print(json.dumps(other))
            raise SystemExit(5)
        for name in sorted(header["gone"], reverse=True):
            remove(name)
        place(entries)
    finally:
        shutil.rmtree(STAGE, ignore_errors=True)


def place(entries: "list[tuple[str, bool, int]]") -> None:
    """Have all that is unpacked where it belongs; directories get their permissions last."""
    for name, is_directory, _ in entries:
        if is_directory:
            if os.path.islink(name) or os.path.isfile(name):
                os.unlink(name)
            os.makedirs(name, exist_ok=True)
    for name, is_directory, _ in entries:
        if not is_directory:
            os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
            if os.path.isdir(name) and not os.path.islink(name):
                os.rmdir(name)
            os.replace(os.path.join(STAGE, name), name)
    for name, is_directory, mode in reversed(entries):
        if is_directory:
            os.chmod(name, mode)


def remove(name: str) -> None:
    """Take a name away; a directory only where nothing is left in it."""
    try:
        if os.path.isdir(name) and not os.path.islink(name):
            os.rmdir(name)
        else:
            os.unlink(name)
    except OSError:
        if not os.path.isdir(name) and os.path.lexists(name):
            raise


def give() -> None:
    """Write an archive of what is asked for."""
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for name in json.load(sys.stdin):
            with contextlib.suppress(FileNotFoundError):
                archive.add(name, recursive=False)


def main() -> None:
    """Do what is asked for."""
    # A session of ssh may start elsewhere.
    os.chdir(os.path.expanduser("~"))
    os.makedirs("workspace", exist_ok=True)
    os.chdir("workspace")
    if os.path.lexists(".git"):
        print("~/workspace is a git repository, and the one here is none", file=sys.stderr)
        raise SystemExit(3)
    try:
        {"list": show, "take": take, "give": give}[sys.argv[1]]()
        sys.stdout.flush()
    except OSError as wrong:
        print(f"{wrong.filename or 'workspace'}: {wrong.strerror}", file=sys.stderr)
        raise SystemExit(4) from None


if __name__ == "__main__":
    main()
