"""What a shell's start-up files export holds for commands, and nothing in them is in the way."""

import subprocess

import pytest

from containai.ssh import session

TOOL = r"""
mkdir -p ~/opt/bin
printf '#!/bin/sh\necho tool "$*"\n' >~/opt/bin/tool && chmod +x ~/opt/bin/tool
"""
#: Where installers write what adds a directory to PATH, and how.
INSTALLERS = {
    "bashrc": r"""echo 'export PATH="$HOME/opt/bin:$PATH"' >>~/.bashrc""",
    "profile": r"""echo 'PATH=$PATH:~/opt/bin' >>~/.profile""",
    "cargo": r"""
mkdir -p ~/.cargo
printf 'case ":$PATH:" in *opt*) ;; *) export PATH="$HOME/opt/bin:$PATH" ;; esac\n' >~/.cargo/env
echo '. "$HOME/.cargo/env"' | tee -a ~/.bashrc >>~/.profile
""",
    "bash_profile": r"""
echo 'export PATH="$HOME/opt/bin:$PATH"' >>~/.bashrc; echo 'export X=1' >~/.bash_profile
""",
    "another file in its place": r"""
cp ~/.bashrc ~/new; echo 'PATH=~/opt/bin:$PATH' >>~/new; touch -r /etc/passwd ~/new
mv ~/new ~/.bashrc
""",
    "profile.d": r"""echo 'PATH=~/opt/bin:$PATH' | sudo tee /etc/profile.d/tool.sh""",
}
RESTORE = r"""
cp /etc/skel/.bashrc /etc/skel/.profile ~/
rm -rf ~/.cargo ~/.bash_profile ~/opt; sudo rm -f /etc/profile.d/tool.sh
"""


@pytest.fixture(scope="module")
def lasting(make_lasting):
    space = make_lasting("startup")
    space.run("true")
    return space


@pytest.fixture
def box(lasting):
    """A box with start-up files as in the image."""
    yield lasting
    lasting.run("sh", "-c", RESTORE)


def ssh(box, command):
    """Run a command with plain ssh."""
    argv = ["ssh", "-F", box.site.layout.ssh_block(box.box), box.box]
    return subprocess.run([*argv, command], capture_output=True, check=False, input=b"")


@pytest.mark.parametrize("installer", INSTALLERS)
def test_a_tool_of_an_installer_is_found(box, installer):
    assert box.run("tool", check=False).returncode == 127
    box.run("sh", "-c", TOOL + INSTALLERS[installer])
    assert box.run("tool", "a  b").stdout == b"tool a  b\n"
    assert box.site.cai("exec", box.path, "--", "tool").stdout == b"tool \n"
    assert ssh(box, "tool").stdout == b"tool \n"


def test_what_is_taken_out_is_gone(box):
    box.run("sh", "-c", "echo 'export OWN=\"a  b\" LATER=c' >>~/.bashrc")
    assert box.sh('echo "$OWN$LATER"') == "a  bc"
    box.run("sed", "-i", "s/ LATER=c//", "/home/agent/.bashrc")
    assert box.sh('echo "$OWN$LATER"') == "a  b"


def test_a_session_has_what_is_its_own(box):
    lines = "export COLORTERM=never SSH_AUTH_SOCK=/nowhere TERM=dumb; PATH=/opt:$PATH"
    box.run("sh", "-c", f"echo '{lines}' >>~/.bashrc")
    seen = box.run("sh", "-c", 'echo "$COLORTERM,$SSH_AUTH_SOCK,$SHLVL,${BASH_ENV-no}"').stdout
    assert seen == b",,0,no\n"
    path = box.sh("echo $PATH")
    assert path == box.sh("bash -lic 'echo $PATH' 2>/dev/null")
    assert ":/opt:" in path
    assert box.sh("bash -c 'echo $SHLVL'") == "1"


NOISE = "echo noise; echo noise >&2; read -r line; cat; sleep 1000 & printf '\\e]0;x\\a'"


def test_streams_stay_clean(box):
    box.run("sh", "-c", f"echo \"{NOISE}\" >>~/.bashrc; echo 'export OWN=1' >>~/.bashrc")
    data = bytes(range(256)) * 1000
    done = box.run("sh", "-c", 'cat; exec echo "$OWN"', input=data)
    assert done.stdout == data + b"1\n"
    assert done.stderr == b""
    # Not in every session: only where something changed.
    assert box.sh("pgrep -fc '^sleep 1000$'") == "1"
    box.run("pkill", "-f", "^sleep 1000$")


BROKEN = {
    "exit": "exit 3",
    "exit of a shell at a terminal": "case $- in *i*) exit 3; esac",
    "syntax": "if then (",
    "another shell": "exec sh",
    "set -e": "set -eu; false; $NONE",
    "never ends": "while :; do :; done",
}


#: Those after which a shell has its files.
HARMLESS = {"syntax", "another shell"}


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_files_lock_nobody_out(box, broken):
    line = session.quoted(BROKEN[broken].encode()).decode()
    box.run("sh", "-c", f"echo {line} | cat - /etc/skel/.bashrc >~/new; mv ~/new ~/.bashrc")
    assert box.run("echo", "in").stdout == b"in\n"
    done = box.site.cai("shell", box.path, input=b"echo in; exit 5\n", check=False)
    assert (done.stdout, done.returncode) == (b"in\n", 5)
    assert (b"bash -l" in done.stderr) == (broken not in HARMLESS)


def test_a_link_a_pipe_and_a_directory_are_no_file(box):
    for make in ("ln -s /dev/zero", "mkfifo", "mkdir", "ln -s nowhere"):
        box.run("sh", "-c", f"rm -rf ~/.bash_aliases; {make} ~/.bash_aliases")
        assert box.run("echo", "in").stdout == b"in\n"
    box.run("sh", "-c", "rm -r ~/.bash_aliases")
