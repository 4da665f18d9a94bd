"""install.sh, as a new user runs it: in a home of its own, and nothing else is changed."""

import os
import signal
import subprocess

import pytest

import containai
from harness.installing import (
    SYSTEM_PATH,
    lines_of,
    piped,
    unpinned,
    wheel_of,
)
from harness.waiting import until


def test_install_again_and_uninstall(home):
    said = home.install("--yes")
    assert f"linked {home.bin}/cai" in said
    completion = f"{home.path}/.local/share/bash-completion/completions/cai"
    assert f"completion for bash: wrote {completion}" in said
    with open(completion, encoding="utf-8") as file:
        assert f"'{home.bin}/cai' __complete" in file.read()
    manual = f"{home.path}/.local/share/man/man1"
    assert "cai-run.1" in os.listdir(manual)
    # The pages of the documentation came along.
    said_to = f"{home.bin}/cai", "help", "install"
    assert subprocess.check_output(said_to, text=True).startswith("# Install")
    assert f'export PATH="{home.bin}:$PATH"' in said
    assert home.version() == {f"cai {containai.__version__}"}

    # What lies in a workspace is not imported, whatever the variables of an activated environment.
    evil = f"{home.path}/sitecustomize.py"
    with open(evil, "w", encoding="utf-8") as file:
        file.write("raise SystemExit('executed')\n")
    steering = os.environ | {"PYTHONPATH": home.path, "PYTHONHOME": home.path}
    version = [f"{home.bin}/cai", "version"]
    assert subprocess.check_output(version, cwd=home.path, env=steering).startswith(b"cai ")
    os.unlink(evil)

    # Interrupted while it is made anew, the old one works.
    again = home.start("--yes", start_new_session=True)
    until(lambda: len(os.listdir(home.target)) > 1)
    os.killpg(again.pid, signal.SIGTERM)
    again.communicate()
    assert again.returncode != 0
    assert os.listdir(home.target) == ["venv"]
    assert home.version() == {f"cai {containai.__version__}"}

    said = home.install(path=f"{home.bin}:{SYSTEM_PATH}")
    assert "PATH" not in said
    assert home.version() == {f"cai {containai.__version__}"}

    os.unlink(f"{home.bin}/containai")
    os.symlink("/bin/true", f"{home.bin}/containai")
    assert "removed" in home.install("--uninstall")
    assert not os.path.exists(completion)
    assert os.listdir(manual) == []
    assert os.listdir(home.bin) == ["containai"]
    assert not os.path.exists(home.target)


def test_a_program_of_somebody_elses_is_left_alone(home):
    os.makedirs(home.bin)
    with open(f"{home.bin}/cai", "w", encoding="utf-8") as file:
        file.write("mine")
    said = home.install("--yes", code=1)
    assert f"{home.bin}/cai is there and is not ours\n  hint: move it away" in said
    with open(f"{home.bin}/cai", encoding="utf-8") as file:
        assert file.read() == "mine"
    assert os.listdir(home.target) == []


#: A Python as Debian has it without the package python3-venv.
WITHOUT_VENV = """
for each in /usr/lib/python3.*/venv; do
    mount -t tmpfs none "$each"; echo 'raise ImportError' >"$each/__init__.py"
done
exec "$@"
"""


def test_a_package_is_installed_only_if_somebody_agrees(home):
    around = ("unshare", "--mount", "sh", "-ec", WITHOUT_VENV, "sh")
    said = home.install(code=1, around=around)
    assert "the Debian packages python3 python3-venv are needed\n  hint: run: ./inst" in said
    assert os.listdir(home.path) == []


#: A system that calls itself otherwise.
AS_MACOS = """
printf '#!/bin/sh\necho Darwin\n' >"$HOME/uname"; chmod +x "$HOME/uname"
mount --bind "$HOME/uname" "$(PATH=/usr/bin:/bin command -v uname)"
exec "$@"
"""


def test_a_system_that_is_not_linux(home):
    said = home.install(
        "--yes", code=19, around=("unshare", "--mount", "sh", "-ec", AS_MACOS, "sh")
    )
    assert "boxes need a Linux machine, and this is Darwin" in said
    assert os.listdir(home.path) == ["uname"]


def test_words_that_do_not_fit(home):
    assert "usage: " in home.install("--nonsense", code=2)
    assert os.listdir(home.path) == []


def test_a_release_without_a_clone(home, releases):
    # A workspace may look like a clone: what is piped does not look at it.
    workspace = f"{home.path}/workspace"
    os.makedirs(f"{workspace}/src/containai")
    for name in ("install.sh", "src/containai/__init__.py", "setup.py"):
        with open(f"{workspace}/{name}", "w", encoding="utf-8") as file:
            file.write("raise SystemExit('executed')\n")
    # All that is needed is in the release, and of this version.
    said = piped(home, releases, cwd=workspace, PIP_INDEX_URL="http://127.0.0.1:9/")
    assert home.version() == {f"cai {containai.__version__}"}
    assert {os.path.dirname(path) for path in releases.asked} == {
        f"/releases/download/v{containai.__version__}"
    }
    again = f"curl -fsSL {releases.address}/latest/download/install.sh | sh"
    assert f"to update: {home.bin}/cai update\n" in said
    assert f"to remove: {home.bin}/cai uninstall && {again} -s -- --uninstall\n" in said

    assert "removed" in piped(home, releases, "--uninstall")
    assert os.listdir(home.bin) == []
    assert not os.path.exists(home.target)


@pytest.mark.parametrize("words", [(), ("--version", f"v{containai.__version__}")])
def test_the_newest_or_a_named_release(home, releases, words):
    piped(home, releases, *words, text=unpinned())
    assert home.version() == {f"cai {containai.__version__}"}
    assert any("/latest/" in path for path in releases.asked) is not bool(words)


def test_a_version_that_is_not_there(home, releases):
    said = piped(home, releases, "--version", "9.9.9", code=1)
    assert "/download/v9.9.9/SHA256SUMS: HTTP Error 404" in said
    assert os.listdir(home.path) == []


def test_another_version_than_was_named(home, releases):
    old = f"/v{containai.__version__}/".encode()
    script = releases.file("install.sh").replace(
        b'/download/v{version}"', b"/download" + old[:-1] + b'"'
    )
    said = piped(home, releases, "--version", "9.9.9", text=script, code=1)
    assert "SHA256SUMS is of another version\n" in said
    assert os.listdir(home.path) == []


#: A release's own install.sh knows the sums of the sums; another believes them for their https.
FILES = [("SHA256SUMS", True)] + [
    (name, pinned) for name in ("containai-", "rich-") for pinned in (True, False)
]


@pytest.mark.parametrize("how", ["missing", "cut off", "shorter", "changed"])
@pytest.mark.parametrize(("name", "pinned"), FILES)
def test_a_file_that_is_not_the_releases(home, releases, name, how, pinned):
    name = wheel_of(releases, name)
    content = releases.file(name)
    match how:
        case "missing":
            releases.instead[name] = None
            seen = "HTTP Error 404"
        case "cut off":
            releases.broken.add(name)
            seen = f"{len(content) // 2} bytes of {len(content)} arrived"
        case "shorter":
            releases.instead[name] = content[:-1]
            seen = "its sha256 is "
        case _:
            releases.instead[name] = content[:-1] + bytes([content[-1] ^ 1])
            seen = "its sha256 is "
    text = None if pinned else unpinned()
    said = piped(home, releases, text=text, code=1)
    assert f"/{name}: " in said
    assert seen in said
    assert "hint: nothing was installed" in said
    assert os.listdir(home.path) == []


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        (lambda releases: b"", "does not list the wheels of a release"),
        (lambda releases: b"<html></html>\n", "does not list the wheels of a release"),
        (
            lambda releases: lines_of(releases, lambda line: "containai-" not in line),
            "does not list the wheels of a release",
        ),
        (
            lambda releases: releases.file("SHA256SUMS").replace(b"  rich-", b"  ../rich-"),
            "does not list the wheels of a release",
        ),
        (lambda releases: lines_of(releases, lambda line: "rich-" not in line), "rich"),
    ],
    ids=["empty", "a page", "without cai", "a path", "without what cai needs"],
)
def test_sums_that_are_none(home, releases, change, seen):
    releases.instead["SHA256SUMS"] = change(releases)
    said = piped(home, releases, text=unpinned(), code=1)
    assert seen in said
    assert not os.path.exists(f"{home.bin}/cai")
    assert not os.path.exists(home.target) or os.listdir(home.target) == []


def test_an_installation_survives_a_release_that_is_broken(home, releases):
    piped(home, releases)
    releases.broken.add(wheel_of(releases, "rich-"))
    piped(home, releases, code=1)
    assert os.listdir(home.target) == ["venv"]
    assert home.version() == {f"cai {containai.__version__}"}


def test_only_https_but_on_loopback(home, releases):
    said = piped(home, releases, code=1, CAI_RELEASES="http://containai.invalid/releases")
    assert "SHA256SUMS is not https\n" in said
    assert os.listdir(home.path) == []


def test_half_a_script_does_nothing(home, releases):
    script = releases.file("install.sh")
    # Where a line ends it could be read as a whole script, but for the last line.
    ends = [at for at, byte in enumerate(script) if byte == ord("\n")]
    for end in (ends[0], ends[len(ends) // 2], ends[-4], ends[-3], ends[-2], len(script) - 2):
        subprocess.run(
            ["/bin/sh"],
            input=script[:end],
            env=home.environment(),
            capture_output=True,
            check=False,
        )
    assert os.listdir(home.path) == []
    assert releases.asked == []
