"""Plans by value: what a step would do about what its check found, with no machine to look at."""

import ast
import os

import pytest

import containai
from containai.config.settings import Settings
from containai.engine.network import Network as Addresses
from containai.host.fake import FakeMachine
from containai.layout import Layout
from containai.provision.steps import engine
from containai.provision.steps.choice import RuntimeChoice
from containai.provision.steps.engine import EngineFiles, EngineRunning, Network, Outdated
from containai.provision.steps.image import Image
from containai.provision.steps.kernel_limits import TABLE, KernelLimits, TooSmall
from containai.provision.steps.resolver import Dnsmasq, Resolver
from containai.provision.steps.runtime import Missing as NoRuntime
from containai.provision.steps.runtime import Runtime
from containai.provision.steps.sysbox import Attempt, Lacking, Sysbox
from containai.provision.steps.user import Context, Entries, Keys, Other
from containai.work.actions import Attempted, Do, Fetch, Finding, Later, Pin, Run, WriteFile
from containai.work.user import User

LAYOUT = Layout("/", "/home/me", 1000)
MACHINE = FakeMachine(LAYOUT)
ADDRESSES = Addresses("10.203.0.0/20")
FILE = WriteFile("/etc/x", "text\n")
PIN = Pin("https://example.org/sysbox.deb", "ab" * 32, 1)


def wrong(data):
    return Finding(False, "wrong", data=data)


def test_what_is_right_has_no_plan():
    for step in (
        Context(),
        Keys(),
        Entries(),
        EngineFiles(),
        Network(),
        EngineRunning(),
        Runtime(),
        KernelLimits(),
        Dnsmasq(),
        Resolver(),
        Sysbox(Attempt("auto")),
        RuntimeChoice(Attempt("auto"), Settings()),
        Image(Settings()),
    ):
        assert step.plan(MACHINE, Finding(True, "right")) == []


def test_engine_files():
    outdated = Outdated([FILE], [], enable=[], subnet_is_taken=False, makes_directories=False)
    assert EngineFiles().plan(MACHINE, wrong(outdated)) == [FILE]
    all_of_it = outdated._replace(
        unknown=["whom"],
        subnet_is_taken=True,
        enable=[["systemctl", "daemon-reload"], ["systemctl", "enable", "x"]],
        makes_directories=True,
    )
    stop, later, file, reload, enable, note = EngineFiles().plan(MACHINE, wrong(all_of_it))
    assert "somebody else has its subnet" in stop.brief()
    assert (later, file) == (Later("whom"), FILE)
    assert reload == Run(["systemctl", "daemon-reload"])
    assert enable.argv[:2] == ["systemctl", "enable"]
    assert LAYOUT.install_record in note.describe()


@pytest.mark.parametrize("is_configured", [True, False])
def test_network(is_configured):
    found = wrong(engine.Missing(ADDRESSES, is_configured))
    *later, up = Network().plan(MACHINE, found)
    assert up.argv[:4] == [LAYOUT.network_program, "up", LAYOUT.bridge, "10.203.0.1/21"]
    # That of a dry run is the first one that is free now, and says so.
    assert len(later) == (not is_configured)


def test_engine():
    (start,) = EngineRunning().plan(MACHINE, wrong(ADDRESSES))
    assert LAYOUT.engine_socket in start.describe()


def test_runtime_has_its_launchers_last():
    files = [WriteFile(f"/lib/{name}", "") for name in ("cai-runc", "cai-sysbox-runc", "a", "b")]
    close = Run(["chmod", "0600", "/lock"])
    *others, last = Runtime().plan(MACHINE, wrong(NoRuntime(files, True, [close])))
    assert [others.pop(), last] == [files[1], files[0]]
    assert others[:2] == files[2:]
    assert close in others
    later, *rest = Runtime().plan(MACHINE, wrong(NoRuntime(files, False, [])))
    assert isinstance(later, Later)
    assert rest[-1] == files[0]


def test_kernel_limits():
    write, raise_ = KernelLimits("/p").plan(MACHINE, wrong(TooSmall("text\n", TABLE[:1])))
    assert write == WriteFile(LAYOUT.sysctl_file, "text\n")
    assert raise_.argv[-2:] == ["/p/fs/inotify/max_user_instances", "8192"]
    assert raise_.brief() == "# raise fs.inotify.max_user_instances to 8192"
    assert KernelLimits().plan(MACHINE, wrong(TooSmall("", ()))) == []


@pytest.mark.parametrize("asked", ["auto", "sysbox"])
def test_sysbox(asked):
    machine = FakeMachine(LAYOUT)
    machine.systemd = True
    attempt = Attempt(asked, releases={os.uname().machine: PIN})
    lacking = Lacking(False, ["kmod"])
    actions = Sysbox(attempt).plan(machine, wrong(lacking))
    # What is only wished for may fail.
    assert any(isinstance(action, Attempted) for action in actions) == (asked == "auto")
    bare = [action.action if isinstance(action, Attempted) else action for action in actions]
    assert bare[0] == Fetch(PIN, LAYOUT.downloads)
    assert bare[1].brief() == f"unpack {bare[0].path} to {LAYOUT.sysbox_dir}"
    assert "dpkg-deb" in bare[1].describe()
    assert bare[2].brief().startswith("# reserve the ids sysbox:")
    assert [action.argv[-1] for action in bare[3:5]] == ["DPkg::Lock::Timeout=300", "kmod"]
    # What is shown is what is attempted.
    assert [action.brief() for action in actions] == [action.brief() for action in bare]
    assert "systemctl start containai-sysbox-mgr.service" in actions[-1].describe()


def test_sysbox_that_only_does_not_run_is_started():
    (start,) = Sysbox(Attempt("sysbox")).plan(MACHINE, wrong(Lacking(True, [])))
    assert "sysbox-mgr --data-root /var/lib/containai-sysbox" in start.describe()


@pytest.mark.parametrize(("is_there", "verb"), [(True, "update"), (False, "create")])
def test_context(is_there, verb):
    ann = User("ann", "/home/ann")
    (run,) = Context().plan(MACHINE, wrong(Other(ann, is_there)))
    assert run.argv[:3] == ["docker", "context", verb]
    assert (run.root, run.user) == (False, ann)


def test_keys():
    *closed, make = Keys().plan(MACHINE, wrong(["/a", "/b"]))
    assert closed == [Run(["chmod", "go-rwx", path], root=False) for path in ("/a", "/b")]
    assert f"Include {LAYOUT.ssh_blocks}/*.conf" in make.describe()


def test_entries_of_boxes_that_are_gone():
    (forget,) = Entries().plan(MACHINE, wrong(["api", "web"]))
    assert forget.brief() == "forget host block and pinned key of api, web"
    assert f"$ rm {LAYOUT.ssh_block('web')}" in forget.describe()
    # An engine that does not answer proves nothing.
    assert Entries().plan(MACHINE, Finding(False, "not checked")) == []


def test_image():
    (build,) = Image(Settings()).plan(MACHINE, Finding(False, "not built yet"))
    assert "--build-arg ROOT=ROOT" in build.describe()
    assert "mmdebstrap" in build.describe()
    (load,) = Image(Settings(), "/a.tar").plan(MACHINE, Finding(False, "not built yet"))
    assert "load --input /a.tar" in load.describe()


def test_probe():
    (probe,) = RuntimeChoice(Attempt("embedded"), Settings()).plan(MACHINE, wrong(None))
    assert LAYOUT.runtime_choice in probe.describe()
    assert "sysbox-runc" not in probe.describe().splitlines()[1]


def test_resolver():
    (start,) = Resolver().plan(MACHINE, wrong(ADDRESSES))
    assert LAYOUT.network_program in start.describe()


def test_no_step_does_what_a_dry_run_does_not_tell():
    """Whatever is more than commands and files has its details, all over the steps."""
    directory = os.path.join(os.path.dirname(containai.__file__), "provision")
    seen = 0
    for parent, _, names in os.walk(directory):
        for name in names:
            if not name.endswith(".py"):
                continue
            with open(os.path.join(parent, name), encoding="utf-8") as file:
                tree = ast.parse(file.read())
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == Do.__name__:
                    seen += 1
                    assert len(node.args) == 3, f"{name}:{node.lineno}"
    assert seen > 5
