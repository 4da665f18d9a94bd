"""What listens on a port that a container publishes: dockerd starts it in docker-proxy's place.

Docker's own ends with the dockerd that started it, and with it every connection: an editor that is
in a box would lose it whenever the engine is exchanged, upgraded or crashes. This one then takes no
more connections, so that its successor can, and goes on with those that it has. It keeps to what
dockerd expects of that program (github.com/moby/moby, cmd/docker-proxy), and becomes it for
whatever else is asked of it than a port of TCP.

What is said it never reads: the kernel moves it (splice(2)). There is one of these a box: what
modules would keep in memory for nothing is not imported.
"""

import _signal  # type: ignore[import-not-found] # typeshed does not know it
import _socket
import _thread
import fcntl
import os
import select

#: Where dockerd waits for "0\n" once it listens, or "1\n" and why not.
STATUS = 3
#: A socket that listens already, from Docker 28 on, where it says so.
GIVEN = 4
GIVEN_OPTION = "-use-listen-fd"
#: How much of a connection is under way at most, in bytes.
PIPE = 1 << 20
#: A box that is gone without a word is noticed after that many seconds, and so many more questions.
IDLE, INTERVAL, COUNT = 60, 10, 3
STACK = 1 << 17
_OPTIONS = ("-proto", "-host-ip", "-host-port", "-container-ip", "-container-port")


class Port:
    """A port of this machine, and where it leads. `given` says that a socket listens already."""

    def __init__(
        self, host: str, number: int, container: str, inside: int, *, given: bool = False
    ) -> None:
        self.host, self.number = host, number
        self.container, self.inside = container, inside
        self.given = given


def asked(arguments: list[str]) -> Port | None:
    """Return what dockerd wants, or None for what is Docker's own program's to do."""
    words = [word for word in arguments if word != GIVEN_OPTION]
    options = dict(zip(words[::2], words[1::2], strict=False))
    if len(words) != 2 * len(_OPTIONS) or set(options) != set(_OPTIONS):
        return None
    protocol, host, number, container, inside = (options[key] for key in _OPTIONS)
    if protocol != "tcp" or not (number.isdecimal() and inside.isdecimal()):
        return None
    return Port(host, int(number), container, int(inside), given=GIVEN_OPTION in arguments)


def docker_proxy() -> str:
    """Return Docker's own program: beside the dockerd that started us, or where it is otherwise."""
    try:
        beside = os.path.dirname(os.readlink(f"/proc/{os.getppid()}/exe"))
    except OSError:
        beside = "/usr/bin"
    places = (beside, "/usr/bin", "/usr/sbin", "/usr/libexec/docker")
    paths = [os.path.join(place, "docker-proxy") for place in places]
    return next((path for path in paths if os.access(path, os.X_OK)), paths[0])


def _family(address: str) -> int:
    return _socket.AF_INET6 if ":" in address else _socket.AF_INET


def listening(port: Port) -> _socket.socket:
    """Return the socket that takes connections. Raises OSError."""
    if port.given:
        return _socket.socket(fileno=GIVEN)
    family = _family(port.host)
    listener = _socket.socket(family, _socket.SOCK_STREAM)
    # Connections that an earlier one still has do not keep the port.
    listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
    if family == _socket.AF_INET6:
        listener.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1)
    listener.bind((port.host, port.number))
    listener.listen(4096)
    return listener


def connected(port: Port) -> _socket.socket:
    """Return a connection to the container. Raises OSError."""
    connection = _socket.socket(_family(port.container), _socket.SOCK_STREAM)
    try:
        connection.connect((port.container, port.inside))
    except OSError:
        connection.close()
        raise
    connection.setsockopt(_socket.SOL_SOCKET, _socket.SO_KEEPALIVE, 1)
    for option, value in (
        (_socket.TCP_KEEPIDLE, IDLE),
        (_socket.TCP_KEEPINTVL, INTERVAL),
        (_socket.TCP_KEEPCNT, COUNT),
    ):
        connection.setsockopt(_socket.IPPROTO_TCP, option, value)
    return connection


def carry(source: _socket.socket, target: _socket.socket) -> None:
    """Hand over what comes from a connection to another until it ends; then that ends, too."""
    out, into = os.pipe2(os.O_CLOEXEC)
    try:
        _widen(into)
        while there := os.splice(source.fileno(), into, PIPE):
            while there:
                there -= os.splice(out, target.fileno(), there)
        target.shutdown(_socket.SHUT_WR)
    except OSError:
        # One of them has ended in the middle: so does the other, both ways.
        for connection in (source, target):
            _cut(connection)
    finally:
        os.close(out)
        os.close(into)


def _widen(pipe: int) -> None:
    try:
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE)
    except OSError:
        return  # root of some machines may have no more


def _cut(connection: _socket.socket) -> None:
    try:
        connection.shutdown(_socket.SHUT_RDWR)
    except OSError:
        return  # it was


class Connections:
    """Those that are open, each with two threads."""

    def __init__(self, port: Port) -> None:
        self.port = port
        self._lock = _thread.allocate_lock()
        self._open = 0
        self._last = False

    def take(self, fd: int) -> None:
        """Serve one that was accepted."""
        with self._lock:
            self._open += 1
        try:
            _thread.start_new_thread(self._serve, (_socket.socket(fileno=fd),))
        except RuntimeError:  # no thread is to be had
            os.close(fd)
            self._done()

    def end_with_the_last(self) -> None:
        """End this process once none is open."""
        with self._lock:
            self._last = True
            if not self._open:
                os._exit(0)

    def _done(self) -> None:
        with self._lock:
            self._open -= 1
            if self._last and not self._open:
                os._exit(0)

    def _serve(self, client: _socket.socket) -> None:
        try:
            self._relay(client)
        except (OSError, RuntimeError):
            pass  # nobody listens in there, or no more threads are to be had
        finally:
            client.close()
            self._done()

    def _relay(self, client: _socket.socket) -> None:
        server = connected(self.port)
        try:
            for connection in (client, server):
                connection.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            back = _thread.allocate_lock()
            back.acquire()

            def answer() -> None:
                carry(server, client)
                back.release()

            _thread.start_new_thread(answer, ())
            carry(client, server)
            back.acquire()
        finally:
            server.close()


def signals() -> int:
    """Return a descriptor that says, by number, that we were told to end: at any moment."""
    out, into = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    _signal.set_wakeup_fd(into)
    for number in (_signal.SIGINT, _signal.SIGTERM):
        _signal.signal(number, lambda *_: None)
    return out


def serve(listener: _socket.socket, told: int, connections: Connections) -> None:
    """Take connections. SIGINT, by which dockerd takes a port back, ends them and us.

    SIGTERM, which the kernel sends when dockerd has ended, ends no connection.
    """
    listener.setblocking(False)
    waiting = select.poll()
    waiting.register(told, select.POLLIN)
    waiting.register(listener.fileno(), select.POLLIN)
    while True:
        ready = [fd for fd, _ in waiting.poll()]
        if told in ready:
            if _signal.SIGINT in os.read(told, 64):
                os._exit(0)
            if listener.fileno() >= 0:
                waiting.unregister(listener.fileno())
                listener.close()
            connections.end_with_the_last()
        elif ready:
            try:
                fd, _ = listener._accept()  # type: ignore[attr-defined] # what socket.accept calls
            except OSError:
                # It had gone, or there are no descriptors for a moment.
                select.select([], [], [], 0.01)
                continue
            connections.take(fd)


def main(arguments: list[str]) -> None:
    """Listen, say so, and serve; or become Docker's own program."""
    port = asked(arguments)
    if port is None:
        program = docker_proxy()
        os.execv(program, [program, *arguments])
    told = signals()
    try:
        listener = listening(port)
    except OSError as wrong:
        # As Go says it, which dockerd hands on.
        why = f"listen tcp {port.host}:{port.number}: bind: {(wrong.strerror or '').lower()}"
        os.write(STATUS, f"1\n{why}".encode())
        os._exit(1)
    os.write(STATUS, b"0\n")
    os.close(STATUS)
    os.chdir("/")
    _thread.stack_size(STACK)
    serve(listener, told, Connections(port))
