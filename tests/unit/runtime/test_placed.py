import json
import os
import stat

import pytest

from containai.runtime import placed
from containai.runtime.errors import RuntimeRefusal


def test_files_and_their_directories(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "a").write_text("old and longer", encoding="utf-8")
    given = {"etc/a": ["new\n", 0o600], "etc/deep/er/b": ["ä", 0o644]}
    old = os.umask(0o077)
    try:
        placed.write(str(tmp_path), placed.parse(json.dumps(given).encode(), "x"))
    finally:
        os.umask(old)
    for path, (text, mode) in given.items():
        assert (tmp_path / path).read_text(encoding="utf-8") == text
        assert stat.S_IMODE(os.stat(tmp_path / path).st_mode) == mode


@pytest.mark.parametrize("link", ["etc", "etc/ssh", "etc/ssh/key"])
def test_no_link_of_the_image_is_followed(tmp_path, link):
    root, outside = tmp_path / "root", tmp_path / "outside"
    outside.mkdir()
    (outside / "ssh").mkdir()
    (root / link).parent.mkdir(parents=True)
    (root / link).symlink_to(outside / "key" if link.endswith("key") else outside)
    try:
        placed.write(str(root), {"etc/ssh/key": ("secret", 0o600)})
    except NotADirectoryError:
        assert not link.endswith("key")
    else:
        assert (root / link).read_text(encoding="utf-8") == "secret"
        assert not (root / link).is_symlink()
    assert [each.name for each in outside.iterdir()] == ["ssh"]
    assert list((outside / "ssh").iterdir()) == []


@pytest.mark.parametrize(
    "said",
    [
        "",
        "[]",
        '{"a": "text"}',
        '{"a": ["text"]}',
        '{"a": ["text", "0600"]}',
        '{"a": ["text", 420, 1]}',
        '{"a": ["text", 2048]}',
        '{"a": ["text", -1]}',
        '{"a": ["", 0], "a": ["x", 0]}',
        '{"": ["text", 420]}',
        '{"/a": ["text", 420]}',
        '{"a/": ["text", 420]}',
        '{"a/../../b": ["text", 420]}',
        '{"./a": ["text", 420]}',
        '{"a\\u0000": ["text", 420]}',
        json.dumps({"a": ["x" * placed.LIMIT, 420]}),
    ],
)
def test_anything_else_is_refused(said):
    with pytest.raises(RuntimeRefusal):
        placed.parse(said.encode(), "x")


def test_what_is_for_another_container_stays(tmp_path):
    (tmp_path / "c0ffee").write_text("{}", encoding="utf-8")
    placed.apply(str(tmp_path), "decaf", "/none", 1)
    assert os.listdir(tmp_path) == ["c0ffee"]


def test_only_a_regular_file_is_taken(tmp_path):
    os.mkfifo(tmp_path / "c0ffee")
    with pytest.raises(RuntimeRefusal, match="not a regular file"):
        placed.apply(str(tmp_path), "c0ffee", "/none", 1)
    (tmp_path / "c0ffee").unlink()
    (tmp_path / "c0ffee").symlink_to("/etc/shadow")
    with pytest.raises(OSError, match="symbolic"):
        placed.apply(str(tmp_path), "c0ffee", "/none", 1)
