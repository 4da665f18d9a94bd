import io
import tarfile

from containai.config.settings import Settings
from containai.host.certificates import Certificate
from containai.images import context, recipe
from containai.images.recipe import Recipe

CERTIFICATE = Certificate("a.crt", "-----BEGIN CERTIFICATE-----\n")


def contents(archive):
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {
            each.name: (oct(each.mode), each.linkname or tar.extractfile(each).read().decode())
            for each in tar
            if not each.isdir()
        }


def made(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "a").write_text("1", encoding="utf-8")
    (tmp_path / "etc" / "a").chmod(0o600)
    (tmp_path / "run").write_text("2", encoding="utf-8")
    (tmp_path / "run").chmod(0o700)
    (tmp_path / "link").symlink_to("etc/a")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "x.pyc").touch()
    return Recipe("sdks", str(tmp_path), None, (), (("versions.env", "GO=1"),))


def test_a_context_has_the_recipe_and_nothing_of_who_sends_it(tmp_path):
    recipe = made(tmp_path)
    sent = context.archive(recipe, [CERTIFICATE])
    assert contents(sent) == {
        "etc/a": ("0o644", "1"),
        "run": ("0o755", "2"),
        "link": ("0o644", "etc/a"),
        "versions.env": ("0o644", "GO=1\n"),
        "certificates/a.crt": ("0o644", CERTIFICATE.text),
    }
    with tarfile.open(fileobj=io.BytesIO(sent)) as tar:
        assert {(each.uid, each.gid, each.mtime, each.uname) for each in tar} == {(0, 0, 0, "")}
        assert tar.getmember("certificates").isdir()


def test_a_context_is_the_same_for_the_same_content(tmp_path):
    recipe = made(tmp_path)
    before = context.archive(recipe, ())
    assert context.archive(recipe, ()) == before
    (tmp_path / "etc" / "a").touch()
    assert context.archive(recipe, ()) == before


def test_an_image_is_the_same_whatever_certificates_its_build_trusts(tmp_path):
    recipe = made(tmp_path)
    assert context.archive(recipe, [CERTIFICATE]) != context.archive(recipe, ())
    assert "a.crt" not in repr(recipe)


def test_a_recipe_has_what_is_in_its_directory():
    base = recipe.find("base", Settings())
    names = contents(context.archive(base, ())).keys()
    assert {"Dockerfile", "packages.txt", "rootfs/usr/local/lib/containai/init"} <= names
