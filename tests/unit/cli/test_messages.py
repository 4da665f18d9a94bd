import base64
import random

import pytest

from containai.cli import messages
from containai.layout import Layout

TOKEN = "a1b2c3"


class Caller:
    def __init__(self):
        self.heard, self.box, self.kept = [], "api", {}
        self.layout = Layout("/", "/nonexistent", 0)

    def suspend(self):
        self.heard.append("suspend")

    def say(self, text):
        self.heard.append(text)


def message(name, payload=b"", token=TOKEN):
    return b"\x1b]5379;%b;%b;%b\a" % (
        token.encode(), name.encode(), base64.urlsafe_b64encode(payload).rstrip(b"="),
    )  # fmt: skip


def relayed(*parts):
    """Return what is shown of what is printed in parts, and what was heard with what was shown."""
    caller, shown = Caller(), []
    table = {
        "stopped": messages.HANDLERS["stopped"],
        "say": lambda caller, payload: caller.heard.append((b"".join(shown), payload)),
    }
    taken = messages.Messages(TOKEN, caller, table)
    for part in parts:
        taken.printed(part, shown.append)
    return b"".join(shown) + taken.release(), caller.heard


def test_a_message_is_heard_where_it_stands_and_not_shown():
    text = b"before" + message("say", b"\xff hello?>") + b"after"
    assert relayed(text) == (b"beforeafter", [(b"before", b"\xff hello?>")])


def test_in_whatever_parts_it_comes():
    text = b"a\x1b[1m" + message("say", b"x") + message("stopped") + b"\x1b]0;t\a" + b"\x1b]5379"
    for size in range(1, len(text)):
        shown, heard = relayed(*(text[at : at + size] for at in range(0, len(text), size)))
        assert shown == b"a\x1b[1m\x1b]0;t\a\x1b]5379"
        assert heard == [(b"a\x1b[1m", b"x"), "suspend"]


@pytest.mark.parametrize(
    "text",
    [
        message("say", token="another"),
        message("nobody"),
        message("say").replace(b"\a", b"\x1b\\"),
        message("say", b"x" * messages.LONGEST),
        b"\x1b]5379;" + TOKEN.encode() + b";say;" + b"A" * (messages.LONGEST + 1),
        b"\x1b]5379;" + TOKEN.encode() + b";say;not base64\a",
        b"\x1b]5379;" + TOKEN.encode() + b";say",
        b"\x1b]53",
        b"\x1b",
        b"",
    ],
)
def test_what_is_no_message_is_shown_as_it_is(text):
    assert relayed(text) == (text, [])
    assert relayed(*(bytes([byte]) for byte in text)) == (text, [])


def test_a_payload_that_cannot_be_read_is_not_heard():
    text = b"\x1b]5379;" + TOKEN.encode() + b";say;A=A\a"
    assert relayed(text + b"x") == (b"x", [])


def test_whatever_a_box_prints_no_byte_of_it_is_lost():
    source = random.Random(13)
    pieces = [b"\x1b", b"]5379;", TOKEN.encode(), b";", b"\a", b"say", b"AAAA", b"\n", b"\xff"]
    for _ in range(400):
        text = b"".join(source.choices(pieces, k=source.randrange(40)))
        whole, heard = relayed(text)
        cut = sorted(source.choices(range(len(text) + 1), k=5))
        parts = [text[a:b] for a, b in zip([0, *cut], [*cut, len(text)], strict=True)]
        assert relayed(*parts)[0] == whole
        assert heard or whole == text


def test_only_part_of_an_introducer_is_held_back():
    taken, shown = messages.Messages(TOKEN, Caller()), []
    taken.printed(b"a prompt \x1b]53", shown.append)
    assert (b"".join(shown), taken.held) == (b"a prompt ", b"\x1b]53")
    taken.printed(b"x", shown.append)
    assert (b"".join(shown), taken.held) == (b"a prompt \x1b]53x", b"")
