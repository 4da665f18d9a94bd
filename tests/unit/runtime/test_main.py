import json

import pytest

from containai.runtime import cgroup
from containai.runtime import main as runtime
from containai.runtime.config import Config
from containai.runtime.main import Call, parse

TASK = "/run/containerd/io.containerd.runtime.v2.task/moby/c0ffee"
GLOBAL = [
    "--root", "/var/run/docker/runtime-runc/moby",
    "--log", f"{TASK}/log.json",
    "--log-format", "json",
]  # fmt: skip
GLOBALS = {
    "--root": "/var/run/docker/runtime-runc/moby",
    "--log": f"{TASK}/log.json",
    "--log-format": "json",
}


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        (
            ["create", "--bundle", TASK, "--pid-file", f"{TASK}/init.pid", "c0ffee"],
            ("create", {"--bundle": TASK, "--pid-file": f"{TASK}/init.pid"}, ("c0ffee",)),
        ),
        (
            ["create", f"--bundle={TASK}", "--no-pivot", "--console-socket", "/s", "c0ffee"],
            (
                "create",
                {"--bundle": TASK, "--no-pivot": "", "--console-socket": "/s"},
                ("c0ffee",),
            ),
        ),
        (
            ["exec", "--process", "/tmp/p", "--detach", "--pid-file", f"{TASK}/x.pid", "c0ffee"],
            (
                "exec",
                {"--process": "/tmp/p", "--detach": "", "--pid-file": f"{TASK}/x.pid"},
                ("c0ffee",),
            ),
        ),
        (
            ["exec", "-t", "-u", "0:0", "c0ffee", "ls", "-l", "--bundle", "x"],
            ("exec", {"-t": "", "-u": "0:0"}, ("c0ffee", "ls", "-l", "--bundle", "x")),
        ),
        (["delete", "--force", "c0ffee"], ("delete", {"--force": ""}, ("c0ffee",))),
        (["kill", "--all", "c0ffee", "9"], ("kill", {"--all": ""}, ("c0ffee", "9"))),
        (["ranges", "--json"], ("ranges", {"--json": ""}, ())),
        (["create"], ("create", {}, ())),
    ],
)
def test_parse(rest, expected):
    assert parse([*GLOBAL, *rest]) == Call(GLOBALS, *expected)


def test_parse_flags_before_the_command():
    call = parse(["--debug", "--systemd-cgroup", "--log=/l", "create", "-b", "/b", "id"])
    assert call.globals == {"--debug": "", "--systemd-cgroup": "", "--log": "/l"}
    assert (call.command, call.options, call.words) == ("create", {"-b": "/b"}, ("id",))


@pytest.mark.parametrize("words", [[], ["--version"], ["--log"]])
def test_parse_without_a_command(words):
    assert parse(words).command == ""


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Return an installed runtime's directory."""
    monkeypatch.chdir(tmp_path)  # create goes into its bundle
    config = {
        "runc": "/bin/false",
        "state": str(tmp_path / "state"),
        "id_base": 0x70000000,
        "id_count": 1 << 18,
        "id_stored": 0x7FF80000,
        "given": "/none",
        "engine_data": "/data",
    }
    (tmp_path / "runtime.json").write_text(json.dumps(config), encoding="utf-8")
    return str(tmp_path)


def test_error_goes_to_the_log_as_json(tmp_path, library, capsys):
    log = tmp_path / "log.json"
    log.write_text('{"level":"info"}\n', encoding="utf-8")
    words = ["--log", str(log), "--log-format", "json", "create", "--bundle", "/no\nwhere", "a"]
    assert runtime.main(words, library) == 1
    first, second = map(json.loads, log.read_text(encoding="utf-8").splitlines())
    assert first == {"level": "info"}
    assert second["level"] == "error"
    assert second["msg"].startswith("cai-runc: create: ")
    assert "/no\\nwhere" in second["msg"]
    assert second["time"].endswith("Z")
    assert capsys.readouterr().err == second["msg"] + "\n"


def test_error_goes_to_the_log_as_text(tmp_path, library):
    log = tmp_path / "log"
    assert runtime.main(["--log", str(log), "create", "-b", "/nowhere", "a"], library) == 1
    assert ' level=error msg="cai-runc: create: ' in log.read_text(encoding="utf-8")


def test_not_installed(tmp_path, capsys):
    assert runtime.main(["create", "a"], str(tmp_path)) == 1
    assert "runtime.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    "container", ["", "a/b", "../x", ".", "..", "/", "a" * 300, "a\n", "a b", "é"]
)
def test_odd_container_ids_are_refused(tmp_path, library, capsys, container):
    (tmp_path / "config.json").write_text('{"root": {"path": "rootfs"}}', encoding="utf-8")
    words = ["create", "--bundle", str(tmp_path), *([container] if container else [])]
    assert runtime.main(words, library) == 1
    assert "is no container id" in capsys.readouterr().err
    assert not (tmp_path / "state").exists()


def test_a_bundle_that_is_gone_is_said_to_be(tmp_path, library, capsys, monkeypatch):
    gone = tmp_path / "bundle"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert runtime.main(["create", "a"], library) == 1
    assert capsys.readouterr().err == "cai-runc: create: its bundle is gone\n"


@pytest.mark.parametrize("text", ["[]", "{", "3"])
def test_damaged_bundle_is_refused(tmp_path, library, capsys, text):
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    assert runtime.main(["create", "--bundle", str(tmp_path), "a"], library) == 1
    assert "cai-runc: create: " in capsys.readouterr().err


def test_delete_removes_the_cgroups_that_are_left(tmp_path, library, monkeypatch):
    config = Config.read(str(tmp_path))
    config.ranges.allocate("a", str(tmp_path), "docker/a")
    removed = []
    monkeypatch.setattr(cgroup, "remove", removed.append)
    for container in ("a", "b"):
        assert runtime.main(["delete", "--force", container], library) == 0
    assert removed == ["docker/a"]


def test_ranges(tmp_path, library, capsys):
    config = Config.read(str(tmp_path))
    config.ranges.allocate("a", str(tmp_path), "")
    base = config.ranges.get("a").base
    assert runtime.main(["ranges", "--json"], library) == 0
    assert json.loads(capsys.readouterr().out)[0]["base"] == base
    assert runtime.main(["ranges"], library) == 0
    assert capsys.readouterr().out == f"{base}-{base + 262143}  a\n"
    assert runtime.main(["ranges", "--prune"], library) == 0
    assert capsys.readouterr().out == ""
