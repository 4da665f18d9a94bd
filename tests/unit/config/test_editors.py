import pytest

from containai.config.editors import AUTO, EDITORS, Place, parse

PLACE = Place("api-1f", 2301, "/home/agent/workspace/a b.d/é")
WORDS = {
    "code": [
        "--folder-uri",
        "vscode-remote://ssh-remote+api-1f/home/agent/workspace/a%20b.d/%C3%A9",
    ],
    "zed": ["ssh://api-1f/home/agent/workspace/a%20b.d/%C3%A9"],
    "jetbrains-gateway": [
        "jetbrains-gateway://connect#type=ssh&deploy=true&host=api-1f&port=2301&user=agent"
        "&projectPath=%2Fhome%2Fagent%2Fworkspace%2Fa%20b.d%2F%C3%A9"
    ],
    "emacs": ["/ssh:api-1f:/home/agent/workspace/a b.d/é/"],
}


@pytest.mark.parametrize("name", WORDS)
def test_each_opens_the_directory_in_the_box(name):
    (row,) = (each for each in EDITORS if each.name == name)
    assert row.words(PLACE) == WORDS[name]


def test_all_others_are_of_the_kind_of_vs_code():
    for row in EDITORS:
        if row.name not in WORDS:
            assert row.words(PLACE) == WORDS["code"]


def test_no_two_have_one_name_or_program():
    names = [row.name for row in EDITORS]
    programs = [program for row in EDITORS for program in row.programs]
    assert len({*names}) == len(names)
    assert len({*programs}) == len(programs)
    assert AUTO not in names


def test_the_choice_is_one_of_them_or_auto():
    assert parse("zed") == "zed"
    for wrong in ("vim", "", True, ["zed"]):
        with pytest.raises(ValueError, match=r"expected auto, code, .* or emacs"):
            parse(wrong)
