import re

from containai import errors


def subclasses(kind):
    yield kind
    for each in kind.__subclasses__():
        if each.__module__ == errors.__name__:
            yield from subclasses(each)


ALL = list(subclasses(errors.ContainAIError))


def test_every_exit_code_is_unique():
    codes = [each.exit_code for each in ALL]
    assert len(set(codes)) == len(codes)
    assert all("exit_code" in vars(each) for each in ALL)


def test_no_exit_code_means_something_else():
    # 0 is success; from 124 on shells, timeout and signals have codes of their own.
    assert all(0 < each.exit_code < 124 for each in ALL)


def test_every_exit_code_is_in_the_docstring():
    listed = dict(re.findall(r"(\w+Error) +(\d+)", errors.__doc__))
    assert listed == {each.__name__: str(each.exit_code) for each in ALL}


def test_hint():
    assert errors.ContainAIError("x").hint == ""
    assert errors.EngineError("x", hint="y").hint == "y"
    assert str(errors.EngineError("x", hint="y")) == "x"
