"""install.sh as a user runs it: a home for it, and a server of releases."""

import http.server
import os
import subprocess
import sys
import threading
from typing import Any

import containai

ROOT = os.path.realpath(f"{os.path.dirname(containai.__file__)}/../..")
SCRIPT = f"{ROOT}/install.sh"
SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


class Home:
    """A home, and what install.sh makes in it."""

    def __init__(self, path, cache):
        self.path, self.cache = path, cache
        self.target, self.bin = f"{path}/.local/share/containai", f"{path}/.local/bin"

    def environment(self, path=SYSTEM_PATH):
        own = {"HOME": self.path, "PATH": path, "PIP_CACHE_DIR": self.cache}
        # The rest says how the network is reached.
        return {k: v for k, v in os.environ.items() if not k.startswith("CAI_")} | own

    def start(self, *words, path=SYSTEM_PATH, around=(), **popen):
        environment = self.environment(path)
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
        return {subprocess.check_output([name, "--version"], text=True).strip() for name in names}


class Releases:
    """A server of releases on loopback, and what it does to some of their files."""

    def __init__(self, directory):
        self.directory = directory
        #: File name → its content instead, or None where it is to be missing.
        self.instead: dict[str, bytes | None] = {}
        #: Files of which half arrives.
        self.broken: set[str] = set()
        self.asked: list[str] = []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"http://127.0.0.1:{self.server.server_port}/releases"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def file(self, name):
        with open(f"{self.directory}/{name}", "rb") as file:
            return file.read()

    def _handler(releases):  # noqa: N805 - the handler has a self of its own
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                place, _, name = self.path.rpartition("/")
                releases.asked.append(self.path)
                tag = f"/releases/download/v{containai.__version__}"
                there = place in ("/releases/latest/download", tag)
                there = there and os.path.exists(f"{releases.directory}/{name}")
                content = releases.instead.get(name, releases.file(name) if there else None)
                if content is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // (1 + (name in releases.broken))])

            def log_message(self, *words):
                pass

        return Handler


def make_release(directory):
    """The files of a release, made as the workflow makes them; they are served from anywhere."""
    made = [f"{ROOT}/.ci/release-files", directory, "https://containai.invalid/releases"]
    subprocess.run(made, check=True, env=os.environ | {"PYTHON": sys.executable})


def piped(home, releases, *words, text=None, code=0, cwd="/", **environment):
    """Run a release's install.sh as `curl … | sh -s -- WORDS` does; return what it said."""
    done = subprocess.run(
        ["/bin/sh", "-s", "--", *words],
        input=releases.file("install.sh") if text is None else text,
        env=home.environment() | {"CAI_RELEASES": releases.address} | environment,
        cwd=cwd,
        capture_output=True,
        check=False,
    )
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == code, said
    return said


def unpinned():
    """Return the install.sh of the tree, which knows no release."""
    with open(SCRIPT, "rb") as file:
        return file.read()


def wheel_of(releases, name):
    return next(each for each in os.listdir(releases.directory) if each.startswith(name))


def lines_of(releases, keep):
    lines = releases.file("SHA256SUMS").decode().splitlines(keepends=True)
    return "".join(line for line in lines if keep(line)).encode()
