"""The errors that people see: what failed, what was seen, what to do, and the exit code for it.

    ContainAIError              1
    ├── UsageError              2
    ├── BoxNotFoundError       10
    ├── BoxStartError          11
    ├── SshSetupError          12
    ├── SshConnectError        13
    ├── HostKeyError           14
    ├── NameTakenError         15
    ├── NotSetUpError          16
    ├── EngineError            17
    ├── PrivilegeError         18
    ├── UnsupportedError       19
    ├── NoSpaceError           20
    ├── PortsExhaustedError    21
    ├── ImageError             22
    ├── WorkspaceError         23
    ├── DownloadError          24
    ├── SelfTestError          25
    ├── UntrustedError         26
    ├── CopyError              27
    ├── ForwardError           28
    ├── JobError               29
    ├── DamagedError           30
    ├── RemoteError            31
    ├── RemoteIdentityError    32
    ├── NotThereError          33
    └── UnexpectedError        70

The exit code of a command that ran in a box is passed through as it is.
"""


class ContainAIError(Exception):
    """Something failed; `hint` says what to do about it."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(ContainAIError):
    """The command line does not fit."""

    exit_code = 2


class BoxNotFoundError(ContainAIError):
    """There is no such box."""

    exit_code = 10


class BoxStartError(ContainAIError):
    """The box was made but did not come up."""

    exit_code = 11


class SshSetupError(ContainAIError):
    """Keys, host block or pinned key could not be put in place."""

    exit_code = 12


class SshConnectError(ContainAIError):
    """sshd in the box does not answer, or refuses our key."""

    exit_code = 13


class HostKeyError(ContainAIError):
    """The box shows another host key than the pinned one."""

    exit_code = 14


class NameTakenError(ContainAIError):
    """The name belongs to a container that is not this user's box, or not this workspace's."""

    exit_code = 15


class NotSetUpError(ContainAIError):
    """This machine is not set up, and nobody agreed to set it up."""

    exit_code = 16


class EngineError(ContainAIError):
    """ContainAI's dockerd does not start or refuses a request."""

    exit_code = 17


class PrivilegeError(ContainAIError):
    """Root is needed and cannot be had."""

    exit_code = 18


class UnsupportedError(ContainAIError):
    """This machine cannot run boxes."""

    exit_code = 19


class NoSpaceError(ContainAIError):
    """A file system is full."""

    exit_code = 20


class PortsExhaustedError(ContainAIError):
    """No port of the configured range is free."""

    exit_code = 21


class ImageError(ContainAIError):
    """The image cannot be built, had or used."""

    exit_code = 22


class WorkspaceError(ContainAIError):
    """The path cannot be a workspace."""

    exit_code = 23


class DownloadError(ContainAIError):
    """A pinned file cannot be had, or is not what is pinned."""

    exit_code = 24


class SelfTestError(ContainAIError):
    """The probes of the escape self-test could not run, or a box answered something else."""

    exit_code = 25


class UntrustedError(ContainAIError):
    """A workspace has files of its own that its user has not agreed to."""

    exit_code = 26


class CopyError(ContainAIError):
    """Files could not be copied between the host and a box."""

    exit_code = 27


class ForwardError(ContainAIError):
    """A port could not be forwarded, or is not any more."""

    exit_code = 28


class JobError(ContainAIError):
    """A box has no such job, or cannot do what is asked of it."""

    exit_code = 29


class DamagedError(ContainAIError):
    """A file that cai reads is damaged, is no file, or may not be read."""

    exit_code = 30


class RemoteError(ContainAIError):
    """A remote place cannot be reached, does not let you, or did not do what was asked of it."""

    exit_code = 31


class RemoteIdentityError(ContainAIError):
    """A remote place shows another certificate than the pinned one."""

    exit_code = 32


class NotThereError(ContainAIError):
    """What was asked for cannot be done where the box is."""

    exit_code = 33


class UnexpectedError(ContainAIError):
    """Something happened that nobody foresaw: a mistake in cai itself."""

    exit_code = 70
