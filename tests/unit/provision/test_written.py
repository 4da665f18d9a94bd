import os

import pytest

from containai.provision import versions, written
from containai.provision.steps.runtime import Runtime
from containai.work.actions import WriteFile


@pytest.fixture
def there(tmp_path):
    """A program that is as it has to be."""
    path = tmp_path / "program"
    path.write_text("text\n")
    path.chmod(0o755)
    return WriteFile(str(path), "text\n", 0o755)


def test_text_mode_and_owner(host, there, monkeypatch):
    assert not written.wrong(host, [there])
    assert not written.odd(host, [there])
    os.chmod(there.path, 0o644)
    assert written.wrong(host, [there]) == [there]
    assert written.odd(host, [there]) == [f"{there.path} has mode 644, not 755"]
    os.chmod(there.path, 0o755)
    assert written.wrong(host, [there._replace(text="other\n")]) != []
    monkeypatch.setattr(host, "is_roots", lambda uid: False)
    assert written.wrong(host, [there]) == [there]
    assert "not root's" in written.odd(host, [there])[0]
    os.unlink(there.path)
    assert written.missing([there]) == [there.path]
    assert written.odd(host, [there]) == []


def test_the_runtime_says_which_of_its_files(host):
    step = Runtime()
    for file in step.check(host).data.files:
        os.makedirs(os.path.dirname(file.path), exist_ok=True)
        with open(file.path, "w", encoding="utf-8") as out:
            out.write(file.text)
        os.chmod(file.path, file.mode)
    assert step.check(host).ok
    assert versions.is_own(host.layout)
    launcher = host.layout.runtime_program
    os.chmod(launcher, 0o644)
    assert step.check(host).seen == f"{launcher} has mode 644, not 755"
    os.unlink(launcher)
    assert step.check(host).seen == f"{launcher} is missing"
    with open(host.layout.version_file, "w", encoding="utf-8") as out:
        out.write("0.0.1\n")
    assert "of cai 0.0.1" in step.check(host).seen
