import pytest

from containai.boxes import region


@pytest.mark.parametrize(
    ("own", "link", "name"),
    [
        (None, "/usr/share/zoneinfo/Asia/Tokyo", "Asia/Tokyo"),
        (None, "../usr/share/zoneinfo/America/Argentina/Ushuaia", "America/Argentina/Ushuaia"),
        (None, "/etc/timezones/own", ""),
        (None, "", ""),
        ("Europe/Berlin", "/usr/share/zoneinfo/Asia/Tokyo", "Europe/Berlin"),
        (":Europe/Berlin", "", "Europe/Berlin"),
        (":/usr/share/zoneinfo/Europe/Berlin", "", "Europe/Berlin"),
        (":/etc/localtime", "/usr/share/zoneinfo/Asia/Tokyo", "Asia/Tokyo"),
        ("EST5EDT", "", "EST5EDT"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "/usr/share/zoneinfo/Asia/Tokyo", "Asia/Tokyo"),
        ("../../etc/passwd", "", ""),
        ("/usr/share/zoneinfo/../../etc", "", ""),
        ("a\nb", "", ""),
    ],
)
def test_the_time_zone(own, link, name):
    assert region.zone({} if own is None else {"TZ": own}, link) == name


def test_the_language():
    german = {"LANG": "de_DE.UTF-8", "LC_TIME": "en_GB.UTF-8", "LC_PAPER": "sr_RS@latin"}
    others = {"LANGUAGE": "de", "LC_": "de", "LC_ALL": "a b", "LC_X": "a\nb", "LC_Y": "", "A": "b"}
    assert region.locale(german | others) == german
    for plain in ("C", "POSIX", "C.UTF-8"):
        assert region.locale({"LANG": plain, "LC_ALL": "C"}) == {}


def test_a_box_is_told_only_what_its_image_has_not():
    assert region.files({}, "/usr/share/zoneinfo/Etc/UTC") == {}
    assert region.files({"LANG": "C"}, "") == {}
    told = region.files({"TZ": "Asia/Tokyo", "LANG": "de_DE.UTF-8", "LC_TIME": "C"}, "")
    assert told == {"etc/containai/region": ("TZ=Asia/Tokyo\nLANG=de_DE.UTF-8\nLC_TIME=C\n", 0o644)}
