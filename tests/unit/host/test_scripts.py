"""The scripts of the package are shell, and go by their names."""

import os
import subprocess

import pytest

import containai
from containai.host import proc, scripts
from containai.host.proc import Programs

PACKAGE = os.path.dirname(containai.__file__)
NAMES = [
    os.path.relpath(os.path.join(parent, name), PACKAGE)
    for parent, _, names in os.walk(PACKAGE)
    for name in names
    if name.endswith(".sh") and "images/" not in parent
]


@pytest.mark.parametrize("name", NAMES)
def test_syntax(name):
    subprocess.run(["sh", "-n", os.path.join(PACKAGE, name)], check=True)


def test_an_error_names_the_script_and_not_its_text(tmp_path):
    argv = scripts.argv("host/write.sh", str(tmp_path / "file" / "x"), "no mode")
    (tmp_path / "file").touch()
    with pytest.raises(proc.ProcessError, match=r"^sh -c … host/write\.sh "):
        Programs().run(argv, stdin="")
