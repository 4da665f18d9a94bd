"""The image of boxes as Incus takes it, packed on this computer: emulated, that takes an age.

cai has it from an engine, which the machine would need for nothing else. So `CAI` is cai that finds
it packed: all else of it, bringing the image to the server too, is as it is.
"""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO

from containai.config.settings import Settings
from containai.images import incus, recipe
from harness.site import IMAGE

METADATA, ROOTFS = FILES = ("metadata.tar", "rootfs.tar.zst")
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"

#: A program for the Python of cai: cai, which packs by what is in the directory of its first word.
CAI = f"""
import os, sys
from containai.cli.main import main
from containai.engine import daemon
from containai.flows import away_image
from containai.images import incus

def pack(engine, image, made_of, directory, progress):
    return incus.Split(*files, incus.alias(made_of), incus.fingerprint(*files), 0)

directory = sys.argv.pop(1)
files = [os.path.join(directory, name) for name in {FILES!r}]
daemon.start = lambda host: None
away_image._here = lambda app, made_of: made_of
incus.pack = pack
sys.exit(main())
"""


def packed(archive: Path) -> tuple[Path, Path]:
    """Return both files of the image that `docker save` has written, packed beside it once."""
    directory = archive.with_suffix(".incus")
    made = directory / METADATA, directory / ROOTFS
    if not directory.exists() or directory.stat().st_mtime < archive.stat().st_mtime:
        part = Path(tempfile.mkdtemp(prefix=f"{directory.name}-", dir=archive.parent))
        _pack(archive, part)
        subprocess.run(["rm", "-rf", str(directory)], check=True)
        part.rename(directory)
    return made


def _pack(archive: Path, directory: Path) -> None:
    made_of = recipe.find(IMAGE, Settings())
    with tarfile.open(archive) as saved:
        (image,) = json.load(_file(saved, "manifest.json"))
        created = json.load(_file(saved, image["Config"]))["created"][:19] + "+00:00"
        seconds = int(datetime.fromisoformat(created).timestamp())
        with tempfile.TemporaryFile(dir=directory) as flat:
            _flatten([_file(saved, layer) for layer in image["Layers"]], flat)
            flat.seek(0)
            argv = ["zstd", "--quiet", "--threads=0", "-3", "-o", str(directory / ROOTFS)]
            with subprocess.Popen(argv, stdin=subprocess.PIPE) as packing:
                assert packing.stdin is not None
                incus.rewrite(flat, packing.stdin, seconds)
            assert packing.returncode == 0
    (directory / METADATA).write_bytes(incus.metadata(made_of, seconds, os.uname().machine))


def _file(saved: tarfile.TarFile, name: str) -> IO[bytes]:
    file = saved.extractfile(name)
    assert file is not None
    return file


def _flatten(layers: list[IO[bytes]], out: IO[bytes]) -> None:
    """Write one archive of all layers, the lowest first: directories, then what is in them."""
    archives = [tarfile.TarFile(fileobj=layer, errors="surrogateescape") for layer in layers]
    last: dict[str, tuple[int, tarfile.TarInfo]] = {}
    for number, archive in enumerate(archives):
        for name, entry in _named(archive):
            directory, _, base = name.rpartition("/")
            if base == _OPAQUE:
                _hide(last, directory, number)
            elif base.startswith(_WHITEOUT):
                gone = f"{directory}/{base.removeprefix(_WHITEOUT)}".lstrip("/")
                last.pop(gone, None)
                _hide(last, gone, number)
            else:
                if name in last and not entry.isdir():
                    _hide(last, name, number)
                last[name] = (number, entry)
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as flat:
        for _, (_, entry) in sorted(last.items()):
            if entry.isdir():
                flat.addfile(entry)
        for number, archive in enumerate(archives):
            for name, entry in _named(archive):
                if last.get(name) != (number, entry) or entry.isdir():
                    continue
                if entry.islnk():
                    assert last[entry.linkname.removeprefix("./")][0] == number, name
                flat.addfile(entry, archive.extractfile(entry) if entry.isreg() else None)


def _named(archive: tarfile.TarFile) -> Iterator[tuple[str, tarfile.TarInfo]]:
    for entry in archive.getmembers():
        yield entry.name.removeprefix("./").rstrip("/"), entry


def _hide(last: dict[str, tuple[int, tarfile.TarInfo]], directory: str, number: int) -> None:
    """Forget what lower layers have below a directory."""
    for name in [
        name for name, (of, _) in last.items() if of < number and name.startswith(f"{directory}/")
    ]:
        del last[name]
