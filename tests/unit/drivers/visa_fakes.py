"""Instruments for VISA that misbehave as a test decides: HiSLIP and VXI-11, on real sockets."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable

from tests.unit.drivers.fakes import FakeDevice

__all__ = ["ANY", "FakeHislip", "FakeVxi11", "hs"]

FATAL, DATA, DATA_END, SERVICE_REQUEST = 2, 6, 7, 20
ANY = 0xFFFF_FFFF
"""The number of a message that answers none in particular."""


def hs(kind: int, number: int = 0, payload: bytes = b"") -> bytes:
    """One message of HiSLIP."""
    return struct.pack(">2sBBIQ", b"HS", kind, 0, number, len(payload)) + payload


class FakeHislip(FakeDevice):
    """Agrees to everything; ``reply`` gives the bytes that answer a message, and its number.

    What is ``before`` the answer to a kind of message is sent first.
    """

    def __init__(self) -> None:
        self.reply: Callable[[int, bytes], bytes] = lambda number, data: hs(DATA_END, number, data)
        self.before: dict[int, bytes] = {}
        self.sync: socket.socket | None = None
        super().__init__()

    @property
    def url(self) -> str:
        return f"visa://TCPIP::127.0.0.1::hislip0,{self.port}::INSTR"

    def say(self, data: bytes) -> None:
        """Send on the channel for replies."""
        assert self.sync is not None
        self.sync.sendall(data)

    def _serve(self, peer: socket.socket) -> None:
        with contextlib.suppress(OSError), peer.makefile("rb") as stream:
            while len(header := stream.read(16)) == 16:
                _, kind, _, number, length = struct.unpack(">2sBBIQ", header)
                payload = stream.read(length)
                if kind == 0:
                    self.sync = peer
                peer.sendall(self.before.get(kind, b"") + self._answer(kind, number, payload))

    def _answer(self, kind: int, number: int, payload: bytes) -> bytes:
        if kind in (DATA, DATA_END):
            return self.reply(number, payload)
        return {
            0: hs(1, 0x0100_0001),
            8: hs(9),
            15: hs(16, 0, struct.pack(">Q", 65536)),
            17: hs(18),
            19: hs(23),
        }[kind]


class FakeVxi11(FakeDevice):
    """Takes one link and all messages, and hangs up when it is read."""

    @property
    def url(self) -> str:
        return f"visa://TCPIP::127.0.0.1,{self.port}::inst0::INSTR"

    def _serve(self, peer: socket.socket) -> None:
        with contextlib.suppress(OSError), peer.makefile("rb") as stream:
            while len(header := stream.read(4)) == 4:
                call = stream.read(struct.unpack(">I", header)[0] & 0x7FFF_FFFF)
                transaction, procedure = struct.unpack_from(">I16xI", call)
                if procedure == 12:
                    peer.shutdown(socket.SHUT_RDWR)
                    return
                results = (0,)
                if procedure == 10:
                    results = (0, 1, 0, 16384)
                elif procedure == 11:
                    results = (0, *struct.unpack_from(">I", call, 56))
                reply = struct.pack(f">{6 + len(results)}I", transaction, 1, 0, 0, 0, 0, *results)
                peer.sendall(struct.pack(">I", 0x8000_0000 | len(reply)) + reply)
