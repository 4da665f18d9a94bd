"""Bad input gets one clear line, a hint and a documented code, and changes nothing."""

import os
import socket

import pytest

from containai import errors
from containai.host import files
from harness.site import refused

#: Outside every site's ports.
FREE_OF_BOXES = 19900


@pytest.fixture
def unchanged(site, shared):
    """Assert that a test made no container, volume or host block."""

    def seen():
        volumes = set(site.docker("volume", "ls", "-q").split())
        return site.container_names(), volumes, set(os.listdir(site.layout.ssh_blocks))

    before = seen()
    yield
    assert seen() == before


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("command", ["run", "exec", "shell", "code"])
@pytest.mark.parametrize("which", ["missing", "file", "empty", "newline", "bytes"])
def test_a_path_that_cannot_be_a_workspace(site, make_space, which, command):
    made = make_space()
    path = os.fsencode(made.path)
    match which:
        case "missing":
            path += b"/missing"
        case "file":
            path += b"/file"
            with open(path, "wb"):
                pass
        case "empty":
            path = b""
        case "newline":
            path += b"/new\nline"
            os.mkdir(path)
        case "bytes":
            path += b"/\xff\xfe"
            os.mkdir(path)
    tail = [] if command in ("shell", "code") else ["--", "true"]
    lines = refused(site.cai(command, path, *tail, check=False), errors.WorkspaceError)
    assert len(lines) == 2


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("path", ["/", "//", "/tmp/..", "home"])
def test_root_and_home_are_refused(site, path):
    given = site.home if path == "home" else path
    lines = refused(site.cai("run", given, "--", "true", check=False), errors.WorkspaceError)
    assert len(lines) == 2
    assert "--force" in lines[1]


def test_home_is_taken_with_force(site):
    given = ("run", "--force", site.home, "--", "test", "-e", ".ssh")
    done = site.cai(*given, check=False)
    site.cai("rm", site.home)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("unchanged")
def test_the_name_of_a_foreign_container_is_refused(site, space, shared):
    site.docker("create", "--name", "foreign", shared.inspect()["Image"])
    try:
        done = site.cai("run", "--name", "foreign", space.path, "--", "true", check=False)
        assert len(refused(done, errors.NameTakenError)) == 2
        assert "foreign" in site.container_names()
        done = site.cai("rm", "--name", "foreign", check=False)
        refused(done, errors.BoxNotFoundError)
        assert "foreign" in site.container_names()
    finally:
        site.docker("rm", "foreign")


@pytest.mark.usefixtures("unchanged")
def test_the_name_of_another_workspaces_box_is_refused(site, space, shared):
    done = site.cai("run", "--name", shared.box, space.path, "--", "true", check=False)
    assert len(refused(done, errors.NameTakenError)) == 2


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("words", [[], ["--editor", "zed"], ["--editor=jetbrains-gateway"]])
def test_an_editor_that_is_not_there(site, space, words):
    done = site.cai("code", space.path, *words, check=False)
    assert len(refused(done, errors.ContainAIError)) == 2


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("name", ["", "-x", "../x", "A", "a b", "a" * 64, "x\n"])
def test_a_name_that_is_none(site, space, name):
    done = site.cai("run", f"--name={name}", space.path, "--", "true", check=False)
    assert done.returncode == errors.UsageError.exit_code
    assert b"Traceback" not in done.stderr


@pytest.mark.usefixtures("unchanged")
def test_no_free_port(site, space):
    with socket.create_server(("127.0.0.1", FREE_OF_BOXES)):
        env = {"CONTAINAI_SSH_PORT_RANGE": f"{FREE_OF_BOXES}-{FREE_OF_BOXES}"}
        done = site.cai("run", space.path, "--", "true", env=env, check=False)
    refused(done, errors.PortsExhaustedError)


@pytest.mark.usefixtures("unchanged")
def test_a_port_range_that_is_none(site, space):
    env = {"CONTAINAI_SSH_PORT_RANGE": "many"}
    done = site.cai("run", space.path, "--", "true", env=env, check=False)
    refused(done, errors.UsageError)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("command", ["exec", "stop", "rm", "status", "limit", "jobs", "attach"])
def test_a_workspace_without_a_box(site, space, command):
    tail = ["--", "true"] if command == "exec" else []
    done = site.cai(command, space.path, *tail, check=False)
    assert len(refused(done, errors.BoxNotFoundError)) == 2


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "words",
    [
        ["--memory", "0.01%"],
        ["--memory", "none", "--swap", "1g"],
        ["--cpus", "99999"],
    ],
)
def test_limits_that_no_box_can_have(site, space, words):
    done = site.cai("run", *words, space.path, "--", "true", check=False)
    assert len(refused(done, errors.UsageError)) == 2


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("command", ["stop", "rm", "exec", "run", "shell", "keep", "restart"])
def test_a_name_where_a_path_belongs_is_asked_about(site, shared, command):
    tail = ["--", "true"] if command in ("exec", "run") else []
    done = site.cai(command, shared.box, *tail, cwd=site.root, check=False)
    lines = refused(done, errors.WorkspaceError)
    assert lines[1] == f"  hint: a box is called so: did you mean --name {shared.box}?"
    assert shared.inspect()["State"]["Running"]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["run", ".", "--"],
        ["exec", "."],
        ["forward", "."],
        ["forward", ".", "65536"],
        ["ports", "A b"],
    ],
)
def test_a_command_line_that_does_not_fit(site, words):
    refused(site.cai(*words, check=False), errors.UsageError)


@pytest.mark.parametrize(
    "name", ["-dash", "a b, c:d \"e\" 'f' $g `h` 100% \\i #j", "näïve 日本語 🎉", "..."]
)
def test_odd_paths_work(site, make_space, name):
    space = make_space(name)
    with open(os.path.join(space.path, "here"), "w", encoding="utf-8") as file:
        file.write("yes\n")
    assert space.run("cat", "here").stdout == b"yes\n"
    # Warm, and then after a stop.
    assert space.run("cat", "here").stdout == b"yes\n"
    site.cai("stop", space.path)
    assert site.cai("exec", space.path, "--", "cat", "here").stdout == b"yes\n"


def test_a_path_with_a_leading_dash_is_taken_after_the_options(site, make_space):
    space = make_space("-dash")
    done = site.cai("run", "./-dash", "--", "hostname", cwd=os.path.dirname(space.path))
    assert done.stdout.decode().strip() == space.box


def test_a_directory_in_the_place_of_another_is_seen(site, space):
    with open(os.path.join(space.path, "old"), "w", encoding="utf-8"):
        pass
    assert space.run("ls").stdout == b"old\n"
    moved = space.path + "-moved"
    os.rename(space.path, moved)
    os.mkdir(space.path)
    with open(os.path.join(space.path, "new"), "w", encoding="utf-8"):
        pass
    try:
        assert space.run("ls").stdout == b"new\n"
    finally:
        os.unlink(os.path.join(moved, "old"))
        os.rmdir(moved)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("box.memry = 1\n", "config.toml:1: unknown setting 'box.memry'"),
        ("box.cpus = 'x'\n", "config.toml:1 is not valid"),
        ("box = [\n", "config.toml is not valid TOML"),
        ("#" * 20_000, "it has more than 16384 bytes"),
    ],
)
def test_what_is_wrong_in_the_settings_of_a_workspace(site, make_space, text, said):
    made = make_space()
    os.mkdir(os.path.join(made.path, ".containai"))
    with open(os.path.join(made.path, ".containai/config.toml"), "w", encoding="utf-8") as file:
        file.write(text)
    for words in (("run", made.path, "--", "true"), ("trust", "--yes", made.path)):
        done = site.cai(*words, check=False)
        assert done.returncode in (1, errors.UsageError.exit_code, errors.WorkspaceError.exit_code)
        assert said in done.stderr.decode().splitlines()[0]
        assert len(done.stderr.splitlines()) == 2


@pytest.mark.usefixtures("unchanged")
def test_a_workspace_that_has_nothing_to_trust(site, space):
    refused(site.cai("trust", "--yes", space.path, check=False), errors.WorkspaceError)
    refused(site.cai("trust", "--remove", space.path, check=False), errors.ContainAIError)


MOUNTS = {
    "source that is not there": 'source = "/nowhere"\ntarget = "/data"',
    "source that is a device": 'source = "/dev/null"\ntarget = "/data"',
    "source that holds the home": 'source = "/"\ntarget = "/data"',
    "target that is the box's own": 'source = "{top}"\ntarget = "/etc"',
    "target in the workspace": 'source = "{top}"\ntarget = "/home/agent/workspace/x"',
}


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("which", MOUNTS)
def test_a_mount_that_cannot_be(site, make_space, which):
    space, path = make_space(), site.layout.config_file
    os.makedirs(os.path.dirname(path), exist_ok=True)
    before = files.read(path)
    with open(path, "w", encoding="utf-8") as file:
        entry = MOUNTS[which].replace("{top}", space.path)
        file.write(f'{before or ""}\n[[workspace."{space.path}".mount]]\n{entry}\n')
    try:
        for words in ((), ("--dry-run",)):
            done = site.cai("run", *space.force, *words, space.path, "--", "true", check=False)
            assert "config.toml" in refused(done, errors.WorkspaceError)[-1]
    finally:
        if before is None:
            os.unlink(path)
        else:
            files.write(path, before)


@pytest.mark.usefixtures("unchanged")
def test_a_box_that_is_there_does_not_become_one_that_only_reads(site, shared):
    for words in ((), ("--dry-run",)):
        argv = ("run", *shared.force, "--read-only", *words, shared.path, "--", "true")
        lines = refused(site.cai(*argv, check=False), errors.UsageError)
        assert "--fresh" in lines[-1]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("volume rm", errors.UsageError),
        ("volume rm nope --yes", errors.BoxNotFoundError),
        ("volume backup nope it.tar", errors.BoxNotFoundError),
        ("volume restore nope", errors.CopyError),
        ("volume restore /dev/null", errors.CopyError),
        ("volume restore /etc/passwd", errors.CopyError),
        ("export /nope", errors.WorkspaceError),
        ("export --name shared -o /nope/it.tar", errors.CopyError),
        ("restore /etc/passwd --name shared --yes", errors.CopyError),
        ("run --data-volume a/b", errors.UsageError),
        ("run --data-volume x", errors.UsageError),
        ("run --dry-run --reset --name shared --data-volume chosen", errors.UsageError),
    ],
)
def test_data_that_cannot_be_had(site, shared, words, error):
    given = [shared.box if word == "shared" else word for word in words.split()]
    done = site.cai(*given, check=False)
    assert done.returncode == error.exit_code, done.stderr
    assert "\n  hint: " in done.stderr.decode()
    assert not os.path.exists("it.tar")
