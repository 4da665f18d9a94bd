"""`cai doctor` of one box, and its report, on a real engine."""

import json
import os


def test_a_box_is_looked_into(site, shared):
    done = site.cai("doctor", shared.box, "--json")
    document = json.loads(done.stdout)
    assert document["box"] == shared.box
    assert [row for row in document["checks"] if row["state"] == "wrong"] == []
    rows = {row["step"]: row for row in document["checks"]}
    assert rows["container"]["seen"].startswith(("cai-runc, ", "sysbox-runc, "))
    assert rows["limits"]["seen"].startswith("memory ")
    # By the path of its workspace, too.
    assert json.loads(site.cai("doctor", shared.path, "--json").stdout)["box"] == shared.box

    # Whoever is root in there may give it another host key: the engine says which it is.
    shared.sh("sudo sh -c 'cd /etc/ssh; rm ssh_host_ed25519_key*; ssh-keygen -qt ed25519 -N \"\" "
              "-f ssh_host_ed25519_key; systemctl restart ssh'")  # fmt: skip
    seen = json.loads(site.cai("doctor", shared.box, "--json", check=False).stdout)
    assert [row["step"] for row in seen["checks"] if row["state"] == "wrong"] == ["host keys"]
    site.cai("doctor", shared.box, "--fix")
    shared.run("true")


def test_the_report_names_nobody(site, shared):
    shared.run("true")
    said = site.cai("doctor", "--report", "-", check=False).stdout.decode()
    assert "\n== Checks\n" in said
    assert "\n  ok       system: " in said
    assert "\n== Log: the engine\n" in said
    for word in (shared.box, site.root, site.home, os.uname().nodename):
        assert word not in said
