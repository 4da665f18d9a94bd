"""`cai export` of a box on a remote place, whose data is on its own disk."""

import contextlib
import os

from containai.app import App
from containai.away.record import Entry
from containai.boxes import saved
from containai.boxes.way import BySsh
from containai.errors import ContainAIError, CopyError
from containai.flows import away, saving
from containai.flows.saving import Saved
from containai.host.piped import piped
from containai.layout import DATA_IN_BOX

#: As boxes/data.sh has it, but for what only root could read.
_TAR = (
    "/usr/bin/tar", "--create", "--format", "pax", "--directory", DATA_IN_BOX,
    "--ignore-failed-read", "--sparse", "--acls", "--xattrs", "--xattrs-include", "user.*",
    "--exclude", "./.containai-*", ".",
)  # fmt: skip
#: How much of what it says is wrong is shown.
_SHOWN = 300


def export(app: App, entry: Entry, path: str) -> Saved:
    """Write the data of a box to a file; one that is off is started for it. Raises CopyError."""
    away.started(app, entry)
    with contextlib.suppress(ContainAIError):
        app.place(entry.place).run(entry.instance, [saving.ADOPT])
    seen = {"name": entry.name, "on": entry.place, "workspace": entry.workspace}
    manifest = saving.manifest_of(entry.name, entry.workspace, seen)
    progress = app.ui.step(f"save {entry.name}", 1, 1)
    argv = BySsh(app.host, away.as_box(app, entry)).argv(_TAR)
    with saving.written(app, path) as file, piped(app.host, argv, writes=False) as running:
        packer = saved.Packer(file, lambda size: progress(f"{size >> 20} MiB packed", None))
        while chunk := running.stream.read(saved.CHUNK):
            packer.write(chunk)
        done = running.done()
        # 1 is of a file that changed, or went, meanwhile (tar(1), RETURN VALUE).
        if done.code not in (0, 1):
            said = " ".join(done.err.split())[-_SHOWN:] or f"code {done.code}"
            raise CopyError(
                f"the data of the box {entry.name} did not come whole: {said}",
                hint="again: cai export",
            )
        manifest = packer.finish(manifest)
        size = file.seek(0, os.SEEK_END)
    return Saved(path, entry.name, size, manifest.size)
