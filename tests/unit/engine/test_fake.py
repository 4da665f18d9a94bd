"""The engine in memory: what it records, what it makes of requests, and that it fails as told."""

import pytest

from containai.boxes.box import Box, Status, is_box
from containai.boxes.limits import Limits
from containai.boxes.lookup import every, find
from containai.boxes.places import Mount as Bind
from containai.boxes.spec import INIT, BoxSpec, create_arguments
from containai.engine.container import Container, Image, Mount, Port, State
from containai.engine.fake import FakeEngine
from containai.errors import EngineError, NoSpaceError

WORKSPACE = '/srv/a,b "c"=d'
SPEC = BoxSpec(
    name="api-1",
    workspace=WORKSPACE,
    image="example.com/it:tag",
    ssh_port=2301,
    owner=1000,
    runtime="sysbox-runc",
    network="other",
    limits=Limits(1 << 30, 1.5),
    cpuset="0,2",
    skip_mounts=True,
    read_only=True,
    mounts=(Bind(WORKSPACE, WORKSPACE),),
    start=WORKSPACE,
    ipv6=True,
    data="kept",
    sharing=("web",),
)


@pytest.fixture
def engine(host):
    return FakeEngine(host)


def test_what_every_field_of_a_box_becomes(engine):
    fields = SPEC._asdict().items()
    assert {name for name, value in fields if value == BoxSpec._field_defaults.get(name)} == {
        "spare"  # of a workspace it is none
    }
    identity = engine.docker(*create_arguments(SPEC)).out.strip()
    made = engine.container(identity)
    assert made == Container(
        id=identity,
        name="api-1",
        image="example.com/it:tag",
        runtime="sysbox-runc",
        state=State.CREATED,
        labels=(
            ("containai.managed", "true"),
            ("containai.workspace", SPEC.workspace),
            ("containai.ssh-port", "2301"),
            ("containai.owner", "1000"),
            ("containai.start", WORKSPACE),
        ),
        mounts=(
            Mount("bind", SPEC.workspace, "/home/agent/workspace", read_only=True),
            Mount("bind", SPEC.workspace, WORKSPACE),
            Mount("volume", "", "/var/lib/docker"),
            Mount("volume", "kept", "/mnt/agent-data"),
        ),
        ports=(Port("22/tcp", "127.0.0.1", 2301),),
        memory=1 << 30,
        cpus=1.5,
        cpuset="0,2",
        processes=16384,
        memory_and_swap=1 << 30,
    )
    assert is_box(made)


def test_what_a_spare_box_is_made_of(engine):
    spare = SPEC._replace(name="spare.1", workspace="", mounts=(), spare="digest")
    words = create_arguments(spare)
    assert words[words.index("--hostname") + 1] == "spare"
    made = engine.container(engine.docker(*words).out.strip())
    assert (made.name, made.label("containai.spare")) == ("spare.1", "digest")
    assert made.label("containai.workspace") is None
    assert [mount.target for mount in made.mounts] == ["/var/lib/docker", "/mnt/agent-data"]
    assert not is_box(made)


@pytest.mark.parametrize("workspace", ["/a", "/a,b", '/a"b', '/a","b', "/a=b", "/a,source=/etc"])
def test_a_workspace_survives(engine, workspace):
    engine.docker(*create_arguments(SPEC._replace(workspace=workspace)))
    found = find(engine, workspace, "other")
    assert found is not None
    assert found.workspace == workspace


def test_a_plain_box_has_no_limits(engine):
    engine.docker(*create_arguments(BoxSpec("a", "/w", "i:t", 1, 0)))
    [box] = every(engine)
    assert (box.limits, box.cpuset, box.is_bounded) == (Limits(0, 0.0, 0, 16384, 0), "", True)
    assert engine.container("a").runtime == "cai-runc"
    assert engine.container("a").image == "i:t"


def test_the_image_is_what_stands_before_what_is_run_in_it(engine):
    """Also where a value looks like the program."""
    engine.docker(*create_arguments(SPEC._replace(name=INIT[0])))
    assert engine.container(INIT[0]).image == SPEC.image


def test_a_life(engine):
    engine.docker(*create_arguments(SPEC))

    def status():
        return Box.from_container(engine.container("api-1")).status

    assert status() is Status.UNFINISHED
    engine.start("api-1")
    assert status() is Status.RUNNING
    engine.copy_in("api-1", b"tar")
    engine.docker("stop", "api-1")
    assert status() is Status.STOPPED
    engine.docker("rm", "--force", "api-1")
    assert engine.container("api-1") is None
    assert [words[0] for words in engine.requests] == ["create", "start", "cp", "stop", "rm"]
    with pytest.raises(EngineError, match="No such container"):
        engine.start("api-1")


def test_a_name_is_one_containers(engine):
    first = engine.docker(*create_arguments(SPEC)).out
    with pytest.raises(EngineError, match="already in use"):
        engine.docker(*create_arguments(SPEC))
    second = engine.docker(*create_arguments(SPEC._replace(name="api-2"))).out
    assert first != second


def test_it_fails_as_often_as_it_was_told(engine):
    engine.add(Container("1", name="a"))
    engine.fail("start", EngineError("one"), NoSpaceError("two"))
    with pytest.raises(EngineError, match="one"):
        engine.start("a")
    with pytest.raises(NoSpaceError, match="two"):
        engine.start("a")
    assert not engine.container("a").running
    engine.start("a")
    assert engine.container("a").running
    assert engine.requests == [("start", "a")] * 3


def test_what_is_asked_for(engine):
    plain = engine.add(Container("1", name="a", labels=(("k", "v"), ("l", "w"))))
    other = engine.add(Container("2", name="b", labels=(("k", "v"),)))
    assert engine.container("1") is engine.container("a") is plain
    assert engine.containers() == [plain, other]
    assert engine.containers("label=k=v") == [plain, other]
    assert engine.containers("label=k=v", "label=l=w") == [plain]
    engine.by_reference["i:t"] = Image("3")
    assert engine.image("i:t") == Image("3")
    assert engine.image("none") is None


def test_images_that_pass_a_filter(engine):
    base = Image("1", (("a", "b"),), ("example.com/us/base:1", "base"))
    other = Image("2", (("a", "c"),))
    engine.by_reference |= {"base": base, "example.com/us/base:1": base, "other": other}
    assert engine.images("label=a") == engine.images() == [base, other]
    assert engine.images("label=a=c") == [other]
    assert engine.images("reference=example.com/us/*") == [base]
    assert engine.images("label=b") == []


def test_nothing_of_it_reaches_the_machine(engine, host):
    host.root = False
    engine.docker(*create_arguments(SPEC))
    engine.start("api-1")
    engine.stream("build", ".", on_line=print)
    assert host.ran == []
