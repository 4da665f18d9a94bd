"""install.sh, as a new user runs it: in a home of its own, and nothing else is changed."""

import os
import signal
import subprocess
from typing import Any

import pytest

import containai
from harness.waiting import until

SCRIPT = os.path.join(os.path.dirname(containai.__file__), "../../install.sh")
SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


class Home:
    """A home, and what install.sh makes in it."""

    def __init__(self, path, cache):
        self.path, self.cache = path, cache
        self.target, self.bin = f"{path}/.local/share/containai", f"{path}/.local/bin"

    def start(self, *words, path=SYSTEM_PATH, around=(), **popen):
        own = {"HOME": self.path, "PATH": path, "PIP_CACHE_DIR": self.cache}
        # The rest says how the network is reached.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CAI_")} | own
        pipes: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        }
        return subprocess.Popen([*around, SCRIPT, *words], env=environment, **pipes, **popen)

    def install(self, *words, code=0, **options):
        """Run install.sh to its end; return what it said."""
        install = self.start(*words, **options)
        said = b"".join(install.communicate()).decode()
        assert install.returncode == code, said
        return said

    def version(self):
        """Ask the program that it installed, by each of its names."""
        names = [f"{self.bin}/cai", f"{self.bin}/containai"]
        return {subprocess.check_output([name, "version"], text=True).strip() for name in names}


@pytest.fixture
def home(tmp_path):
    (tmp_path / "home").mkdir()
    return Home(str(tmp_path / "home"), str(tmp_path / "cache"))


def test_install_again_and_uninstall(home):
    said = home.install("--yes")
    assert f"linked {home.bin}/cai" in said
    assert f'export PATH="{home.bin}:$PATH"' in said
    assert home.version() == {f"cai {containai.__version__}"}

    # What lies in a workspace is not imported, whatever the variables of an activated environment.
    evil = f"{home.path}/sitecustomize.py"
    with open(evil, "w", encoding="utf-8") as file:
        file.write("raise SystemExit('executed')\n")
    steering = os.environ | {"PYTHONPATH": home.path, "PYTHONHOME": home.path}
    version = [f"{home.bin}/cai", "version"]
    assert subprocess.check_output(version, cwd=home.path, env=steering).startswith(b"cai ")
    os.unlink(evil)

    # Interrupted while it is made anew, the old one works.
    again = home.start("--yes", start_new_session=True)
    until(lambda: len(os.listdir(home.target)) > 1)
    os.killpg(again.pid, signal.SIGTERM)
    again.communicate()
    assert again.returncode != 0
    assert os.listdir(home.target) == ["venv"]
    assert home.version() == {f"cai {containai.__version__}"}

    said = home.install(path=f"{home.bin}:{SYSTEM_PATH}")
    assert "PATH" not in said
    assert home.version() == {f"cai {containai.__version__}"}

    os.unlink(f"{home.bin}/containai")
    os.symlink("/bin/true", f"{home.bin}/containai")
    assert "removed" in home.install("--uninstall")
    assert os.listdir(home.bin) == ["containai"]
    assert not os.path.exists(home.target)


def test_a_program_of_somebody_elses_is_left_alone(home):
    os.makedirs(home.bin)
    with open(f"{home.bin}/cai", "w", encoding="utf-8") as file:
        file.write("mine")
    said = home.install("--yes", code=1)
    assert f"{home.bin}/cai is there and is not ours\n  hint: move it away" in said
    with open(f"{home.bin}/cai", encoding="utf-8") as file:
        assert file.read() == "mine"
    assert os.listdir(home.target) == []


#: A Python as Debian has it without the package python3-venv.
WITHOUT_VENV = """
for each in /usr/lib/python3.*/venv; do
    mount -t tmpfs none "$each"; echo 'raise ImportError' >"$each/__init__.py"
done
exec "$@"
"""


def test_a_package_is_installed_only_if_somebody_agrees(home):
    around = ("unshare", "--mount", "sh", "-ec", WITHOUT_VENV, "sh")
    said = home.install(code=1, around=around)
    assert "the Debian packages python3 python3-venv are needed\n  hint: run: ./inst" in said
    assert os.listdir(home.path) == []


def test_words_that_do_not_fit(home):
    assert "usage: " in home.install("--nonsense", code=2)
    assert os.listdir(home.path) == []
