"""A unit says to systemd what the value says: asked of systemd itself, where it is installed."""

import os
import re
import subprocess
import tempfile

import pytest

from containai.host import service
from containai.host.service import MAIN_PID, Kind, Service

NOBODY = 65534
SYSTEMD = "/lib/systemd/systemd"
WORDS = (
    "plain/--word=1,2",
    "two  words",
    "",
    "\"double\" and 'single'",
    "100% %n %%",
    "$HOME ${HOME} $$",
    "\\ back\\slash\\n \\x41",
    ";",
    "a;b",
    "#no comment",
    "-",
    "tab\tand\nline\x01",
    "é 漢",
    "\udcff is no UTF-8",
    "end\\",
)


def made(**fields):
    return Service("it", "it.service", "/log", 1.0, 1.0, **fields)


def lines(text, key):
    return [line.partition("=")[2] for line in text.splitlines() if line.startswith(f"{key}=")]


def test_words():
    assert service.command(("/bin/a", "b c", 'd"', "100%", "$x", "e\\")) == (
        r'/bin/a "b c" "d\"" "100%%" "$$x" "e\\"'
    )
    # systemd looks for no variables in the path of a program.
    assert service.command(("/opt/$a b/c", MAIN_PID, "$MAINPID")) == (
        '"/opt/$a b/c" $MAINPID "$$MAINPID"'
    )


def test_no_word_can_end_a_line():
    for character in map(chr, (*range(1, 256), 0x2028, 0x2029)):
        text = service.unit(made(argv=("/bin/a", f"a{character}b")))
        assert len(lines(text, "ExecStart")) == 1
        assert (
            text
            == service.unit(made(argv=("/bin/a", "")))[: -len('""\n')]
            + text[text.index("/bin/a ") + len("/bin/a ") :]
        )


def test_sections():
    other = made()._replace(unit="other.service")
    text = service.unit(
        made(
            argv=("/bin/a",),
            kind=Kind.ONESHOT,
            stop=("/bin/undo",),
            description="50% of it",
            conditions=("/a b%",),
            wants=(other,),
            wanted_units=("theirs.target",),
            after=("theirs.target",),
            environment=(("A", "b c$d"),),
            limits=(("nofile", "infinity"),),
            at_boot=True,
        )
    )
    assert text == (
        "[Unit]\nDescription=50%% of it\nWants=theirs.target other.service\n"
        "After=theirs.target\nAfter=other.service\nConditionPathExists=/a b%%\n\n"
        '[Service]\nType=oneshot\nRemainAfterExit=yes\nEnvironment="A=b c$d"\n'
        "ExecStart=/bin/a\nLimitNOFILE=infinity\n\n[Install]\nWantedBy=multi-user.target\n"
    )


def unquoted(text):
    """Return the words of a line that systemd prints of a command it has read."""
    plain = {"t": "\t", "n": "\n"}
    found = []
    for quoted, bare in re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', text):
        octal = re.sub(r"\\([0-7]{3})", lambda m: os.fsdecode(bytes([int(m[1], 8)])), quoted)
        found.append(bare or re.sub(r"\\(.)", lambda m: plain.get(m[1], m[1]), octal))
    return found


@pytest.mark.skipif(not os.path.exists(SYSTEMD), reason="./test.sh installs it")
def test_systemd_reads_the_words_as_they_are():
    """It refuses to be tested as root, and nobody else gets at the tests' own directory."""
    with tempfile.TemporaryDirectory() as directory:
        if os.geteuid() == 0:
            os.chown(directory, NOBODY, NOBODY)
        check_words(directory)


def check_words(directory):
    program = os.path.join(directory, "a $b 100% c")
    text = service.unit(
        made(
            argv=(program, *WORDS),
            prepare=((program, MAIN_PID),),
            environment=(("A", "b c$d%\\"), ("B", "é\"'")),
            unit_lines=("DefaultDependencies=no",),
        )
    )
    texts = {"it.service": text}
    for name in ("basic", "shutdown", "sysinit"):
        texts[f"{name}.target"] = "[Unit]\nDefaultDependencies=no\n"
    for name, content in texts.items():
        with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
            file.write(content)
    done = subprocess.run(
        [SYSTEMD, "--test", "--user", "--unit=it.service"],
        env={"SYSTEMD_UNIT_PATH": directory, "XDG_RUNTIME_DIR": directory, "HOME": "/"},
        user=NOBODY if os.geteuid() == 0 else None,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    own = done.stdout.partition("-> Unit it.service:")[2].partition("-> Unit ")[0]
    assert own, done.stderr
    prepared, started = (
        unquoted(line) for line in re.findall(r"^\s*Command Line: (.*)$", own, re.MULTILINE)
    )
    assert prepared == [program, "$MAINPID"]
    # What systemd does last, as it starts the program, is to put $ for $$ (systemd.service(5)).
    assert [word.replace("$$", "$") for word in started] == [program, *WORDS]
    assert re.findall(r"^\s*Environment: (.*)$", own, re.MULTILINE) == ["A=b c$d%\\", "B=é\"'"]
