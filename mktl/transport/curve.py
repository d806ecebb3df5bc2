"""CURVE, libzmq's encryption and authentication: key pairs, and who may connect.

ZeroMQ asks one place in the process, by its ZAP protocol, about each connection that is being
made to an encrypted socket. Here that is :class:`Gate`: one thread, shared by all daemons of the
process, for as long as one of them needs it.
"""

from __future__ import annotations

import logging
import select
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import zmq

from .._ratelimit import RateLimitedLog
from ..errors import BadValue, ConfigurationError
from .context import context
from .shared import Wakeup

__all__ = ["Gate", "Guard", "check_available", "encrypt", "from_z85", "new_pair"]

_ENDPOINT = "inproc://zeromq.zap.01"
_VERSION = b"1.0"

_log = logging.getLogger(__name__)


def check_available() -> None:
    """See to it that this installation of ZeroMQ can encrypt.

    Raises:
        ConfigurationError: it cannot.
    """
    if not zmq.has("curve"):
        raise ConfigurationError(
            f"libzmq {zmq.zmq_version()} of this installation was built without CURVE: install "
            "the wheel of pyzmq, or a libzmq with libsodium"
        )


def new_pair() -> tuple[bytes, bytes]:
    """Return a new public key and the secret one that belongs to it."""
    check_available()
    public, secret = zmq.curve_keypair()
    return from_z85(public.decode()), from_z85(secret.decode())


def from_z85(text: str) -> bytes:
    """Return the bytes that *text* stands for in Z85.

    Raises:
        BadValue: it is not Z85.
    """
    from zmq.utils import z85

    try:
        return bytes(z85.decode(text.encode("ascii")))
    except (KeyError, ValueError, struct.error):
        raise BadValue(f"{text[:80]!r} is not a public key in Z85") from None


def encrypt(socket: zmq.Socket[bytes], own: tuple[bytes, bytes], server: bytes) -> None:
    """Have *socket*, not connected yet, speak only to whoever has the secret key of *server*.

    Args:
        socket: Of a client.
        own: Public and secret key.
        server: Public key.
    """
    check_available()
    socket.set(zmq.CURVE_PUBLICKEY, own[0])
    socket.set(zmq.CURVE_SECRETKEY, own[1])
    socket.set(zmq.CURVE_SERVERKEY, server)


@dataclass(frozen=True)
class Guard:
    """What the sockets of one daemon need to be encrypted.

    Args:
        pair: Public and secret key of the daemon.
        name: Of the daemon, for the log.
        uuid: Of the daemon; another one for each in this process.
        may_connect: Decides about a public key, as a text, on the thread of the gate.
    """

    pair: tuple[bytes, bytes] = field(repr=False)
    name: str
    uuid: str
    may_connect: Callable[[str], bool]

    def protect(self, socket: zmq.Socket[bytes]) -> None:
        """Encrypt *socket*, which is not bound yet."""
        check_available()
        socket.set(zmq.CURVE_SERVER, 1)
        socket.set(zmq.CURVE_PUBLICKEY, self.pair[0])
        socket.set(zmq.CURVE_SECRETKEY, self.pair[1])
        socket.set(zmq.ZAP_DOMAIN, self.uuid.encode())
        # Else everybody could connect if the gate were not there.
        socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)


_lock = threading.Lock()
_gate: Gate | None = None


class Gate:
    """Answers ZeroMQ's questions about who may connect."""

    def __init__(self) -> None:
        self._guards: dict[bytes, Guard] = {}
        self._refusals = RateLimitedLog(_log)
        self._context = context()
        self._socket = self._context.socket(zmq.REP)
        self._socket.set(zmq.LINGER, 0)
        try:
            self._socket.bind(_ENDPOINT)
        except zmq.ZMQError as error:
            self._socket.close()
            raise ConfigurationError(
                f"something else in this process decides who may connect: {error}"
            ) from error
        self._wakeup = Wakeup()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="mktl-gate", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, guard: Guard) -> None:
        """Ask *guard* about its daemon's connections, before the first socket is bound.

        Raises:
            ConfigurationError: ZeroMQ is asked to ask somebody else.
        """
        global _gate  # noqa: PLW0603 - one process has one gate
        with _lock:
            if _gate is None or _gate._context is not context():
                _gate = cls()
            _gate._guards[guard.uuid.encode()] = guard

    @classmethod
    def close(cls, guard: Guard) -> None:
        """Forget *guard*; with the last one, the thread ends."""
        global _gate  # noqa: PLW0603 - one process has one gate
        with _lock:
            gate = _gate
            if gate is None or gate._context is not context():
                return
            gate._guards.pop(guard.uuid.encode(), None)
            if not gate._guards:
                _gate = None
                gate._end()

    def _end(self) -> None:
        self._stopping = True
        self._wakeup.set()
        self._thread.join()
        # ZeroMQ closes later, on a thread of its own: the next gate must find the place free.
        self._socket.unbind(_ENDPOINT)
        self._socket.close()
        self._wakeup.close()

    def _run(self) -> None:
        poller = select.poll()
        poller.register(int(self._socket.get(zmq.FD)), select.POLLIN)
        poller.register(self._wakeup.fileno(), select.POLLIN)
        while not self._stopping:
            while int(self._socket.get(zmq.EVENTS)) & zmq.POLLIN and not self._stopping:
                self._socket.send_multipart(self._answer(self._socket.recv_multipart()))
            poller.poll()

    def _answer(self, question: list[bytes]) -> list[bytes]:
        """Return the answer to *question*: version, id, status, text, user, metadata."""
        request = question[1] if len(question) > 1 else b""
        try:
            allowed, key = self._judge(question)
        except Exception:  # a question that nobody answers would hold up all others
            _log.exception("it could not be found out whether somebody may connect")
            return [_VERSION, request, b"500", b"internal error", b"", b""]
        if allowed:
            return [_VERSION, request, b"200", b"OK", key.encode(), b""]
        return [_VERSION, request, b"400", b"not authorised", b"", b""]

    def _judge(self, question: list[bytes]) -> tuple[bool, str]:
        _version, _id, domain, address, _identity, mechanism, *credentials = question
        guard = self._guards.get(domain)
        if guard is None or mechanism != b"CURVE" or not credentials:
            return False, ""
        key = credentials[0].hex()
        if guard.may_connect(key):
            return True, key
        self._refusals.warning(
            "%s: a connection from %s was refused: its key %s is not authorised",
            guard.name, address.decode(errors="replace"), key,
        )  # fmt: skip
        return False, key
