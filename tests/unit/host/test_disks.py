import pytest

from containai.host import disks

INFO = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 7:0 / /srv/x rw,relatime shared:7 - xfs /dev/loop0 rw,attr2,inode64,prjquota
31 22 7:1 / /srv/y rw - xfs /dev/loop1 rw,usrquota
32 31 0:9 / /srv/y/over rw - tmpfs tmpfs rw
33 22 7:2 / /srv/z rw - xfs /dev/loop1 rw,pquota
34 33 0:9 / /srv/z rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/srv/x/docker", ""),
        ("/srv/x", ""),
        ("/srv/xx", "/srv/xx is on ext4"),
        ("/srv/y/docker", "/srv/y/docker is on xfs that is mounted without pquota"),
        ("/srv/y/over/docker", "/srv/y/over/docker is on tmpfs"),
        ("/srv/z/docker", "/srv/z/docker is on tmpfs"),
    ],
)
def test_where_limits_on_disk_can_be(path, why, monkeypatch):
    monkeypatch.setattr(disks, "nearest", lambda path: path)
    assert disks.without_quota(path, INFO) == why


def test_nothing_is_known(monkeypatch):
    assert disks.without_quota("/srv", "") == "/srv is on what nobody knows"


def test_the_nearest_directory_that_is_there(tmp_path):
    assert disks.nearest(str(tmp_path / "a" / "b")) == str(tmp_path)
    assert disks.size(str(tmp_path / "a")) > 0
