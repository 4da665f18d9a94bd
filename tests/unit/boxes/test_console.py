from containai.boxes.console import legible


def test_legible_keeps_words_and_drops_what_steers_a_terminal():
    said = (
        "\r\r\n\x1b[0;1;31mUnit rescue.target not found.\x1b[0m\r\r\n"
        "[\x1b[0;32m  OK  \x1b[0m] Started \x1b]0;title\x07it\x9b2J.\r\n\x1b[?25l  \n\u202eé\x00"
    )
    assert legible(said) == [
        "Unit rescue.target not found.",
        "[  OK  ] Started ]0;titleit2J.",
        "é",
    ]
    assert legible("") == []
