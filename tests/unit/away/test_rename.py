"""A box on a remote place gets another name."""

import os

import pytest

from containai.away import record
from containai.away.record import Entry
from containai.errors import BoxNotFoundError, NameTakenError
from containai.host import files, locks
from containai.ssh import hosts, session
from harness.place import OWN


class TestRename:
    def rename(self, doing, new="web", move=lambda: None, name="api"):
        doing.boxes().rename(doing.entry(name), new, move)

    def test_all_that_is_known_here_has_the_new_name(self, doing):
        doing.up()
        key, did = doing.pinned(), []
        self.rename(doing, move=lambda: did.append("moved"))
        assert did == ["moved"]
        assert record.every(doing.layout) == {
            "web": Entry("web", "work", "api", doing.workspace.path)
        }
        assert (doing.pinned("web"), doing.pinned()) == (key, None)
        assert os.listdir(f"{doing.layout.state_dir}/away") == ["web.lock"]
        assert hosts.published(doing.layout) == {"web"}
        assert session.place_of(doing.layout, "web") == "work"
        assert "work api\n" in (files.read(doing.layout.ssh_block("web")) or "")

    def test_it_is_entered_and_not_made_again(self, doing):
        doing.up()
        self.rename(doing)
        assert doing.up("web") is False
        assert doing.did.count("create") == 1
        # Also where the place was not told.
        doing.place._set("api", name="api")
        assert doing.up("web") is False

    def test_another_of_the_old_name_is_another_box(self, doing):
        doing.up()
        self.rename(doing)
        assert doing.up() is True
        assert doing.entry().instance == f"api-{OWN[:8]}"

    def test_a_name_that_is_taken(self, doing):
        doing.up()
        doing.up("web")
        hosts.publish(doing.layout, "near", "# Box near, written by cai. Changes are lost.\n", None)
        for name in ("api", "web", "near"):
            with pytest.raises(NameTakenError):
                self.rename(doing, name)
        assert "rename" not in doing.did

    def test_names_that_share_a_lock(self, doing):
        doing.up()
        same = next(
            name
            for name in (f"n{number}" for number in range(10000))
            if locks.of_box(name) == locks.of_box("api")
        )
        self.rename(doing, same)
        assert doing.entry(same)

    def test_what_was_cut_off_is_ended_by_the_same(self, doing):
        doing.up()

        def cut():
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            self.rename(doing, move=cut)
        assert doing.entry()
        assert doing.up() is False
        self.rename(doing)
        assert hosts.published(doing.layout) == {"web"}

    def test_one_that_is_gone(self, doing):
        doing.up()
        doing.place.boxes.clear()
        with pytest.raises(BoxNotFoundError):
            self.rename(doing)
        assert doing.entry()
