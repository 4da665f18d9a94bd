"""Who commits in a box: whom git on the host says, where nobody says so in the box."""

from containai.boxes.given import Files
from containai.host import gitconfig
from containai.host.gitconfig import Entry
from containai.host.homes import Tree
from containai.host.machine import Machine

#: Included by the image's /etc/gitconfig, from the first boot on.
FILE_IN_BOX = "etc/containai/gitconfig"
#: The largest configuration that is read, and the longest name.
_SIZE, _LENGTH = 1 << 20, 200


def seen(host: Machine) -> Files:
    """Return the file for a new box; nothing where the user has told git nothing."""
    try:
        home = Tree(host.layout.home, host.layout.uid)
    except OSError:
        return {}
    return files(*gitconfig.identity(lambda path: home.read(path, _SIZE)))


def files(name: str, email: str) -> Files:
    """Return the file for a name and an address."""
    entries = [
        Entry("user", None, key, value)
        for key, value in (("name", name), ("email", email))
        if value and value.isprintable() and len(value) <= _LENGTH
    ]
    return {FILE_IN_BOX: (gitconfig.written(entries), 0o644)} if entries else {}
