"""What pyvisa-py leaves to be done on a HiSLIP connection: to wait, to look, and to clear it.

It loses what it has read of a message when its timeout comes before the rest; it gives an empty
message at once where none is due; and it takes the first message after a device clear for the
acknowledgement, although a reply may be on its way.

Source: IVI-6.1, High-Speed LAN Instrument Protocol: message header and types (2.5), message numbers
(3.1), device clear (6.12).
"""

from __future__ import annotations

import select
import struct
import time
from typing import Any

from mktl.errors import DeviceLost

__all__ = ["Hislip", "hislip"]

_HEADER = struct.Struct(">2sBBIQ")
_FATAL_ERROR, _DATA, _DATA_END = 2, 6, 7
_CLEAR_ACKNOWLEDGE, _ASYNC_CLEAR_ACKNOWLEDGE = 9, 23
_FIRST_NUMBER = 0xFFFF_FF00
_SYNCHRONIZED = 0  # of the features of a device clear, none
_MOST_BYTES = 65536


def hislip(interface: Any) -> Hislip | None:
    """Return what does the rest on *interface* of pyvisa-py; ``None`` if it is not HiSLIP."""
    try:
        from pyvisa_py.protocols import hislip as protocol  # type: ignore[import-untyped]
    except ImportError:
        return None
    return Hislip(interface, protocol) if isinstance(interface, protocol.Instrument) else None


class Hislip:
    """The two channels of one instrument. Used in the thread of the port only.

    A pause amid a message may be as long as the timeout of the resource, and no longer.
    """

    def __init__(self, instrument: Any, protocol: Any) -> None:
        """Take the instrument, and the module of pyvisa-py that it comes from."""
        self._instrument = instrument
        self._protocol = protocol

    def wait(self, deadline: float) -> bool:
        """Wait for the begin of a message, and read nothing of it; false: none came in time."""
        poll = select.poll()
        poll.register(self._instrument._sync, select.POLLIN)
        return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))

    def take_unasked(self) -> bytes:
        """Return what has come since the last reply, without waiting for more of it.

        A message without a number would be taken for the reply to whatever is asked next.
        """
        found = b""
        while len(found) < _MOST_BYTES and self.wait(0.0):
            kind, payload = self._next(self._instrument._sync)
            if kind in (_DATA, _DATA_END):
                found += payload
        return found

    def clear(self) -> None:
        """Have the instrument forget what it was asked, and drop what it has said until then."""
        instrument, send = self._instrument, self._protocol.send_msg
        send(instrument._async, "AsyncDeviceClear", 0, 0)
        self._skip_to(instrument._async, _ASYNC_CLEAR_ACKNOWLEDGE)
        send(instrument._sync, "DeviceClearComplete", _SYNCHRONIZED, 0)
        self._skip_to(instrument._sync, _CLEAR_ACKNOWLEDGE)
        instrument.last_message_id = None  # which forgets the rest of a message as well
        instrument._message_id = _FIRST_NUMBER

    def _skip_to(self, channel: Any, wanted: int) -> None:
        while self._next(channel)[0] != wanted:
            pass

    def _next(self, channel: Any) -> tuple[int, bytes]:
        """Read one message; of a long one the begin is returned."""
        header = self._protocol.receive_exact(channel, _HEADER.size)
        prologue, kind, _control, _parameter, left = _HEADER.unpack(header)
        if prologue != b"HS":
            raise DeviceLost("what came is no message of HiSLIP")
        payload = b""
        while left:
            part = bytes(self._protocol.receive_exact(channel, min(left, _MOST_BYTES)))
            payload = payload or part
            left -= len(part)
        if kind == _FATAL_ERROR:
            raise DeviceLost(f"the instrument has ended the connection: {payload!r}")
        return kind, payload
