"""What runs at GitHub, as far as it can be checked here, and what it runs of ours."""

import functools
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from containai.config.settings import Settings
from containai.images import build, context, recipe
from containai.layout import IMAGE_REPOSITORY

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WORKFLOWS = sorted(os.listdir(f"{ROOT}/.github/workflows"))
#: Nothing but the module proxy has its sources, and no package of PyPI a binary of them.
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"


def read(*parts):
    with open(os.path.join(ROOT, *parts), encoding="utf-8") as file:
        return file.read()


def run(*argv, cwd=ROOT, code=0):
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@functools.cache
def go():
    """Return a Go that can fetch the one that actionlint wants (1.21 and newer), or None."""
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if found is None:
        return None
    version = re.search(r"go1\.(\d+)", run(found, "version"))
    return found if version and int(version[1]) >= 21 else None


needs_go = pytest.mark.skipif(go() is None, reason="actionlint needs Go 1.21 or newer")


def actionlint(*words, **options):
    # What Go says of fetching it, the first time, is none of its findings. Go keeps what it built.
    run(go(), "run", ACTIONLINT, "-version")
    return run(go(), "run", ACTIONLINT, "-no-color", *words, **options)


def zizmor(*words, **options):
    program = os.path.join(os.path.dirname(sys.executable), "zizmor")
    return run(program, "--offline", "--no-progress", *words, **options)


@pytest.mark.lint
@needs_go
def test_actionlint():
    assert actionlint(*(f".github/workflows/{name}" for name in WORKFLOWS)) == ""


@pytest.mark.lint
def test_zizmor():
    assert "No findings" in zizmor(".github")


BROKEN = """\
on: pull_request_target
jobs:
  one:
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@v4
      - run: echo "${{ github.event.pull_request.title }}" "${{ nothing.of.it }}"
"""


@pytest.fixture
def broken(tmp_path):
    path = tmp_path / ".github" / "workflows" / "broken.yml"
    path.parent.mkdir(parents=True)
    path.write_text(BROKEN)
    return str(path)


@pytest.mark.lint
@needs_go
def test_actionlint_sees_what_is_wrong(broken):
    assert "nothing" in actionlint(broken, code=1)


@pytest.mark.lint
def test_zizmor_sees_what_is_wrong(broken):
    said = zizmor(broken, code=14)
    assert "template-injection" in said
    assert "unpinned-uses" in said


@pytest.mark.parametrize("name", WORKFLOWS)
def test_actions_are_pinned_and_say_their_version(name):
    used = re.findall(r"^\s*(?:- )?uses: (.+)$", read(".github/workflows", name), re.MULTILINE)
    assert used
    for each in used:
        assert re.fullmatch(r"\./\S+( # zizmor.*)?|[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each), (
            each
        )


def test_one_version_of_an_action_everywhere():
    used = {
        tuple(each)
        for name in WORKFLOWS
        for each in re.findall(r"uses: ([\w./-]+)@(.+)", read(".github/workflows", name))
    }
    assert len({action for action, _ in used}) == len(used)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_nothing_is_allowed_to_all_jobs(name):
    text = read(".github/workflows", name)
    assert re.search(r"^permissions: \{\}$", text, re.MULTILINE)
    # Each right says what for.
    for line in re.findall(r"^ +[\w-]+: write.*$", text, re.MULTILINE):
        assert re.search(r": write # to \w+", line), line


@pytest.fixture
def tree(tmp_path):
    """A tree of which a release could be made, but for its files."""
    for name in (".ci/release-notes", "src/containai/__init__.py", "CHANGELOG.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(f"{ROOT}/{name}", tmp_path / name)
    (tmp_path / "src/containai/__init__.py").write_text('__version__ = "0.2.0"\n')
    return tmp_path


def test_notes_are_those_of_the_version(tree):
    (tree / "CHANGELOG.md").write_text(
        "# Changes\n\n## Unreleased\n\n- c\n\n## 0.2.0 (2027-01-31)\n\n### Added\n\n- b\n\n"
        "## 0.1.0 (2026-12-01)\n\n- a\n"
    )
    assert run(".ci/release-notes", "v0.2.0", cwd=tree) == "### Added\n\n- b\n"
    said = run(".ci/release-notes", "v0.1.0", cwd=tree, code=1)
    assert "the tag is v0.1.0, but this is version 0.2.0" in said


def test_a_version_without_changes_is_not_released(tree):
    said = run(".ci/release-notes", "v0.2.0", cwd=tree, code=1)
    assert "CHANGELOG.md has nothing of 0.2.0" in said


def recipe_of(*words, code=0):
    """Ask .ci/image-recipe as a runner does: with a Python of its own, and nothing installed."""
    python = ["/usr/bin/python3", "-S"] if os.path.exists("/usr/bin/python3") else [sys.executable]
    done = subprocess.run(
        [*python, ".ci/image-recipe", *words], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == code, done.stderr.decode()
    return done.stdout


def test_published_images_are_of_the_recipe_that_cai_builds():
    assert json.loads(recipe_of("names")) == list(recipe.PARENTS)
    assert recipe_of("repository").decode().strip() == IMAGE_REPOSITORY
    for name in recipe.PARENTS:
        wanted = recipe.find(name, Settings())
        assert recipe_of("context", name) == context.archive(wanted, ())
        assert f"{IMAGE_REPOSITORY}/{name}:{recipe_of('tag', name).decode().strip()}" == (
            wanted.reference
        )
        parent = f"{IMAGE_REPOSITORY}/parent@sha256:{'0' * 64}" if wanted.parent else ""
        lines = recipe_of("arguments", name, parent).decode().splitlines()
        root = parent or Settings().image_root
        given = dict(wanted.arguments) | {recipe.ROOT: root, recipe.SOURCE: "upstream"}
        words = build.build_words(wanted, given)
        assert lines == words[words.index("--build-arg") : words.index("--tag")]
        # A layer begins with the one below it, and the first one with none.
        recipe_of("arguments", name, "" if parent else "another", code=1)


#: In place of docker: notes its words, and what was built; it "builds" the same digest each time.
DOCKER = """\
#!/bin/sh
printf '%s\\n' "$*" >>"$LOG"
case $1 in
    buildx)
        cat >>"$LOG.$(echo "$*" | grep -o 'name=[^,]*' | head -n 1 | tr / _)"
        while [ $# -gt 0 ]; do
            [ "$1" != --metadata-file ] || echo "{\\"containerimage.digest\\": \\"$DIGEST\\"}" >"$2"
            shift
        done ;;
    run) exit "${RUN:-0}" ;;
esac
"""


@pytest.fixture
def pushed(tmp_path):
    """Return a function that runs .ci/push-images with a docker that only notes what it is told."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "docker"
    program.write_text(DOCKER)
    program.chmod(0o755)

    def push(digest=f"sha256:{'a' * 64}", run=0):
        environment = os.environ | {
            "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
            "LOG": str(tmp_path / "log"),
            "DIGEST": digest,
            "RUN": str(run),
        }
        argv = [f"{ROOT}/.ci/push-images", str(tmp_path / "digests")]
        return subprocess.run(argv, env=environment, capture_output=True, check=False)

    return push


def test_layers_are_pushed_each_on_the_one_below(pushed, tmp_path):
    done = pushed()
    assert done.returncode == 0, done.stderr.decode()
    lines = (tmp_path / "log").read_text().splitlines()
    builds = [line for line in lines if line.startswith("buildx build ")]
    assert len(builds) == len(recipe.PARENTS)
    for line, name in zip(builds, recipe.PARENTS, strict=True):
        image = f"{IMAGE_REPOSITORY}/{name}"
        assert f"name={image},push-by-digest=true,name-canonical=true,push=true" in line
        assert "--tag" not in line
        below = recipe.PARENTS[name]
        begins = f"{IMAGE_REPOSITORY}/{below}@sha256:{'a' * 64}" if below else "docker.io/library/"
        assert f"ROOT={begins}" in line
        assert (tmp_path / "digests" / name).read_text() == f"sha256:{'a' * 64}\n"
        sent = (tmp_path / f"log.name={image.replace('/', '_')}").read_bytes()
        assert sent == context.archive(recipe.find(name, Settings()), ())


@pytest.mark.parametrize("how", [{"digest": ""}, {"digest": "sha256:short"}, {"run": 1}])
def test_what_does_not_run_or_has_no_digest_is_not_published(pushed, tmp_path, how):
    assert pushed(**how).returncode != 0
    assert os.listdir(tmp_path / "digests") == []
