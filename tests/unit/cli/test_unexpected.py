from containai.cli import main as cli
from containai.errors import UnexpectedError
from containai.host import files


def test_what_nobody_foresaw_is_a_line_a_file_and_a_code(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    state = tmp_path / ".local/state/containai"
    state.mkdir(parents=True)

    def fails(words, output):
        raise KeyError("fixed-cidr")

    monkeypatch.setattr(cli, "_done", fails)
    assert cli.main(["ls"]) == UnexpectedError.exit_code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[0] == "cai: a mistake in cai itself: KeyError: 'fixed-cidr'"
    note = state / "traceback.txt"
    assert f"its traceback is in {note}" in err
    assert "Traceback" not in err
    assert "in fails" in note.read_text(encoding="utf-8")
    assert note.stat().st_mode & 0o077 == 0


def test_without_a_directory_of_ours_the_traceback_is_in_a_file_all_the_same(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(files, "TEMPORARY", str(tmp_path))
    monkeypatch.setattr(cli, "_done", lambda words, output: [][0])
    assert cli.main(["ls"]) == UnexpectedError.exit_code
    (note,) = tmp_path.glob("cai-traceback-*")
    assert str(note) in capsys.readouterr().err
