"""What the engine hands over: read and written by descriptor; refused where it could be twofold."""

import json
import os

import pytest

from containai.runtime import become, bundle, main
from containai.runtime.errors import RuntimeRefusal


@pytest.fixture
def directory(tmp_path, monkeypatch):
    made = tmp_path / "bundle"
    made.mkdir()
    (made / "config.json").write_text('{"root": {"path": "rootfs"}, "x": 1}', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return made


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "config.json: Expecting value"),
        (b"[]", "config.json: expected an object"),
        (b'{"a": NaN}', "config.json: NaN is not JSON"),
        (b'{"a": [-Infinity]}', "config.json: -Infinity is not JSON"),
        (b'{"a": {"b": 1, "c": 2, "b": 3}}', "the name 'b' stands twice"),
        (b'{"a": "\xff"}', "config.json: not UTF-8 at byte 7"),
        (b"\xff\xfe{\x00}\x00", "config.json: not UTF-8 at byte 0"),
        (b'{"a":' * 200_000, "config.json: nested too deeply"),
        (b"[" * 200_000, "config.json: nested too deeply"),
        (b'{"a": 1} {', "config.json: Extra data"),
        (b'{"a": "\n"}', "config.json: Invalid control character"),
        (b'{"a": ' + b"9" * 5000 + b"}", "config.json: Exceeds the limit"),
    ],
)
def test_what_is_not_one_object_for_every_reader_is_refused(directory, raw, said):
    (directory / "config.json").write_bytes(raw)
    with pytest.raises(RuntimeRefusal) as refused:
        bundle.read(str(directory / "config.json"))
    assert said in str(refused.value)


def test_a_file_without_end_is_refused(directory):
    with open(directory / "config.json", "wb") as file:
        file.truncate(bundle.LIMIT + 1)
    with pytest.raises(RuntimeRefusal, match="more than 16 MiB"):
        bundle.read(str(directory / "config.json"))


def test_a_number_that_json_cannot_say_is_not_written(directory):
    bundle.enter(str(directory))
    value = bundle.parse(b'{"a": 1e999}', "config.json")
    with pytest.raises(RuntimeRefusal, match="number is too large"):
        bundle.store("config.json", value)
    assert bundle.read("config.json")["x"] == 1
    assert os.listdir() == ["config.json"]


@pytest.mark.parametrize("kind", ["link", "fifo", "directory"])
def test_config_that_is_no_file_is_refused(directory, tmp_path, kind):
    (directory / "config.json").rename(tmp_path / "elsewhere.json")
    match kind:
        case "link":
            (directory / "config.json").symlink_to(tmp_path / "elsewhere.json")
        case "fifo":
            os.mkfifo(directory / "config.json", 0o600)
        case "directory":
            (directory / "config.json").mkdir()
    with pytest.raises((RuntimeRefusal, OSError)):
        bundle.read(str(directory / "config.json"))


def test_a_link_in_the_bundles_place_is_refused(directory, tmp_path):
    (tmp_path / "link").symlink_to(directory)
    with pytest.raises(OSError, match="directory"):
        bundle.enter(str(tmp_path / "link"))


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
@pytest.mark.parametrize("what", ["bundle", "bundle/config.json"])
@pytest.mark.parametrize(("owner", "mode"), [(1000, 0o700), (0, 0o770), (0, 0o702)])
def test_what_others_can_change_is_refused(directory, tmp_path, what, owner, mode):
    os.chown(tmp_path / what, owner, owner)
    os.chmod(tmp_path / what, mode)
    with pytest.raises(RuntimeRefusal, match="others than root could change it"):
        bundle.read(os.path.join(bundle.enter(str(directory)), "config.json"))


def test_a_bundle_swapped_after_it_was_entered_is_not_touched(directory, tmp_path):
    bundle.enter(str(directory))
    directory.rename(tmp_path / "moved")
    directory.mkdir()
    (directory / "config.json").write_text('{"evil": 1}', encoding="utf-8")
    given = bundle.load()
    assert given["x"] == 1
    bundle.store("config.json", given | {"x": 2})
    assert json.loads((tmp_path / "moved" / "config.json").read_text(encoding="utf-8"))["x"] == 2
    assert (directory / "config.json").read_text(encoding="utf-8") == '{"evil": 1}'


def test_a_second_attempt_starts_from_what_the_engine_wrote(directory):
    bundle.enter(str(directory))
    given = bundle.load()
    bundle.store(bundle.ORIGINAL, given)
    bundle.store(bundle.NAME, {"linux": {"uidMappings": [{"hostID": 7}]}})
    assert bundle.load() == given
    # The engine wrote anew: what is left of an earlier attempt does not count.
    bundle.store(bundle.NAME, {"root": {"path": "rootfs"}, "x": 7})
    assert bundle.load()["x"] == 7


def test_runc_gets_no_bundle_and_the_callers_paths():
    words = ["--root", "r", "--debug", "--log=/l", "create", "--bundle", "b", "--no-pivot"]
    call = main.parse([*words, "--pid-file", "p", "--console-socket", "s", "id"])
    assert main._without_bundle(call, "/here") == [
        *("--root=/here/r", "--debug", "--log=/l"),
        *("create", "--no-pivot", "--pid-file=/here/p", "--console-socket=s", "id"),
    ]


def test_descriptors_are_kept_from_runc():
    pairs = [os.pipe() for _ in range(4)]
    kept = [fd for pair in pairs for fd in pair]
    try:
        for fd in kept:
            os.set_inheritable(fd, True)
        middle = sorted(kept)[3]
        become.close_on_exec(middle - 2)
        assert [os.get_inheritable(fd) for fd in kept] == [fd <= middle for fd in kept]
        assert os.get_inheritable(2)
    finally:
        for fd in kept:
            os.close(fd)
