"""The named tuples of the warm path are as those of typing."""

from __future__ import annotations

import hashlib
import pickle
import typing

import pytest

from containai import light


class Plain(light.NamedTuple):
    """One."""

    path: str
    amount: int = 1

    @property
    def twice(self) -> int:
        """Two times the amount."""
        return 2 * self.amount

    @classmethod
    def of(cls, path: str) -> Plain:
        """Return one of a path."""
        return cls(path, 3)


class Typed(typing.NamedTuple):
    """One."""

    path: str
    amount: int = 1


def test_it_is_a_tuple_with_names_and_defaults():
    assert Plain("a") == ("a", 1) == Typed("a")
    assert Plain._fields == Typed._fields
    assert Plain._field_defaults == Typed._field_defaults == {"amount": 1}
    assert repr(Plain("a")) == repr(Typed("a")).replace("Typed", "Plain")
    assert (Plain.__doc__, Plain.__module__) == (Typed.__doc__, Typed.__module__)
    assert Plain.__annotations__ == {"path": "str", "amount": "int"}


def test_it_has_the_methods_of_its_class():
    assert Plain.of("b")._replace(path="c").twice == 6


def test_it_can_be_packed():
    assert pickle.loads(pickle.dumps(Plain("a", 2))) == Plain("a", 2)


@pytest.mark.parametrize("given", [[], ["a", 1, 2]])
def test_what_does_not_fit(given):
    with pytest.raises(TypeError):
        Plain(*given)


@pytest.mark.parametrize("data", [b"", b"a" * 1000])
def test_a_digest_is_as_that_of_hashlib(data):
    assert light.sha256(data) == hashlib.sha256(data).hexdigest()
