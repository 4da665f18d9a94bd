"""Images made here, as nothing is pulled: layers of tar entries, busybox of Debian's package."""

import glob
import hashlib
import io
import json
import os
import subprocess
import tarfile
from typing import Any

PASSWD = "root:x:0:0::/root:/bin/sh\nagent:x:1000:1000::/home/agent:/bin/sh\n"
GROUP = "root:x:0:\nagent:x:1000:\nextra:x:2000:agent\n"


def busybox_files(work: Any) -> list[tuple[tarfile.TarInfo, bytes]]:
    program = _static_busybox(str(work))
    applets = subprocess.run([program, "--list"], capture_output=True, text=True, check=True)
    found = [entry(name, kind=tarfile.DIRTYPE) for name in ("bin", "etc", "root", "home")]
    found += [entry(name, kind=tarfile.DIRTYPE) for name in ("dev", "proc", "sys", "run")]
    found.append(entry("tmp", kind=tarfile.DIRTYPE, mode=0o1777))
    with open(program, "rb") as file:
        found.append(entry("bin/busybox", file.read(), mode=0o755))
    for name in set(applets.stdout.split()) - {"busybox"}:
        found.append(entry(f"bin/{name}", kind=tarfile.SYMTYPE, link="busybox"))
    return [*found, entry("etc/passwd", PASSWD.encode()), entry("etc/group", GROUP.encode())]


def _static_busybox(work: str) -> str:
    get = ["apt-get", "--option", "APT::Sandbox::User=root", "download", "busybox-static"]
    if subprocess.run(get, cwd=work, capture_output=True, check=False).returncode != 0:
        subprocess.run(["apt-get", "update", "-qq"], capture_output=True, check=True)
        subprocess.run(get, cwd=work, capture_output=True, check=True)
    package = glob.glob(os.path.join(work, "*.deb"))[0]
    subprocess.run(["dpkg-deb", "--extract", package, work], check=True)
    return os.path.join(work, "bin/busybox")


def entry(
    name: str, data: bytes = b"", *, kind: bytes = tarfile.REGTYPE, mode: int = 0, **more: Any
) -> tuple[tarfile.TarInfo, bytes]:
    """Return one file of a layer. `more` are attributes of TarInfo, `link` its linkname."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(data)
    info.mode = mode or (0o755 if kind == tarfile.DIRTYPE else 0o644)
    info.linkname = more.pop("link", "")
    for attribute, value in more.items():
        setattr(info, attribute, value)
    return info, data


def layer(files: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    """Return a layer as a tar archive."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, data in files:
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def archive_of(layers: list[bytes], name: str) -> bytes:
    """Return an image as `docker save` writes one, for `docker load`."""
    digests = ["sha256:" + hashlib.sha256(each).hexdigest() for each in layers]
    config = {
        "architecture": os.uname().machine,
        "os": "linux",
        "config": {"Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": digests},
        "history": [{"created_by": "a test"} for _ in layers],
    }
    names = [f"{index}/layer.tar" for index in range(len(layers))]
    manifest = [{"Config": "config.json", "RepoTags": [f"{name}:latest"], "Layers": names}]
    files = [entry("config.json", json.dumps(config).encode())]
    files += [entry(where, data) for where, data in zip(names, layers, strict=True)]
    return layer([*files, entry("manifest.json", json.dumps(manifest).encode())])
