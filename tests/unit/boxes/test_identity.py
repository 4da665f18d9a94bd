"""Who commits in a box."""

from containai.boxes import identity
from containai.host import gitconfig
from containai.host.fake import FakeMachine


def test_a_new_box_knows_who_commits(layout):
    with open(f"{layout.home}/.gitconfig", "w", encoding="utf-8") as file:
        file.write('[user]\nname = N "M"\nemail = e@x\nsigningKey = K\n[core]\neditor = vim\n')
    text, mode = identity.seen(FakeMachine(layout))[identity.FILE_IN_BOX]
    assert mode == 0o644
    assert [(entry.name, entry.value) for entry in gitconfig.parse(text)] == [
        ("user.name", "N M"),
        ("user.email", "e@x"),
    ]


def test_nobody_is_made_up(layout):
    assert identity.seen(FakeMachine(layout)) == {}
    assert identity.files("", "") == {}
    assert identity.files("a\x1b[31m", "x" * 1000) == {}
