"""`cai update`, of a cai that a release's install.sh has installed."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import zipfile

import containai
from harness.installing import lines_of, piped, unpinned, wheel_of


def test_an_installation_survives_a_release_that_does_not_work(home, releases):
    piped(home, releases)
    wheel = wheel_of(releases, "containai-")
    broken = io.BytesIO()
    with (
        zipfile.ZipFile(f"{releases.directory}/{wheel}") as whole,
        zipfile.ZipFile(broken, "w") as made,
    ):
        for each in whole.infolist():
            bad = each.filename == "containai/cli/main.py"
            made.writestr(each, b"raise SystemExit(3)" if bad else whole.read(each))
    releases.instead[wheel] = broken.getvalue()
    seen = hashlib.sha256(broken.getvalue()).hexdigest()
    lines = lines_of(releases, lambda line: wheel not in line)
    releases.instead["SHA256SUMS"] = lines + f"{seen}  {wheel}\n".encode()
    said = piped(home, releases, text=unpinned(), code=1)
    assert "what was installed does not work" in said
    assert os.listdir(home.target) == ["venv"]
    assert home.version() == {f"cai {containai.__version__}"}


class Updated:
    """A cai of a release, which says that it is of another version."""

    def __init__(self, home, releases):
        self.home = home
        piped(home, releases)
        (lib,) = os.listdir(f"{home.target}/venv/lib")
        self.package = f"{home.target}/venv/lib/{lib}/site-packages/containai"

    def be(self, version):
        with open(f"{self.package}/__init__.py", "w", encoding="utf-8") as file:
            file.write(f'"""cai."""\n\n__version__ = "{version}"\n')
        shutil.rmtree(f"{self.package}/__pycache__")

    def update(self, *words, code=0, **environment):
        argv = [f"{self.home.bin}/cai", "update", *words]
        env = self.home.environment() | environment
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == code, done
        return done


def test_update(home, releases):
    own, mine = containai.__version__, Updated(home, releases)
    assert f"cai {own} is up to date ({releases.address})" in mine.update().stdout
    mine.be("0.0.9")
    assert json.loads(mine.update("--check", "--json").stdout) == {
        "version": "0.0.9", "available": own, "newer": True,
        "place": releases.address, "changed": False,
    }  # fmt: skip
    assert f"fetch {releases.address}/latest/download/install.sh: cai {own}, SHA256SUMS of" in (
        mine.update("--dry-run").stdout
    )
    # What a variable says, a workspace may have said.
    said = mine.update(code=2, CAI_RELEASES="https://evil.invalid/releases").stderr
    assert "cai update --releases https://evil.invalid/releases" in said
    wheel = wheel_of(releases, "rich-")
    releases.instead[wheel] = b"changed"
    assert "its sha256 is" in mine.update(code=1).stderr
    assert home.version() == {"cai 0.0.9"}
    del releases.instead[wheel]

    assert json.loads(mine.update("--json").stdout)["changed"]
    assert home.version() == {f"cai {own}"}
    assert os.listdir(home.target) == ["venv"]

    mine.be("99.0")
    said = mine.update(code=1).stderr
    assert f"cai {own}, which is at {releases.address}, is older than this one, 99.0" in said
    releases.instead["install.sh"] = b"<html></html>"
    assert "is not the install.sh of a release" in mine.update(code=24).stderr
    releases.instead["install.sh"] = None
    assert "cannot be had: HTTP Error 404" in mine.update("--version", "9.9", code=24).stderr
    assert home.version() == {"cai 99.0"}
