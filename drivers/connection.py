"""One connection from its opening to its end: exchanges with a deadline, and what is stale."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from drivers.framing import TerminatedReplies
from drivers.framing.base import Framing
from drivers.ports.base import Port
from drivers.settings import LineSettings, Wake
from mktl.errors import DeviceLost, DeviceTimeout, ProtocolMismatch

__all__ = ["Connection", "Silence"]


class Silence(DeviceTimeout):
    """Nothing at all came back in time."""


class Connection:
    """An opened port and the replies that come through it. Used by one thread at a time."""

    def __init__(
        self,
        port: Port,
        settings: LineSettings,
        closing: threading.Event,
        heard: Callable[[str], None] | None = None,
    ) -> None:
        """Take a port that is not open yet.

        Args:
            port: The port; it belongs to the connection from now on.
            settings: Timing and framing.
            closing: Ends pauses.
            heard: Gets each line that looks like one of ``settings.unsolicited``.
        """
        self._closing = closing
        self._port = port
        self._settings = settings
        self._heard = heard
        self._replies: Framing = (
            TerminatedReplies(settings.reply_end, limit=settings.longest_reply)
            if settings.framing is None
            else settings.framing()
        )
        self._begun = b""
        """The beginning of a line that had come before something was asked."""
        self.ready_at = 0.0
        """Before this moment nothing may be sent."""
        self.used_at = time.monotonic()
        """When the last exchange ended well."""
        self.thrown_away = b""
        """The end of what came and was given to nobody, since this was last emptied."""
        self.suspect = ""
        """Why an answer might be to another question; empty while all is well."""
        self.listens = settings.wake is None
        """Whether the device need not be woken before it is sent something."""
        self.told = False
        """Whether anything was sent in this turn that may change something."""
        self.speaks = False
        """Whether the device was told to speak by itself, and nothing was sent since."""
        self.false_starts = 0
        """How often, one after the other, it could not be told so."""

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
        """Return what came before anything was asked, lines that may come unasked aside.

        Raises:
            DeviceLost: the port broke meanwhile.
        """
        if not self._settings.unsolicited:
            stale = self._replies.clear() + self._received(self._port.discard())
        else:
            stale = self.listen()
        self.throw_away(stale)
        return stale

    def listen(self) -> bytes:
        """Take what came unasked; return of it what is no line that may come unasked.

        The beginning of a line stays where it is: the rest of it is on its way.

        Raises:
            DeviceLost: the port broke meanwhile.
        """
        self._replies.feed(self._received(self._port.discard()))
        return self._take_unsolicited()

    def leave(self) -> None:
        """Note that the device is left alone, for how long nobody knows: it may fall asleep."""
        self.listens = self._settings.wake is None
        self.told = False

    def wake(self) -> None:
        """Have the device listen, if it may not; what it was saying is thrown away.

        Raises:
            DeviceTimeout: it does not say that it listens.
            ProtocolMismatch: it goes on speaking.
            DeviceLost: the port broke.
        """
        wake = self._settings.wake
        if wake is None or self.listens:
            return
        came = b""
        for _ in range(wake.tries):
            self.throw_away(self._replies.clear() + came)
            self.speaks = False
            self._port.write(wake.say, time.monotonic() + wake.within_s)
            came = self._read_until(wake)
            if came.endswith(wake.reply):
                self.throw_away(came)
                self.listens = True
                return
        raise DeviceTimeout(
            f"it does not wake up: {wake.say!r} was sent {wake.tries} times, and "
            f"{repr(came[-40:]) if came else 'nothing'} came back, not {wake.reply!r}"
        )

    def _read_until(self, wake: Wake) -> bytes:
        """Return what comes until the device says that it listens, and nothing more."""
        begin = time.monotonic()
        deadline = begin + wake.within_s
        came = b""
        while data := self._port.read(deadline):
            came += self._received(data)
            now = time.monotonic()
            if now > begin + wake.within_s + self._settings.drain_s:
                raise ProtocolMismatch(f"it goes on speaking, at last {came[-40:]!r}")
            quiet = now + self._settings.quiet_s
            deadline = quiet if came.endswith(wake.reply) else max(begin + wake.within_s, quiet)
        return came

    def throw_away(self, data: bytes) -> None:
        """Note that *data* is given to nobody."""
        self.thrown_away = (self.thrown_away + data)[-2 * self._settings.longest_reply :]

    def drain(self, *, quiet_s: float | None = None) -> None:
        """Read and forget until nothing has come for *quiet_s*, or only what comes unasked.

        Raises:
            ProtocolMismatch: it does not become quiet.
            DeviceTimeout: it has to be woken, and does not wake up.
            DeviceLost: the port broke.
        """
        quiet_s = quiet_s or self._settings.quiet_s
        self._begun = b""
        self.throw_away(self._take_unsolicited() + self._replies.clear())
        end = time.monotonic() + self._settings.drain_s + quiet_s
        if self._port.whole_messages:
            # Its own "device clear" ends all that was asked; a read with nothing to come would
            # put an error into the queue of the instrument.
            self._port.clear(end)
            return
        if self._settings.wake is not None:
            self.listens = False
            self.wake()
            return
        if self._settings.hush:
            self._port.write(self._settings.hush, end)
        if self._is_quiet_at(quiet_s, end):
            self.throw_away(self._replies.clear())

    def _is_quiet_at(self, quiet_s: float, end: float) -> bool:
        """Read and forget until *end* at the latest.

        Returns:
            Whether nothing came for *quiet_s*; else there were only lines that may come unasked.

        Raises:
            ProtocolMismatch: other bytes came until *end*.
        """
        other_at = time.monotonic()
        quiet_at = other_at + quiet_s
        lines_come = False
        while data := self._port.read(quiet_at):
            now = time.monotonic()
            came = self._received(data)
            other = self._other_of(came)
            self.throw_away(other)
            other_at = now if other else other_at
            lines_come = lines_come or not (other or self._replies.pending.endswith(came))
            # What has begun may be a reply that comes slowly.
            quiet_at = now + quiet_s if other or self._replies.pending else quiet_at
            if now > end and not (lines_come and now - other_at >= quiet_s):
                raise ProtocolMismatch(
                    f"bytes keep coming that nobody asked for, the last ones {data[-40:]!r}"
                )
            if now > min(end, quiet_at):
                return False
        return True

    def _other_of(self, came: bytes) -> bytes:
        """Return what is in *came*, and in what had begun, beside lines that may come unasked."""
        if not self._settings.unsolicited:
            return came
        self._replies.feed(came)
        return self._take_unsolicited()

    def wait_out(self, until: float) -> None:
        """Read, and give to nobody, what comes before the moment *until*.

        Raises:
            ProtocolMismatch: too much came without an end.
            DeviceLost: the port broke.
        """
        if self._port.whole_messages:
            return  # what was asked before ends with the device clear of drain()
        while time.monotonic() < until:
            data = self._received(self._port.read(until))
            if self._settings.unsolicited:
                self._replies.feed(data)
                data = self._take_unsolicited()
            self.throw_away(data)

    def exchange(self, message: bytes, deadline: float, *, reply: bool, lines: int = 1) -> bytes:
        """Write *message* and read one reply, if one is due, without its terminator.

        A reply of several *lines* has a terminator between each two of them. Whatever goes wrong
        leaves the connection suspect.

        Raises:
            DeviceTimeout: no complete reply before *deadline*; says what had come.
            DeviceLost: the port broke.
            ProtocolMismatch: what came is not one reply.
        """
        self.suspect = f"{message!r} was not answered in full"
        begun = self._replies.pending
        self.write(message, deadline)
        answer = b""
        if reply:
            answer = self._read_lines(deadline, lines, begun)
            if extra := self._take_unsolicited() + self._not_begun():
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
        self._replies.sent(message)
        self.speaks = False
        try:
            self._write(message, deadline)
        finally:
            self.ready_at = time.monotonic() + rest_s
        if settings.echo:
            self._read_echo(message, deadline)

    def _write(self, message: bytes, deadline: float) -> None:
        delay_s = self._settings.char_delay_s
        if not delay_s:
            self._port.write(message, deadline)
            return
        for index in range(len(message)):
            self._port.write(message[index : index + 1], deadline)
            if self._closing.wait(delay_s):
                raise DeviceLost("the controller was closed")

    def _read_echo(self, message: bytes, deadline: float) -> None:
        """Read *message* back, which comes before the reply.

        Raises:
            DeviceTimeout: it does not come.
            ProtocolMismatch: something else comes.
        """
        due = self._received(message)
        came = b""
        while len(came) < len(due) and due.startswith(came):
            data = self._received(self._port.read(deadline))
            if not data and time.monotonic() > deadline:
                raise DeviceTimeout(f"of the echo of {message!r} only {came!r} came back")
            came += data
        if not came.startswith(due):
            self.throw_away(came)
            raise ProtocolMismatch(f"the echo of {message!r} should come back, not {came[:80]!r}")
        self._replies.feed(came[len(due) :])

    def _read_lines(self, deadline: float, lines: int, begun: bytes) -> bytes:
        """Read *lines*; the first one that comes begins with *begun*, and so may be no reply."""
        if self._port.whole_messages:
            lines = 1
        came: list[bytes] = []
        self._begun = begun
        while len(came) < lines:
            try:
                came.append(self.read_reply(deadline))
            except DeviceTimeout as error:
                if not came:
                    raise
                raise DeviceTimeout(
                    f"{len(came)} of {lines} lines came back, the last one {came[-1]!r}, and then "
                    f"{error}"
                ) from None
        return self._settings.reply_end.join(came)

    def read_reply(self, deadline: float) -> bytes:
        """Read to the end of one reply.

        Raises:
            DeviceTimeout: it was not complete before *deadline*; says what had come.
            DeviceLost: the port broke.
            ProtocolMismatch: too much came without an end.
        """
        late = False
        while (reply := self._next_reply()) is None:
            if late:
                if pending := self._replies.pending:
                    raise DeviceTimeout(f"{pending!r} came back")
                raise Silence("nothing came back")
            data = self._received(self._port.read(deadline))
            # Asked after the read: what came while a busy machine kept us waiting came in time.
            late = time.monotonic() > deadline
            if self._port.whole_messages and data:
                reply = data.rstrip(b"\r\n")
                break
            self._replies.feed(data)
        self.ready_at = max(self.ready_at, time.monotonic() + self._settings.min_gap_s)
        begun, self._begun = self._begun, b""
        if begun:
            self.throw_away(reply + self._settings.reply_end)
            raise ProtocolMismatch(f"{reply!r} came back, of which {begun!r} had come unasked")
        return reply

    def _next_reply(self) -> bytes | None:
        """Return the next reply that is not a line which may come unasked."""
        while (reply := self._replies.next_reply()) is not None:
            if not self._is_unsolicited(reply):
                return reply
            self._begun = b""
        return None

    def _take_unsolicited(self) -> bytes:
        """Give away the lines that may come unasked; return the other ones that are complete."""
        other = b""
        if self._settings.unsolicited:
            while (reply := self._next_reply()) is not None:
                other += reply + self._settings.reply_end
        return other

    def _not_begun(self) -> bytes:
        """Take away what cannot be the beginning of a line that comes unasked."""
        return b"" if self._settings.unsolicited else self._replies.clear()

    def _is_unsolicited(self, line: bytes) -> bool:
        text = line.decode("latin-1")
        if not any(pattern.fullmatch(text) for pattern in self._settings.unsolicited):
            return False
        if self._settings.stream:
            self.used_at = time.monotonic()
        if self._heard is not None:
            self._heard(text)
        return True

    def _received(self, data: bytes) -> bytes:
        return data.translate(None, self._settings.ignore) if self._settings.ignore else data
