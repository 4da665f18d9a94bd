import os

import pytest

from containai.cli.commands import completion
from containai.errors import ContainAIError, UsageError


def has(app, *shells):
    for shell in shells:
        app.machine.have(shell)


def run(app, shell=None, *, install=False, remove=False):
    return completion.run(app, shell=shell, install=install, remove=remove)


@pytest.mark.parametrize("shell", completion.PLACES)
def test_script(app, shell):
    report = run(app, shell)
    assert report.value == {"shell": shell, "script": report.views[0]}
    assert "@CAI@" not in report.views[0]


def test_words_that_do_not_fit(app):
    with pytest.raises(UsageError):
        run(app)
    with pytest.raises(UsageError):
        run(app, install=True, remove=True)


def test_the_program_is_named_by_its_whole_path(app, tmp_path, monkeypatch):
    program = tmp_path / "it's \\ mine" / "cai"
    program.parent.mkdir()
    program.write_text("")
    program.chmod(0o755)
    monkeypatch.setattr("sys.argv", [str(program)])
    assert f"{tmp_path}/it'\\''s \\ mine/cai' __complete" in completion.script("bash")
    assert f"{tmp_path}/it\\'s \\\\ mine/cai' __complete" in completion.script("fish")


def test_installed_again_and_removed(app, monkeypatch):
    monkeypatch.setattr(app.machine, "which", lambda shell, root=False: shell != "fish" or None)
    below = f"{app.layout.home}/.local/share"
    for _ in range(2):
        report = run(app, install=True)
        assert [row["shell"] for row in report.value] == ["bash", "zsh"]
        assert f"fpath+=({below}/zsh/site-functions)" in report.notes[0].text
    with open(f"{below}/bash-completion/completions/cai", encoding="utf-8") as file:
        assert file.read() == completion.script("bash")
    run(app, "fish", install=True)
    assert os.path.exists(f"{below}/fish/vendor_completions.d/cai.fish")
    assert [row["shell"] for row in run(app, remove=True).value] == ["bash", "zsh", "fish"]
    assert run(app, remove=True).value == []


def test_installed_below_the_users_own_directory_of_data(app, tmp_path):
    app.environ = {"XDG_DATA_HOME": str(tmp_path / "data")}
    assert run(app, "bash", install=True).value[0]["file"].startswith(f"{tmp_path}/data/bash-")


def test_what_somebody_else_wrote_stays(app):
    where = f"{app.layout.home}/.local/share/fish/vendor_completions.d/cai.fish"
    os.makedirs(os.path.dirname(where))
    with open(where, "w", encoding="utf-8") as file:
        file.write("mine")
    with pytest.raises(ContainAIError, match="is not cai's"):
        run(app, "fish", install=True)
    assert run(app, remove=True).value == []
    with open(where, encoding="utf-8") as file:
        assert file.read() == "mine"
