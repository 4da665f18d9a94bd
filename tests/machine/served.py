"""A server of Incus, and its user, on one machine: root has the one, `admin` the other."""

from __future__ import annotations

import shlex

from harness.site import IMAGE

from . import packed
from .machine import Result, User
from .product import HOME, PROJECT, SLOW, Product

URL = "https://127.0.0.1:8443"
PREPARE = ("remote", "prepare", "--user", "admin", "--subnet", "10.77.0.1/24", "--size", "6GiB")
TOKEN = "/root/token"
POOL = "/var/lib/incus/storage-pools/default"
#: What is said to incus, as root of the server, of the project of boxes.
INCUS = "incus --project boxes"
PYTHON = f"{HOME}/.local/share/containai/venv/bin/python3"
#: Where the packed image is, and programs that are cai but for one thing.
PACKED = "/var/tmp/packed"

#: A repository with work that is not committed, beside a file that git ignores.
REPOSITORY = """
git init -q -b main .; git config user.name admin; git config user.email admin@example.com
printf 'c\\nbusybox\\n' >.gitignore; echo one >a; git add a .gitignore; git commit -qm one
echo two >>a; echo new >b; echo no >c
"""

#: cai, whose server is killed in the middle of what its first word names: MODULE:NAME.
DYING = """
import importlib, subprocess, sys
from containai.cli.main import main

def dying(*given, **named):
    killer.communicate("now\\n")
    return real(*given, **named)

module, _, name = sys.argv.pop(1).partition(":")
owner = importlib.import_module(module)
*above, name = name.split(".")
for each in above:
    owner = getattr(owner, each)
real = getattr(owner, name)
setattr(owner, name, dying)
pid = subprocess.run(
    ["systemctl", "show", "--property=MainPID", "--value", "incus"],
    check=True, capture_output=True, text=True,
).stdout.strip()
# It lets what it interrupts begin.
script = f"read -r _; (sleep 0.1; kill -KILL {pid}) >/dev/null 2>&1 &"
killer = subprocess.Popen(["sudo", "sh", "-c", script], stdin=subprocess.PIPE, text=True)
sys.exit(main())
"""


class Served:
    """A machine that is both."""

    def __init__(self, product: Product) -> None:
        self.product, self.machine = product, product.machine

    @property
    def name(self) -> str:
        """What the only box of the project is called."""
        (box,) = self.product.boxes()
        assert box["on"] == "work"
        return str(box["name"])

    def prepare(self) -> None:
        """Prepare the server by what cai prints, and let its user in."""
        self.machine.run(f"cat >{HOME}/prepare", stdin=self.product.cai(*PREPARE).stdout)
        self.machine.run(f"sh {HOME}/prepare >{TOKEN}", timeout=SLOW)
        self.cai("remote", "add", "work", URL, "--token", self.token())
        for file in packed.FILES:
            write = f"mkdir -p {PACKED}; {self.machine.carried(file)} >{PACKED}/{file}"
            self.machine.run(write, timeout=SLOW)
        self.machine.run(f"cat >{PACKED}/cai", stdin=packed.CAI)
        self.machine.run(f"cat >{PACKED}/dying", stdin=packed.CAI.partition("sys.exit")[0] + DYING)

    def token(self) -> str:
        """Return the user's token."""
        return self.machine.run(["cat", TOKEN]).stdout.strip()

    def make(self) -> None:
        """Have the first box there, and the image before it, in a second try."""
        self.machine.run(f"cd {PROJECT}; {REPOSITORY}", user="admin")
        cut = self.dying("containai.away.incus:IncusPlace.add_image")
        assert cut.returncode == 31, cut
        self._program("cai", PACKED, "run", "--on", "work", ".", "--", "true")

    def cai(self, *words: str, check: bool = True, user: User = "admin") -> Result:
        """Run cai in the project's directory."""
        return self.product.cai(*words, check=check, user=user)

    def dying(self, step: str) -> Result:
        """Have a box made, while the server is killed in the middle of that."""
        words = (PACKED, step, "run", "--on", "work", ".", "--", "true")
        done = self._program("dying", *words, check=False)
        self.machine.run("incus admin waitready", timeout=SLOW)
        return done

    def _program(self, name: str, *words: str, check: bool = True) -> Result:
        argv = shlex.join((PYTHON, f"{PACKED}/{name}", *words))
        script = f"cd {PROJECT}; CONTAINAI_IMAGE_NAME={IMAGE} {argv}"
        return self.machine.run(script, user="admin", check=check, timeout=SLOW)

    def sh(self, script: str, *target: str) -> str:
        """Run a shell script in the project's box, or another; start it if need be."""
        return self.cai("exec", *(target or (".",)), "--", "sh", "-euc", script).stdout.strip()

    def left(self, name: str) -> list[str]:
        """Return the files of a box that is gone, but Incus's logs; and what else is of it."""
        find = (
            f"find / {POOL} -xdev -name '*{name}*' ! -name '*.lock' ! -path '/var/log/*'; "
            f"nft list ruleset | grep -F {name} || :; {INCUS} list --format csv --columns n; "
            f"grep -F {name} {HOME}/.config/containai/known_hosts {PROJECT}/.git/config "
            "/sys/kernel/security/apparmor/profiles || :"
        )
        return self.machine.run(find, timeout=SLOW).stdout.splitlines()
