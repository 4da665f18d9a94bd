"""What can be seen of the files of recipes without a build."""

import os
import re
import subprocess
import sys

import pytest

from containai.images import recipe

IMAGES = os.path.dirname(recipe.__file__)
DOCKERFILES = sorted(
    name for name in os.listdir(IMAGES) if os.path.exists(os.path.join(IMAGES, name, "Dockerfile"))
)
STEPS = os.path.join(IMAGES, "sdks", "steps")


@pytest.mark.lint
@pytest.mark.parametrize("name", DOCKERFILES)
def test_hadolint(name):
    program = os.path.join(os.path.dirname(sys.executable), "hadolint")
    # A step for each part, so that an interrupted build goes on where it was.
    words = [program, "--ignore", "DL3059", os.path.join(IMAGES, name, "Dockerfile")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", DOCKERFILES)
def test_no_feature_of_buildkit_is_used(name):
    with open(os.path.join(IMAGES, name, "Dockerfile"), encoding="utf-8") as file:
        text = file.read()
    assert re.findall(r"^# *syntax=|--(?:mount|link|chmod|parents)\b|<<", text, re.MULTILINE) == []


@pytest.mark.parametrize("name", sorted(os.listdir(STEPS)))
def test_steps_are_shell(name):
    subprocess.run(["sh", "-n", os.path.join(STEPS, name)], check=True)
    with open(os.path.join(STEPS, name), encoding="utf-8") as file:
        text = file.read()
    # What is fetched by an address is checked: `fetch` is the only way.
    assert re.findall(r"\b(?:curl|wget)\b", text) == []


def test_versions_are_shell_and_name_each_once():
    path = os.path.join(IMAGES, recipe.VERSIONS)
    subprocess.run(["sh", "-c", f". {path}"], check=True)
    with open(path, encoding="utf-8") as file:
        names = re.findall(r"^([A-Z]\w*)=", file.read(), re.MULTILINE)
    assert sorted(names) == sorted(set(names))


FETCH = """
fail() { echo "E: $*" >&2 && exit 1; }
%s
fetch "file://$1" "$2" "$3" sha256sum
"""


@pytest.mark.parametrize(
    ("checksum", "said"),
    [
        ("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", ""),
        ("0" * 64, "is not what versions.env says"),
        ("", "there is no checksum for"),
    ],
)
def test_only_what_has_the_checksum_is_taken(tmp_path, checksum, said):
    with open(os.path.join(IMAGES, "sdks", "step"), encoding="utf-8") as file:
        found = re.search(r"^    fetch\(\) \{.*?^    \}", file.read(), re.MULTILINE | re.DOTALL)
    assert found is not None
    (tmp_path / "there").write_text("hello", "utf-8")
    words = ["sh", "-euc", FETCH % found[0], "sh", tmp_path / "there", tmp_path / "got", checksum]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == (said == "")
    assert said in done.stderr
