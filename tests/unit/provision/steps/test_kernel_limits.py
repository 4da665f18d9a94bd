import os
import subprocess
from pathlib import Path

import pytest

from containai.host.fake import FakeMachine
from containai.layout import Layout
from containai.provision.step import Scope
from containai.provision.steps import kernel_limits
from containai.provision.steps.kernel_limits import TABLE, KernelLimits
from containai.work.actions import Run, WriteFile

INSTANCES, WATCHES = TABLE[:2]


class Kernel:
    """Settings below a directory; called, it changes one, or removes it."""

    def __init__(self, root):
        self.root = str(root)

    def __call__(self, wanted, value):
        path = Path(self.root, wanted.name.replace(".", "/"))
        path.parent.mkdir(parents=True, exist_ok=True)
        if value is None:
            path.unlink()
        else:
            path.write_text(f"{value}\n", encoding="ascii")


@pytest.fixture
def kernel(tmp_path):
    """A kernel that has all it wants."""
    made = Kernel(tmp_path / "sys")
    for each in TABLE:
        made(each, each.least)
    return made


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """The machine's own ContainAI, with its files elsewhere."""
    monkeypatch.setattr(Layout, "sysctl_file", str(tmp_path / "etc" / "00-containai.conf"))
    return FakeMachine(Layout("/", str(tmp_path), 1000))


def settings(layout):
    with open(layout.sysctl_file, encoding="utf-8") as file:
        lines = [line for line in file.read().splitlines() if not line.startswith("#")]
    return dict(line.split(" = ") for line in lines)


def apply(actions):
    for action in actions:
        if isinstance(action, WriteFile):
            os.makedirs(os.path.dirname(action.path), exist_ok=True)
            with open(action.path, "w", encoding="utf-8") as file:
                file.write(action.text)
        else:
            assert isinstance(action, Run)
            subprocess.run(action.argv, check=True, capture_output=True)


def value(kernel, wanted):
    with open(os.path.join(kernel.root, wanted.name.replace(".", "/")), encoding="ascii") as file:
        return int(file.read())


def test_what_is_high_enough_is_left_alone(kernel, machine):
    kernel(INSTANCES, INSTANCES.least * 4)
    kernel(WATCHES, None)
    step = KernelLimits(kernel.root)
    found = step.check(machine)
    assert found.ok
    assert step.plan(machine, found) == step.undo(machine, Scope()) == []


def test_only_what_is_too_small_is_raised(kernel, machine):
    kernel(INSTANCES, 128)
    kernel(WATCHES, WATCHES.least * 2)
    step = KernelLimits(kernel.root)
    found = step.check(machine)
    assert (found.ok, found.optional) == (False, True)
    assert f"{INSTANCES.name} 128, wanted {INSTANCES.least}" in found.seen
    apply(step.plan(machine, found))
    assert settings(machine.layout) == {INSTANCES.name: str(INSTANCES.least)}
    assert value(kernel, INSTANCES) == INSTANCES.least
    assert value(kernel, WATCHES) == WATCHES.least * 2
    assert step.check(machine).ok
    # What it holds stays in it, though by now the kernel has it.
    kernel(WATCHES, 5)
    apply(step.plan(machine, step.check(machine)))
    assert settings(machine.layout).keys() == {INSTANCES.name, WATCHES.name}
    (removal,) = step.undo(machine, Scope())
    apply([removal])
    assert not os.path.exists(machine.layout.sysctl_file)


def test_a_value_that_cannot_be_written_keeps_no_other_from_it(kernel, machine):
    kernel(INSTANCES, 1)
    kernel(WATCHES, 1)
    step = KernelLimits(kernel.root)
    write, run = step.plan(machine, step.check(machine))
    assert isinstance(run, Run)
    apply([write, run._replace(argv=[*run.argv[:4], "/proc/none/of/it", "7", *run.argv[4:]])])
    assert value(kernel, WATCHES) == WATCHES.least
    kernel(INSTANCES, 1)
    found = step.check(machine)
    assert (found.ok, found.optional) == (False, True)
    assert "cannot be written" in found.hint


def test_with_a_root_of_its_own_the_running_kernel_is_left_alone(kernel, host):
    kernel(INSTANCES, 128)
    step = KernelLimits(kernel.root)
    (write,) = step.plan(host, step.check(host))
    assert write.path == host.layout.sysctl_file
    assert write.path.startswith(host.layout.root)
    apply([write])
    found = step.check(host)
    assert found.ok
    assert "128" in found.seen
    assert value(kernel, INSTANCES) == 128


def test_the_file_is_the_first_by_name():
    name = os.path.basename(Layout("/", "/home/u", 0).sysctl_file)
    assert name < "10-a.conf"
    assert all(each.why and each.least > 0 for each in kernel_limits.TABLE)
