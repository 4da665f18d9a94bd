"""Two versions of cai on one machine, which has one runtime and one engine."""

import os
import subprocess
import sys

import containai

NEWER = "99.1.0"
AS_NEWER = f"""
import sys, containai
containai.__version__ = {NEWER!r}
from containai.cli.main import main
sys.exit(main())
"""


def newer(site, *words):
    argv = [sys.executable, "-Ic", AS_NEWER, *words]
    done = subprocess.run(argv, env=site.environment, capture_output=True, check=False)
    assert done.returncode == 0, done
    return done.stdout.decode() + done.stderr.decode()


def test_an_older_version_does_not_take_a_newer_ones_machine_back(site, shared):
    layout = site.layout
    programs = (layout.runtime_program, layout.network_program, layout.engine_program)
    others = (layout.engine_config, layout.version_file)
    before = site.docker("inspect", "--format", "{{.State.Pid}}", shared.box)
    said = newer(site, "setup", "--yes")
    assert f"of cai {containai.__version__}, to be exchanged for {NEWER}" in said
    try:
        # What only the newer one has.
        for path in programs:
            with open(path, "a", encoding="utf-8") as file:
                file.write("# newer\n")
        kept = {path: os.stat(path).st_mtime_ns for path in (*programs, *others)}
        for words in (("setup", "--yes"), ("doctor", "--fix"), ("run", shared.path, "--", "true")):
            site.cai(*words)
        assert {path: os.stat(path).st_mtime_ns for path in kept} == kept
        said = site.cai("doctor").stdout.decode()
        assert said.count(f"of cai {NEWER}, newer than this {containai.__version__}") == 2
        assert "to go back to its version: cai uninstall" in said
    finally:
        # As `cai uninstall` would have it.
        os.unlink(layout.version_file)
        site.cai("setup", "--yes")
    for path in programs:
        with open(path, encoding="utf-8") as file:
            assert "# newer" not in file.read()
    assert site.docker("inspect", "--format", "{{.State.Pid}}", shared.box) == before
