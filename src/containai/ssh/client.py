"""The ssh client of this machine: it has to be there, and new enough."""

from containai.errors import SshSetupError
from containai.host.machine import Machine

#: The oldest OpenSSH, by its major version, that boxes are entered with.
OLDEST = 8
#: What is said of a client that does not say which it is.
_UNKNOWN = (0, 0)


def check(host: Machine) -> None:
    """Raise SshSetupError where there is no client to enter boxes with, or none that can."""
    for program in ("ssh", "ssh-keygen"):
        if host.which(program) is None:
            # It says where it was looked for.
            raise host.absent(program)
    check_version(host)


def check_version(host: Machine) -> None:
    """Raise SshSetupError for a client that is too old. One that does not say may be new."""
    version = host.ssh_version()
    if version != _UNKNOWN and version[0] < OLDEST:
        raise SshSetupError(
            f"ssh is OpenSSH {version[0]}.{version[1]}, which is too old",
            hint=f"OpenSSH {OLDEST}.0 or newer is needed: install it, and name its directory in "
            "the setting host.path if that is not one of the system's",
        )
