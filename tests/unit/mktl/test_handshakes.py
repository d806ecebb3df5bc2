"""Why there is no connection to a peer that breaks off, as people are told."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
import zmq

from mktl.errors import HandshakeFailed, NotConnected
from mktl.transport.client import RequestClient
from mktl.transport.handshakes import mechanism_at
from tests._support import wait_until

PUBLIC = bytes(range(32))


class Hasty:
    """A peer that tells its mechanism only to who has not yet told another: as libzmq may do.

    libzmq sends ten bytes first, and the rest once it has heard of the version.
    """

    def __init__(self, mechanism: bytes) -> None:
        self._rest = b"\x00" + mechanism.ljust(20, b"\0") + bytes(32)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._run, name="hasty")
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _address = self._server.accept()
                with contextlib.suppress(OSError), peer:
                    self._greet(peer)

    def _greet(self, peer: socket.socket) -> None:
        heard = peer.recv(64)
        if len(heard) == 11:
            peer.sendall(b"\xff" + bytes(8) + b"\x7f\x03" + self._rest)
            return
        peer.sendall(b"\xff" + bytes(8) + b"\x7f\x03")
        while len(heard) < 64 and (more := peer.recv(64)):
            heard += more

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._server.close()


@pytest.fixture
def hasty(request: pytest.FixtureRequest) -> Iterator[Hasty]:
    made = Hasty(request.param)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("hasty", "key", "says"),
    [
        (b"NULL", PUBLIC, "speaks in clear text only"),
        (b"CURVE", PUBLIC, "does not have the key"),
        (b"CURVE", None, "wants CURVE"),
    ],
    indirect=["hasty"],
    ids=["plain", "encrypted", "encrypted, and we are not"],
)
def test_peer_that_breaks_off_before_it_told_its_mechanism_is_asked_for_it(
    hasty: Hasty, key: bytes | None, says: str
) -> None:
    client = RequestClient("127.0.0.1", hasty.port, server_key=key)

    def complains() -> bool:
        with pytest.raises(NotConnected, match=says) as caught:
            client.request(b"GET", "cryo.temp", ack_timeout_s=0.3)
        return isinstance(caught.value, HandshakeFailed)

    try:
        wait_until(complains)
    finally:
        client.close()


def test_the_mechanism_of_a_real_peer_is_found_out() -> None:
    with zmq.Context() as context:
        plain, encrypted = context.socket(zmq.ROUTER), context.socket(zmq.ROUTER)
        encrypted.curve_server = True
        _public, encrypted.curve_secretkey = zmq.curve_keypair()
        with plain, encrypted:
            for peer, expected in ((plain, "NULL"), (encrypted, "CURVE")):
                port = peer.bind_to_random_port("tcp://127.0.0.1")
                assert mechanism_at("127.0.0.1", port) == expected


def test_where_nobody_is_there_is_no_mechanism() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert mechanism_at("127.0.0.1", port) == ""
