"""One connection from its opening to its end: exchanges with a deadline, and what is stale."""

from __future__ import annotations

import threading
import time

from drivers.framing import TerminatedReplies
from drivers.ports.base import Port
from drivers.settings import LineSettings
from mktl.errors import DeviceLost, DeviceTimeout, ProtocolMismatch

__all__ = ["Connection"]


class Connection:
    """An opened port and the replies that come through it. Used by one thread at a time."""

    def __init__(self, port: Port, settings: LineSettings, closing: threading.Event) -> None:
        """Take a port that is not open yet; *closing* ends pauses."""
        self._closing = closing
        self._port = port
        self._settings = settings
        self._replies = TerminatedReplies(settings.reply_end, limit=settings.longest_reply)
        self.ready_at = 0.0
        """Before this moment nothing may be sent."""
        self.used_at = time.monotonic()
        """When the last exchange ended well."""
        self.thrown_away = b""
        """The end of what came and was given to nobody, since this was last emptied."""
        self.suspect = ""
        """Why an answer might be to another question; empty while all is well."""

    def open(self) -> None:
        """Open the port, and note how long it wants to settle.

        Raises:
            DeviceLost: it cannot be opened.
            DeviceTimeout: not in time.
        """
        self._port.open(time.monotonic() + self._settings.connect_timeout_s)
        self.ready_at = time.monotonic() + self._settings.settle_s

    def close(self) -> None:
        """Release the port; a thread that waits in it gets a DeviceLost."""
        self._port.close()

    def pause(self) -> None:
        """Wait until the device may be spoken to again.

        Raises:
            DeviceLost: closed meanwhile.
        """
        while (rest_s := self.ready_at - time.monotonic()) > 0:
            if self._closing.wait(rest_s):
                raise DeviceLost("the controller was closed")

    def discard(self) -> bytes:
        """Return what came before anything was asked.

        Raises:
            DeviceLost: the port broke meanwhile.
        """
        stale = self._replies.clear() + self._port.discard()
        self.throw_away(stale)
        return stale

    def throw_away(self, data: bytes) -> None:
        """Note that *data* is given to nobody."""
        self.thrown_away = (self.thrown_away + data)[-2 * self._settings.longest_reply :]

    def drain(self, *, quiet_s: float | None = None) -> None:
        """Read and forget until nothing has come for *quiet_s*.

        Raises:
            ProtocolMismatch: it does not become quiet.
            DeviceLost: the port broke.
        """
        quiet_s = quiet_s or self._settings.quiet_s
        self.throw_away(self._replies.clear())
        end = time.monotonic() + self._settings.drain_s + quiet_s
        while data := self._port.read(time.monotonic() + quiet_s):
            self.throw_away(data)
            if time.monotonic() > end:
                raise ProtocolMismatch(
                    f"bytes keep coming that nobody asked for, the last ones {data[-40:]!r}"
                )

    def exchange(self, message: bytes, deadline: float, *, reply: bool) -> bytes:
        """Write *message* and read one reply, if one is due, without its terminator.

        Whatever goes wrong leaves the connection suspect.

        Raises:
            DeviceTimeout: no complete reply before *deadline*; says what had come.
            DeviceLost: the port broke.
            ProtocolMismatch: what came is not one reply.
        """
        self.suspect = f"{message!r} was not answered in full"
        self.write(message, deadline)
        answer = b""
        if reply:
            answer = self.read_reply(deadline)
            if extra := self._replies.clear():
                self.throw_away(answer + self._settings.reply_end + extra)
                raise ProtocolMismatch(f"{answer!r} came back, and then {extra!r}")
        self.used_at = time.monotonic()
        self.suspect = ""
        return answer

    def write(self, message: bytes, deadline: float) -> None:
        """Write *message*, and note when the next one may follow.

        Raises:
            DeviceTimeout: not all was sent before *deadline*.
            DeviceLost: the port broke.
        """
        settings = self._settings
        rest_s = settings.min_gap_s + len(message) * self._port.char_s
        rest_s += max(
            (s for head, s in settings.settle_after if message.startswith(head)), default=0
        )
        try:
            self._port.write(message, deadline)
        finally:
            self.ready_at = time.monotonic() + rest_s

    def read_reply(self, deadline: float) -> bytes:
        """Read to the end of one reply.

        Raises:
            DeviceTimeout: it was not complete before *deadline*; says what had come.
            DeviceLost: the port broke.
            ProtocolMismatch: too much came without an end.
        """
        while (reply := self._replies.next_reply()) is None:
            if time.monotonic() > deadline:
                pending = self._replies.pending
                raise DeviceTimeout(f"{pending!r} came back" if pending else "nothing came back")
            self._replies.feed(self._port.read(deadline))
        self.ready_at = max(self.ready_at, time.monotonic() + self._settings.min_gap_s)
        return reply
