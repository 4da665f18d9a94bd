"""What is refused before a box is made."""

import pytest

from containai.boxes.workspace import Workspace
from containai.errors import WorkspaceError
from containai.flows import admission


@pytest.mark.parametrize("kind", ["nfs4", "9p", "cifs", "fuse.sshfs"])
def test_what_no_kernel_maps_is_refused_at_once(host, tmp_path, kind):
    host.on = kind
    with pytest.raises(WorkspaceError, match=rf"\({kind}\)") as raised:
        admission.look(host, Workspace(str(tmp_path)), force=True)
    assert (raised.value.exit_code, "git clone" in raised.value.hint) == (23, True)


@pytest.mark.parametrize("kind", ["ext4", "tmpfs", "fuse", "overlay", "zfs", ""])
def test_others_are_tried(host, tmp_path, kind):
    host.on = kind
    said = admission.look(host, Workspace(str(tmp_path)), force=True)
    assert not any("cannot map" in line for line in said)


@pytest.mark.parametrize("kind", ["9p", "virtiofs", "drvfs"])
@pytest.mark.parametrize("force", [True, False])
def test_a_drive_of_windows_is_refused_whatever_it_is_called(host, workspace, kind, force):
    host.on, host.wsl = kind, True
    with pytest.raises(WorkspaceError, match=rf"is on a drive of Windows \({kind}\)") as refused:
        admission.look(host, Workspace(str(workspace)), force=force)
    assert f"cp -r {workspace} ~/project" in refused.value.hint


def test_what_a_virtual_machine_is_shown_is_not_of_windows(host, workspace):
    host.on = "virtiofs"
    said = admission.look(host, Workspace(str(workspace)), force=True)
    assert not any("Windows" in line for line in said)


def test_linuxs_own_files_in_wsl_are_fine(host, workspace):
    host.on, host.wsl = "ext4", True
    said = admission.look(host, Workspace(str(workspace)), force=True)
    assert not any("Windows" in line for line in said)
