"""A box gets another name while somebody works in it."""

import json
import subprocess

from containai import errors
from harness.site import refused


def test_a_box_is_renamed_while_a_session_goes_on(site, space):
    space.sh("echo mine >~/note")
    before = space.inspect()
    words = ("exec", space.path, "--", "sh", "-c", "echo begun; read line; echo $line")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    session = site.start(*words, **pipes)
    assert session.stdout.readline() == b"begun\n"
    site.cai("rename", space.path, "other")
    try:
        assert session.communicate(b"still here\n", timeout=60)[0] == b"still here\n"
        assert site.cai("exec", "--name", "other", "--", "cat", "/home/agent/note").stdout == (
            b"mine\n"
        )
        # Its workspace leads to it, and plain ssh does.
        assert space.sh("cat ~/note") == "mine"
        ssh = ["ssh", "-F", site.layout.ssh_block("other"), "other", "cat ~/note"]
        assert subprocess.run(ssh, capture_output=True, check=True).stdout == b"mine\n"
        (row,) = [r for r in json.loads(site.cai("ls", "--json").stdout) if r["name"] == "other"]
        assert row["workspace"] == space.path
        assert site.inspect("other")["Id"] == before["Id"]
        refused(
            site.cai("exec", "--name", space.box, "--", "true", check=False),
            errors.BoxNotFoundError,
        )
        site.cai("stop", "--name", "other")
        site.cai("rename", "--name", "other", space.box)
        assert space.sh("cat ~/note") == "mine"
    finally:
        site.cai("rm", "--name", "other", check=False)
