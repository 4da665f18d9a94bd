"""What the program says where something is not right, read from its source: errors and findings.

Text that depends on the moment is an ellipsis, so that what is left can be searched for.
"""

import ast
import functools
import importlib
import inspect
import os
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import containai
from containai import errors

PACKAGE = os.path.dirname(os.path.abspath(containai.__file__))
ERRORS: dict[str, type[errors.ContainAIError]] = {
    kind.__name__: kind for kind in (errors.ContainAIError, *errors.ContainAIError.__subclasses__())
}
_ELLIPSIS = "…"
#: In a hint a box, a path and so on are shown by the words that usage has for them. Until it is
#: known which it is, they stand between two characters that no text has (Unicode's private use).
_WORDS = {
    name: f"\ue000{word}\ue001"
    for name, word in (
        ("name", "NAME"),
        ("path", "PATH"),
        ("workspace", "PATH"),
        ("volume", "VOLUME"),
        ("port", "PORT"),
    )
}
_WORD = re.compile("\ue000(.*?)\ue001")
#: Stand in for others in tests, or run inside where nobody sees a message of theirs.
_UNSEEN = ("engine/fake.py", "host/fake.py", "runtime/", "attack/inside/")
#: How many calls deep what is said is looked for.
_DEPTH = 2
#: How many ways there may be to say one thing, before it is only an ellipsis.
_MANY = 8


class Message(NamedTuple):
    """What one place of the program may say: texts in place of each other, hints too."""

    kind: str
    texts: Sequence[str]
    hints: Sequence[str]


class Scope(NamedTuple):
    """What names in a function mean: those of its module, and what it assigns."""

    module: ModuleType
    function: ast.AST
    #: How many calls lead there from what is looked at.
    depth: int = 0

    def assigned(self, name: str) -> list[ast.expr]:
        """Return what a name gets in the function."""
        found: list[ast.expr] = []
        for node in ast.walk(self.function):
            match node:
                case ast.Assign(targets=[ast.Name(id)], value=value) if id == name:
                    found.append(value)
                case ast.Assign(targets=[ast.Tuple(names)], value=ast.Tuple(values)):
                    pairs = zip(names, values, strict=True)
                    found += [v for n, v in pairs if isinstance(n, ast.Name) and n.id == name]
        return found

    def appended(self, name: str) -> list[ast.expr]:
        """Return what is added to a list of that name in the function."""
        found: list[ast.expr] = []
        for node in ast.walk(self.function):
            match node:
                case ast.Call(ast.Attribute(ast.Name(id), "append"), [value]) if id == name:
                    found.append(value)
                case ast.AugAssign(ast.Name(id), ast.Add(), ast.List(values)) if id == name:
                    found += values
        return found

    def yielded(self) -> list[ast.expr]:
        """Return what the function yields."""
        every = [node.value for node in ast.walk(self.function) if isinstance(node, ast.Yield)]
        return [value for value in every if value is not None]


@functools.cache
def of_errors() -> tuple[Message, ...]:
    """Return what is raised anywhere in the package, in the order of the files."""
    return tuple(message for module in _modules() for message in _raised(module))


def _modules() -> Iterator[ModuleType]:
    for parent, directories, names in os.walk(PACKAGE):
        directories.sort()
        for name in sorted(names):
            path = os.path.relpath(os.path.join(parent, name), PACKAGE)
            if name.endswith(".py") and name != "__main__.py" and not path.startswith(_UNSEEN):
                dotted = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
                yield importlib.import_module(f"containai.{dotted}")


def _raised(module: ModuleType) -> Iterator[Message]:
    tree = ast.parse(inspect.getsource(module))
    for function in _functions(tree):
        yield from _in(function, Scope(module, function), ERRORS)


def _functions(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield functions, each with what is nested in it, and nothing twice."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            yield node
        else:
            yield from _functions(node)


def _in(node: ast.AST, scope: Scope, kinds: Mapping[str, Any]) -> Iterator[Message]:
    for each in ast.walk(node):
        match each:
            case ast.Call(ast.Name(kind) | ast.Attribute(_, kind), arguments) if kind in kinds:
                hints = [word.value for word in each.keywords if word.arg == "hint"]
                said = arguments[kind == "Finding" :][:1] or [
                    word.value for word in each.keywords if word.arg == "seen"
                ]
                if kind == "Finding" and ast.unparse(arguments[0]) == "True":
                    continue
                texts = [text for node in said for text in _texts(node, scope)]
                hints_ = [text for node in hints for text in _texts(node, scope)]
                yield Message(kind, _spoken(texts, _ELLIPSIS), _spoken(hints_, r"\1"))


def of_check(kind: type) -> tuple[Message, ...]:
    """Return what a check says where it does not hold: its findings, and what it raises."""
    module = importlib.import_module(kind.__module__)
    found: list[Message] = []
    for each in kind.__mro__:
        if each.__module__.startswith("containai.") and each.__module__ != module.__name__:
            found += _of_class(each, importlib.import_module(each.__module__))
    return tuple(dict.fromkeys([*_of_class(kind, module), *found]))


def mends(kind: type) -> bool:
    """Whether a step's plan has anything in it, ever."""
    (plan,) = ast.parse(textwrap.dedent(inspect.getsource(kind.plan))).body
    returned = _returned(Scope(importlib.import_module(kind.__module__), plan))
    return any(ast.unparse(value) != "[]" for value in returned)


def _of_class(kind: type, module: ModuleType) -> list[Message]:
    text = textwrap.dedent(inspect.getsource(kind))
    helpers = {
        node.name: node
        for node in ast.parse(inspect.getsource(module)).body
        if isinstance(node, ast.FunctionDef)
    }
    todo, seen = list(_functions(ast.parse(text))), set[str]()
    found: list[Message] = []
    while todo:
        function = todo.pop(0)
        # What a plan raises is said by `--fix`, and is an error with a page of its own.
        kinds = {"Finding": None} if getattr(function, "name", "") == "plan" else _FOUND
        scope = Scope(module, function)
        found += _in(function, scope, kinds)
        if getattr(function, "name", "") == "wrong":
            texts = [text for value in _returned(scope) for text in _texts(value, scope)]
            found.append(Message("Finding", _spoken(texts, _ELLIPSIS), ()))
        called = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
        todo += [helpers[name] for name in sorted(called & set(helpers) - seen)]
        seen |= called
    return found


_FOUND = {"Finding": None, "wrong": None, **ERRORS}


def _texts(node: ast.expr, scope: Scope) -> list[str]:
    """Return what an expression may be as text."""
    match node:
        case ast.Constant(str(value)):
            return [value]
        case ast.JoinedStr(parts):
            return _product([_texts(part, scope) for part in parts])
        case ast.FormattedValue(value, conversion, None):
            inner = _texts(value, scope)
            return [f"'{text}'" for text in inner] if conversion == ord("r") else inner
        case ast.BinOp(left, ast.Add(), right):
            return _product([_texts(left, scope), _texts(right, scope)])
        case ast.IfExp(_, one, other):
            return [*_texts(one, scope), *_texts(other, scope)]
        case ast.BoolOp(ast.Or(), values):
            return [text for value in values for text in _texts(value, scope)]
        case ast.Name(name):
            return _of_name(name, scope)
        case ast.Attribute() | ast.Subscript():
            return _of_value(node, scope)
        case ast.Call(ast.Attribute(ast.Constant(str()), "join"), [joined]):
            return _elements(joined, scope) or [_ELLIPSIS]
        case ast.Call(callee) if (called := _function(callee, scope)) is not None:
            return [text for value in _returned(called) for text in _texts(value, called)]
    return [_ELLIPSIS]


def _elements(node: ast.expr, scope: Scope) -> list[str]:
    """Return what the parts of a list may be as text."""
    match node:
        case ast.List(parts) | ast.Tuple(parts):
            plain = [part for part in parts if not isinstance(part, ast.Starred)]
            return [text for part in plain for text in _texts(part, scope)]
        case ast.Name(name):
            lists = [part for value in scope.assigned(name) for part in _elements(value, scope)]
            return lists + [text for part in scope.appended(name) for text in _texts(part, scope)]
        case ast.ListComp(part) | ast.GeneratorExp(part):
            return _texts(part, scope)
        case ast.Call(callee) if (called := _function(callee, scope)) is not None:
            yielded = [text for part in called.yielded() for text in _texts(part, called)]
            return yielded + [
                text for value in _returned(called) for text in _elements(value, called)
            ]
    return []


def _function(callee: ast.expr, scope: Scope) -> Scope | None:
    """Return a function of the package that is called, where it can be told."""
    if scope.depth >= _DEPTH:
        return None
    called = _valued(callee, scope.module)
    if not inspect.isfunction(called) or not called.__module__.startswith("containai."):
        return None
    (function,) = ast.parse(textwrap.dedent(inspect.getsource(called))).body
    return Scope(importlib.import_module(called.__module__), function, scope.depth + 1)


def _returned(scope: Scope) -> list[ast.expr]:
    every = [node.value for node in ast.walk(scope.function) if isinstance(node, ast.Return)]
    return [value for value in every if value is not None]


def _product(parts: Sequence[Sequence[str]]) -> list[str]:
    made = [""]
    for part in parts:
        few = part if len(made) * len(part) <= _MANY else [_ELLIPSIS]
        made = [begun + text for begun in made for text in few]
    return made


def _of_name(name: str, scope: Scope) -> list[str]:
    assigned = scope.assigned(name)
    if assigned:
        smaller = Scope(scope.module, ast.Pass(), scope.depth)
        return [text for value in assigned for text in _texts(value, smaller)]
    value = getattr(scope.module, name, None)
    return [str(value)] if isinstance(value, str | int) else [_WORDS.get(name, _ELLIPSIS)]


def _of_value(node: ast.Attribute | ast.Subscript, scope: Scope) -> list[str]:
    """Return what a constant of a module says; else what stands for it."""
    value = _valued(node, scope.module)
    if isinstance(value, str | int):
        return [str(value)]
    return [_WORDS.get(node.attr, _ELLIPSIS) if isinstance(node, ast.Attribute) else _ELLIPSIS]


def _valued(node: ast.expr, module: ModuleType) -> Any:
    """Return what an expression of names and constants is in a module; None where it is more."""
    match node:
        case ast.Name(name):
            return getattr(module, name, None)
        case ast.Attribute(owner, name):
            return getattr(_valued(owner, module), name, None)
        case ast.Subscript(owner, ast.Constant(at)):
            try:
                return _valued(owner, module)[at]
            except (LookupError, TypeError):
                return None
    return None


def _spoken(texts: Sequence[str], word: str) -> tuple[str, ...]:
    """Return those that have words of their own, each once; `word` stands for a box and so on."""
    tidy = [" ".join(_WORD.sub(word, text).split("\n")[0].split()) for text in texts]
    return tuple(dict.fromkeys(text for text in tidy if sum(map(str.isalpha, text)) > 2))
