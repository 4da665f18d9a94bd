"""A workspace's own Dockerfile on a real engine, where its agent writes it."""

import json
import os

import pytest

from containai.errors import ImageError, UntrustedError, WorkspaceError
from containai.layout import IMAGE_REPOSITORY
from harness.site import refused, text
from harness.space import Space

OURS = f"{IMAGE_REPOSITORY}/workspace"
MADE = "FROM base\nENV WHO=me\nRUN echo $WHO >/etc/made\nUSER agent\nRUN id -un >/tmp/who\n"


def write(space: Space, content: str) -> str:
    path = os.path.join(space.path, ".containai", "Dockerfile")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(content)
    return path


def images(site) -> list[str]:
    return site.docker("image", "ls", "--quiet", OURS).split()


@pytest.fixture
def own(site, make_space):
    """A workspace without a box; images of such are gone afterwards, and what is trusted."""
    space, before = make_space(), images(site)
    yield space
    site.cai("rm", space.path, check=False)
    site.cai("trust", "--remove", space.path, check=False)
    for image in set(images(site)) - set(before):
        site.docker("rmi", image)


def test_it_is_built_once_it_is_trusted_and_a_change_is_not(site, own):
    write(own, MADE)
    refused(own.run("true", check=False), UntrustedError)
    assert own.box not in site.container_names()
    # Nobody can have read it.
    refused(site.cai("run", "--yes", own.path, "--", "true", check=False), UntrustedError)
    site.cai("trust", "--yes", own.path)
    script = "cat /etc/made /tmp/who && id -un && ls -d /build; systemctl is-system-running --wait"
    assert own.sh(script).split() == ["me", "agent", "agent", "running"]
    before, built = own.inspect(), images(site)
    assert before["Config"]["User"] == "0:0"

    own.sh("echo 'RUN touch /tmp/evil' >>.containai/Dockerfile")
    done = site.cai("run", "--fresh", "--yes", own.path, "--", "true", check=False)
    refused(done, UntrustedError)
    assert "  +RUN touch /tmp/evil" in text(done)
    (row,) = [row for row in json.loads(site.cai("ls", "--json").stdout) if row["name"] == own.box]
    assert (row["is_older"], own.inspect()["Id"], images(site)) == (True, before["Id"], built)
    assert own.sh("cat /etc/made") == "me"

    site.cai("trust", "--yes", own.path)
    site.cai("run", "--fresh", "--yes", own.path, "--", "test", "-e", "/tmp/evil")
    rows = json.loads(site.cai("image", "ls", "--json").stdout)
    status = {row["id"]: row["status"] for row in rows}
    assert status[before["Image"]] == "older"
    assert status[own.inspect()["Image"]] == "current"


@pytest.mark.parametrize("at", [".containai", ".containai/Dockerfile"])
def test_no_link_leads_to_what_is_trusted_elsewhere(site, own, make_space, at):
    other, built = make_space("other"), images(site)
    write(other, MADE)
    site.cai("trust", "--yes", other.path)
    path = os.path.join(own.path, at)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.symlink(os.path.join(other.path, at), path)
    kind = WorkspaceError if at == ".containai" else ImageError
    for words in (("run", own.path, "--", "true"), ("trust", "--yes", own.path)):
        refused(site.cai(*words, check=False), kind)
    site.cai("trust", "--remove", other.path)
    assert images(site) == built


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("FROM scratch\n", "line 1: FROM scratch"),
        ("FROM base\nFROM scratch\n", "line 2: FROM is not taken"),
        ("FROM base\nRUN rm /sbin/init\n", "/sbin/init is gone, without which no box starts"),
        # Its name is known to the builder only.
        ("FROM base\nARG X=containai.owner\nLABEL $X=1\n", "is no layer upon"),
    ],
)
def test_what_no_box_can_start_from_ends_with_a_reason(site, own, content, said):
    write(own, content)
    built = images(site)
    site.cai("trust", "--yes", own.path, check=False)
    done = own.run("true", check=False)
    refused(done, ImageError)
    assert said in text(done)
    assert own.box not in site.container_names()
    assert images(site) == built
