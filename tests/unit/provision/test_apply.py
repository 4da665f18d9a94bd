"""Setup with steps that are not really of a machine."""

import pytest

from containai.errors import ContainAIError
from containai.provision import apply as going
from containai.provision.steps import lxcfs as lxcfs_step
from containai.provision.steps import resolver as resolver_step
from containai.work.actions import Do, Finding


class Broken:
    title = "thing"

    def __init__(self, *, optional, raises):
        self.optional, self.raises = optional, raises

    def check(self, host):
        return Finding(False, "gone", self.optional)

    def plan(self, host, finding):
        def act(progress):
            if self.raises:
                raise ContainAIError("no such package")

        return [Do("make it", act)]

    def undo(self, host, scope):
        return []


def apply(host, step):
    said = []
    going.apply(host, [step], lambda title, number, of: lambda what, share: said.append(what))
    return said


@pytest.mark.parametrize("raises", [True, False])
def test_setup_ends_where_a_step_stays_wrong(host, raises):
    with pytest.raises(ContainAIError, match=r"no such package|still not right: gone"):
        apply(host, Broken(optional=False, raises=raises))


def test_setup_goes_on_without_what_is_optional_and_says_so(host):
    said = ["make it", "going on without: no such package"]
    assert apply(host, Broken(optional=True, raises=True)) == said
    assert apply(host, Broken(optional=True, raises=False)) == said[:1]


@pytest.mark.parametrize(
    ("missing", "apt", "ok"),
    [("", True, True), ("program", True, False), ("program", False, True), ("fuse", True, True)],
)
def test_lxcfs_is_offered_where_installing_helps(host, monkeypatch, missing, apt, ok):
    monkeypatch.setattr(lxcfs_step.lxcfs, "PROGRAM", "program")
    monkeypatch.setattr(lxcfs_step.lxcfs, "missing", lambda: missing)
    host.answer("apt-cache", "show", code=100)
    host.answer("apt-cache", "show", "lxcfs", code=0 if apt else 100)
    found = lxcfs_step.Lxcfs().check(host)
    assert found.ok is ok
    assert found.optional is bool(missing)
    assert ("optional" in found.seen) is bool(missing)
    plan = lxcfs_step.Lxcfs().plan(host, found)
    assert len(plan) == (not ok)
    assert [action.argv[-1] for action in plan] == ["lxcfs"] * (not ok)


@pytest.mark.parametrize("known", [True, False])
def test_dnsmasq_is_offered_where_installing_helps(host, monkeypatch, known):
    monkeypatch.setattr(resolver_step.resolver, "PROGRAM", "/no/such/program")
    host.answer("apt-cache", "show", code=0 if known else 100)
    found = resolver_step.Dnsmasq().check(host)
    assert (found.ok, found.passes) == (not known, True)
    plan = resolver_step.Dnsmasq().plan(host, found)
    assert [action.argv[-1] for action in plan] == ["dnsmasq-base"] * known
