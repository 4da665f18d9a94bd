"""The program in a box that has everything know its user's variables, tried outside of one."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

LIBRARY = Path(__file__).parents[3] / "src/containai/images/base/rootfs/usr/local/lib/containai"
PROGRAM = LIBRARY / "variables"
ODD = 'it\'s "$HOME" `id` \\ 100% $(id)\n\ttwo ü'


def loaded(**constants: str) -> dict[str, Any]:
    """Return what the program defines, with other paths."""
    names: dict[str, Any] = {"__name__": "variables"}
    exec(compile(PROGRAM.read_text(encoding="utf-8"), str(PROGRAM), "exec"), names)
    names.update(constants)
    return names


@given(st.dictionaries(st.sampled_from(["A", "B_1"]), st.text(st.characters(codec="utf-8"))))
def test_what_is_placed_is_what_was_sent(values: dict[str, str]) -> None:
    values = {name: value.replace("\0", "") for name, value in values.items()}
    text = "".join(f"{name}={value}\0" for name, value in values.items())
    assert loaded()["parsed"](text) == values


@pytest.mark.parametrize("shell", ["sh", "bash", "zsh"])
def test_a_shell_knows_them_to_the_letter_and_what_a_session_brings_counts_more(
    tmp_path: Path, shell: str
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    path = tmp_path / "variables.sh"
    path.write_text(loaded()["for_shells"]({"A": ODD, "B": "", "C": "x"}), encoding="utf-8")
    show = f'. {path}; printf "%s|" "$A" "${{B-none}}"; exec env'
    done = subprocess.run(
        [shell, "-c", show], capture_output=True, text=True, check=True, env={"C": "own"}
    )
    assert done.stdout.startswith(f"{ODD}||")
    assert "C=own\n" in done.stdout


def test_services_are_told_what_has_one_line_and_what_is_gone(tmp_path: Path) -> None:
    names = loaded()
    text = names["for_services"]({"A": 'x"$y`\\', "B": "two\nlines", "D": ""}, ["C"])
    assert text == 'A="x\\"$$y\\`\\\\"\nD=${CONTAINAI_GONE}\nC=${CONTAINAI_GONE}\n'
    assert names["emptied"](text) == ["D", "C"]


def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, str], **words: Any):
    """Have it tell some; return what it ran, with the variables that this had."""
    ran: list[tuple[tuple[str, ...], dict[str, str]]] = []
    names = loaded(SHELLS=str(tmp_path / "a.sh"), SERVICES=str(tmp_path / "b.conf"))

    def start(*argv: str, environ: dict[str, str] | None = None) -> None:
        ran.append((argv, environ or {}))

    monkeypatch.setitem(names, "start", start)
    names["tell"](values, words.get("before"))
    return ran


def test_no_command_line_has_a_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = told(tmp_path, monkeypatch, {"A": "secret"}, before={"A": "before", "OLD": "secret"})
    assert [argv for argv, _ in ran] == [
        ("systemctl", "unset-environment", "OLD"),
        ("systemctl", "import-environment", "A"),
    ]
    assert ran[1][1]["A"] == "secret"
    gone = loaded()["EMPTY"]
    assert (tmp_path / "b.conf").read_text(encoding="ascii") == f'A="secret"\nOLD={gone}\n'
    # It stays so until the box starts again.
    told(tmp_path, monkeypatch, {}, before={"A": "secret"})
    assert (tmp_path / "b.conf").read_text(encoding="ascii") == f"A={gone}\nOLD={gone}\n"
    assert told(tmp_path, monkeypatch, {"B": "1"})[0][0] == ("systemctl", "import-environment", "B")
    assert (tmp_path / "b.conf").read_text(encoding="ascii") == 'B="1"\n'


def test_only_root_reads_what_is_placed(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        loaded()["put"](str(tmp_path / "given"), "A=secret\0", 0o600)
    finally:
        os.umask(before)
    assert (tmp_path / "given").stat().st_mode & 0o777 == 0o600
