"""The process that keeps spare boxes: it has them made, and gives them away within milliseconds.

It has imported what a claim needs, which takes longer than the claim. Whoever asks sends what a
process would have of it (directory, environment), and a fork of this one does what `cai run` does,
as far as that takes a spare box: whatever else is to be done or asked is left to whoever asks. So
no rule stands twice, and without this process all is as right, and slower.
"""

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from containai.app import App
from containai.boxes import claims, spares
from containai.boxes.claiming import NoSpareError
from containai.boxes.target import Target
from containai.engine import api, daemon
from containai.errors import ContainAIError
from containai.flows import enter
from containai.host import files
from containai.images import recipe
from containai.layout import Layout
from containai.work.ui import Progress

#: How long whoever has just got a box has the machine to itself, in seconds.
PAUSE = 2.0
#: How often it is looked whether there is still something to keep, in seconds.
_LOOK = 300.0
#: What may be asked, in bytes, and how long that may take, in seconds.
_LIMIT, _PATIENCE = 4 << 20, 5.0


class _Asking:
    """Whoever asks for a box: what is said is theirs to show, and they are asked nothing."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(f"cai: {text}\n")

    def tell(self, text: str) -> None:
        self.said.append(text)

    def step(self, title: str, number: int, count: int) -> Progress:
        raise NoSpareError

    def ask(self, question: str, *, beforehand: bool = True) -> bool:
        raise NoSpareError


class _Request(NamedTuple):
    """What somebody asks, and what they have."""

    what: str
    directory: str
    path: str
    environ: dict[str, str]


def replenish(app: App) -> None:
    """Have as many spare boxes as there are to be, made in the background; stale ones go.

    Nothing of it is in anybody's way: what fails, `cai doctor` says.
    """
    if app.only_spares or claims.ask(app.layout, claims.LOOK) is not None:
        return
    # Nobody is there to say a password.
    if app.engine.needs_root:
        return
    if not spares.wanted(app.host, app.settings.box_spares) and not spares.are_known(app.layout):
        return
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            if os.fork() == 0:
                _become_nobodys()
                _keep(app.layout)
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def _become_nobodys() -> None:
    # Whoever started us may wait for the end of more than these three.
    os.closerange(3, 1 << 20)
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    os.chdir("/")
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_DFL)


def _keep(layout: Layout) -> None:
    """Keep spares, unless another process does, as long as there are to be some."""
    files.private_directory(layout.control_dir)
    path = claims.socket_path(layout)
    lock = files.lock(os.path.join(layout.state_dir, "spares.lock"), wait=0, what="spare boxes")
    with lock, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        files.remove(path)
        listener.bind(path)
        os.chmod(path, 0o600)
        listener.listen(64)
        identity = os.stat(path).st_ino
        try:
            _loop(layout, listener, identity)
        finally:
            if _inode(path) == identity:
                files.remove(path)


def _inode(path: str) -> int:
    try:
        return os.stat(path).st_ino
    except OSError:
        return 0


def _loop(layout: Layout, listener: socket.socket, identity: int) -> None:
    environ = dict(os.environ)
    children: set[int] = set()
    maker, due = 0, time.monotonic() + PAUSE
    while True:
        left = max(0.0, due - time.monotonic())
        ready, _, _ = select.select([listener], [], [], min(left, 0.5) if children else left)
        while children and (ended := os.waitpid(-1, os.WNOHANG)[0]):
            children.discard(ended)
            maker = 0 if ended == maker else maker
        if ready:
            connection, _ = listener.accept()
            with connection:
                request = _received(connection, layout)
                if request is None:
                    continue
                if request.what == claims.END:
                    return
                if request.what in (claims.CLAIM, claims.CLAIM_AT_TERMINAL):
                    children.add(_fork(_answer, layout, listener, connection, request))
                else:
                    _say(connection, [])
            environ, due = request.environ, time.monotonic() + PAUSE
        elif time.monotonic() >= due:
            if _inode(claims.socket_path(layout)) != identity or not _has_reason(layout, environ):
                return
            # What is asked while some are made may be what those were made without.
            due = time.monotonic() + (PAUSE if maker else _LOOK)
            if not maker:
                maker = _fork(_make, layout, listener, environ)
                children.add(maker)


def _has_reason(layout: Layout, environ: dict[str, str]) -> bool:
    """Whether there is an engine, and spares that are there or are to be."""
    app = App(layout, _Asking(), environ=environ)
    try:
        if not daemon.reachable(app.host):
            return False
        count = spares.wanted(app.host, app.settings.box_spares)
        return bool(count or spares.unclaimed(app.engine))
    except ContainAIError:
        return False


def _fork(act: Callable[..., None], layout: Layout, listener: socket.socket, *given: Any) -> int:
    """Have a process of its own do something; return its number."""
    child = os.fork()
    if child == 0:
        try:
            listener.close()
            act(layout, *given)
        finally:
            os._exit(0)
    return child


def _received(connection: socket.socket, layout: Layout) -> _Request | None:
    """Return what this user asks; None where nothing is. Of another source, it is to end."""
    raw = b""
    try:
        connection.settimeout(_PATIENCE)
        if api.peer(connection).uid != layout.uid:
            return None
        while more := connection.recv(1 << 16):
            raw += more
            if len(raw) > _LIMIT:
                return None
    except OSError:
        return None
    words = os.fsdecode(raw).split("\0")
    if len(words) < 4:
        return None
    what, version, directory, path, *rest = words
    what = what if version == claims.version() else claims.END
    pairs = (word.partition("=") for word in rest)
    return _Request(what, directory, path, {name: value for name, _, value in pairs})


def _say(connection: socket.socket, said: Sequence[str]) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(b"\0".join(map(os.fsencode, [*said, "."])))


def _answer(layout: Layout, connection: socket.socket, request: _Request) -> None:
    """Do what `cai run` does, with a spare; say nothing where that does not go."""
    os.environ.clear()
    os.environ.update(request.environ)
    user = _Asking()
    app = App(layout, user, environ=os.environ)
    app.only_spares = True
    app.at_terminal = request.what == claims.CLAIM_AT_TERMINAL
    try:
        os.chdir(request.directory)
        enter.brought_up(app, Target(path=request.path), ["true"], enter.Wanted())
    except (NoSpareError, ContainAIError, OSError):
        return
    _say(connection, user.said)


def _make(layout: Layout, environ: dict[str, str]) -> None:
    """Have as many spares as there are to be; note what fails."""
    os.nice(19)
    os.environ.clear()
    os.environ.update(environ)
    app, note = App(layout, _Asking(), environ=os.environ), spares.note(layout)
    try:
        have(app)
        files.remove(note)
    except (NoSpareError, ContainAIError, OSError) as failed:
        files.write(note, str(failed), 0o600)


def have(app: App) -> None:
    """Have as many spare boxes as there are to be, each as good as one that would be made now.

    Nobody else makes any meanwhile. Raises ContainAIError.
    """
    lock = os.path.join(app.layout.state_dir, "spares.making")
    with files.lock(lock, wait=60, what="making spare boxes"):
        spares.mend(app.engine)
        spares.sweep(app.boxes)
        image = recipe.wanted(app.settings).reference
        _, digest = spares.ordered(app.boxes, image)
        there = spares.unclaimed(app.engine)
        left = spares.wanted(app.host, app.settings.box_spares, len(there)) if digest else 0
        for spare in there:
            if left and spares.is_good(app.boxes, spare, digest):
                left -= 1
            else:
                spares.remove(app.boxes, spare)
        for _ in range(left):
            order, digest = spares.ordered(app.boxes, image)
            if digest is not None:
                spares.make(app.boxes, order._replace(spare=digest), app.ui.say)
