"""The key that this user enters boxes with, where ssh cannot use it any more."""

import contextlib
import os

from containai.host import files
from containai.host.machine import Machine
from containai.ssh import hosts


def usable(host: Machine) -> str:
    """Have a key that ssh can use; return the public key's line.

    A private key that is none is put aside, and another made. Raises as `hosts.ensure_user`.
    """
    layout = host.layout
    private, public = layout.ssh_key, f"{layout.ssh_key}.pub"
    with files.lock(os.path.join(layout.state_dir, "ssh.lock"), wait=30, what="ssh set-up"):
        with contextlib.suppress(OSError):
            # ssh takes none that others can read.
            os.chmod(private, 0o600)
        done = host.run(["ssh-keygen", "-y", "-P", "", "-f", private], ok=None)
        if done.code != 0 and os.path.lexists(private):
            os.replace(private, f"{private}.unusable")
        if done.code != 0 or done.out.split()[:2] != (files.read(public) or "").split()[:2]:
            files.remove(public)
    return hosts.ensure_user(host)
