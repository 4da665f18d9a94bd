from containai import __version__
from containai.cli.commands import version


def test_version(bare):
    report = version.run(bare)
    assert (report.value, report.code) == ({"version": __version__}, 0)
    assert report.views == [f"cai {__version__}\n"]
    assert bare.machine.ran == []
