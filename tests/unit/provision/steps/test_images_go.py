"""Images that stand on each other: what uninstall says is what it did."""

import pytest

from containai.errors import EngineError
from containai.host.proc import Done
from containai.provision.step import Scope
from containai.provision.steps.boxes import Contents
from containai.work.actions import Do


class Dockerd:
    """Images, each with the one it stands on, as Docker removes them: a parent not before."""

    def __init__(self, app, images):
        self.images, self.asked = dict(images), 0
        before = app.engine.docker

        def docker(*words, **options):
            if words[:2] == ("image", "ls"):
                return Done(0, "\n".join(self.images), "")
            if words[:2] == ("image", "rm"):
                return self.remove(words[3:])
            return before(*words, **options)

        app.engine.docker = docker

    def remove(self, names):
        self.asked += 1
        said = [name for name in names if not self._removed(name)]
        if said:
            return Done(1, "", f"Error: conflict: unable to delete {said[-1]} (cannot be forced)\n")
        return Done(0, "", "")

    def _removed(self, name):
        if name in self.images.values() or name == "used":
            return False
        return self.images.pop(name, None) is not None


@pytest.fixture
def removing(app, monkeypatch):
    monkeypatch.setattr("containai.provision.steps.boxes.Engine", lambda host: app.engine)
    return lambda: [
        action for action in Contents().undo(app.host, Scope(images=True)) if isinstance(action, Do)
    ]


def test_images_that_stand_on_each_other_go_without_a_word(app, removing):
    there = Dockerd(app, {"a": "", "b": "a", "c": "b"})
    (remove,) = removing()
    assert remove.details[0].endswith("image rm --force a b c")
    remove.act(lambda *_: None)
    assert not there.images
    assert there.asked == 3


def test_one_that_stays_is_told(app, removing):
    there = Dockerd(app, {"used": "", "b": "used"})
    (remove,) = removing()
    with pytest.raises(EngineError, match=r"1 images could not be removed: .*cannot be forced"):
        remove.act(lambda *_: None)
    assert list(there.images) == ["used"]
