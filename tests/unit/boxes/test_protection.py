"""What of a workspace is held as it is."""

import contextlib
import os

from containai.boxes import protection
from containai.boxes.protection import Held, held


def test_what_is_there(tmp_path):
    (tmp_path / ".git/hooks").mkdir(parents=True)
    (tmp_path / ".git/config").touch()
    (tmp_path / ".envrc").touch()
    wanted = (".git/hooks", ".git/config", ".envrc", ".vscode", "a/b/c")
    seen = held(str(tmp_path), wanted)
    assert seen == Held((".git",), (".envrc", ".git/hooks", ".git/config"))
    assert seen.parts() == [
        (".envrc", False),
        (".git", True),
        (".git/config", False),
        (".git/hooks", False),
    ]


def test_what_lies_in_something_held_is_so_too(tmp_path):
    (tmp_path / ".vscode").mkdir()
    (tmp_path / ".vscode/tasks.json").touch()
    assert held(str(tmp_path), (".vscode/tasks.json", ".vscode")) == Held((), (".vscode",))


def test_hooks_are_made_where_git_is_and_has_none(tmp_path):
    assert held(str(tmp_path), (".git/hooks",)) == Held()
    (tmp_path / ".git").mkdir()
    seen = held(str(tmp_path), (".git/hooks", ".git/config"))
    assert seen == Held((".git",), (".git/hooks",), (".git/hooks",))
    protection.make(str(tmp_path), ".git/hooks")
    protection.make(str(tmp_path), ".git/hooks")
    assert held(str(tmp_path), (".git/hooks",)) == Held((".git",), (".git/hooks",))


def test_the_file_that_leads_git_elsewhere(tmp_path):
    (tmp_path / ".git").touch()
    assert held(str(tmp_path), (".git/hooks", ".git/config")) == Held((), (".git",))


def test_links_are_not_followed(tmp_path):
    (tmp_path / ".git").symlink_to("/etc")
    (tmp_path / ".envrc").symlink_to("/etc/passwd")
    wanted = (".git/hooks", ".envrc")
    assert held(str(tmp_path), wanted) == Held(links=(".envrc", ".git/hooks"))
    (tmp_path / "other").mkdir()
    os.unlink(tmp_path / ".git")
    (tmp_path / ".git").symlink_to(tmp_path / "other")
    with contextlib.suppress(OSError):
        protection.make(str(tmp_path), ".git/hooks")
    assert os.listdir(tmp_path / "other") == []
