"""How a text device speaks, as the table of its controller says: lines, sums, set answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from simulators._described_checksum import checksum_named
from simulators._described_pattern import with_unit
from simulators._described_regex import text_like, text_unlike
from simulators.device import SimulatorError

__all__ = ["Manners"]

_ERRORS = ('-113,"Undefined header"', "-1,error", "ERROR", "E1", "1", "?")
_NO_VALUE = "----"


class Manners:
    """What holds for all messages of one controller; raises `SimulatorError` if it cannot be."""

    def __init__(self, name: str, table: Mapping[str, Any], unit: int | None) -> None:
        """Understand the *table* of the controller *name*, whose address is *unit*."""
        self.where = f"controllers.{name}"
        self.unit = unit
        self._table = table
        self._encoding = str(table.get("encoding", "ascii"))
        self.send_end, self.reply_end = self._two_ways("terminator", "\r\n")
        self._send_begin, self._reply_begin = self._two_ways("prefix", "")
        if not self.reply_end:
            raise SimulatorError(f"{self.where}: a reply needs a terminator, it cannot be empty")
        self.echo = bool(table.get("echo", False))
        self.flow = str(table.get("ignore", ""))[:1].encode("latin-1", "replace")
        self._sum_sent, self._sum_received = self._checksums()
        handshake = table.get("handshake", {})
        self.has_handshake = bool(handshake)
        self.ack = self._bytes(handshake.get("ack", ""))
        self.nak = self._bytes(handshake.get("nak", ""))
        self.enquiry = self._bytes(handshake.get("enquiry", ""))
        self._sign_end = b"" if handshake.get("bare", False) else self.reply_end
        if len(self.enquiry) > 1:
            raise SimulatorError(
                f"{self.where}.handshake.enquiry: only one character is understood"
            )
        self.refused = self._like("refused")
        self.busy = self._like("busy")
        no_value = self._like("no_value")
        self.no_value = _NO_VALUE if no_value is None else no_value
        self.min_gap_s = float(table.get("min_gap_s", 0.0))

    # -- bytes and text ----------------------------------------------------------------------

    def received(self, message: bytes) -> str | None:
        """Return what a message says; None: its begin or its checksum is wrong."""
        if not message.startswith(self._send_begin):
            return None
        message = message.removeprefix(self._send_begin)
        if self._sum_sent is not None:
            length = len(self._sum_sent(b"x"))
            body, given = message[:-length], message[-length:]
            if not body or self._sum_sent(body).upper() != given.upper():
                return None
            message = body
        return message.decode(self._wide_encoding, "replace")

    def line(self, text: str) -> bytes:
        """Return *text* as the device sends it; it may have several lines."""
        data = text.encode(self._wide_encoding, "replace")
        return self.flow + b"".join(
            self._reply_begin + self._summed(line) + self.reply_end
            for line in data.split(self.reply_end)
        )

    def signal(self, sign: bytes) -> bytes:
        """Return what says ACK or NAK."""
        return self.flow + sign + self._sign_end

    @property
    def _wide_encoding(self) -> str:
        return "latin-1" if self._encoding == "ascii" else self._encoding

    def _summed(self, line: bytes) -> bytes:
        return line if self._sum_received is None else line + self._sum_received(line)

    def _two_ways(self, key: str, usual: str) -> tuple[bytes, bytes]:
        """Return what belongs to a message and to a reply; a key of its own goes first."""
        both = self._table.get(key, usual)
        sent, received = (self._table.get(f"{way}_{key}", both) for way in ("send", "reply"))
        return self._bytes(sent), self._bytes(received)

    def _bytes(self, text: object) -> bytes:
        try:
            return str(text).encode(self._wide_encoding)
        except (UnicodeEncodeError, LookupError) as error:
            raise SimulatorError(f"{self.where}: {text!r} cannot be sent: {error}") from error

    def _checksums(
        self,
    ) -> tuple[Callable[[bytes], bytes] | None, Callable[[bytes], bytes] | None]:
        given = self._table.get("checksum")
        if given is None:
            return None, None
        table = {"name": given} if isinstance(given, str) else given
        try:
            made = checksum_named(str(table.get("name")))
        except SimulatorError as error:
            raise SimulatorError(f"{self.where}.checksum: {error}") from None
        on = table.get("on", "both")
        return (made if on != "received" else None, made if on != "sent" else None)

    # -- texts that are always the same ------------------------------------------------------

    def answers(self) -> dict[str, str | None]:
        """Return the answers to all that is sent on connecting; None: there is none."""
        found: dict[str, str | None] = {}
        # What is told again may be a setting of an item, so it is no more than accepted here.
        for key in ("restore", "start"):
            for step in self._table.get(key, ()):
                found |= self._step(key, step)
        if "identify" in self._table:
            found |= self._step("identify", self._table["identify"])
        return found

    def identity(self) -> str | None:
        """Return the question for the identity."""
        asked = self._table.get("identify", {}).get("ask")
        return None if asked is None else self.said("identify.ask", asked)

    def error_query(self) -> tuple[str, str, str] | None:
        """Return the question for errors, the answer to it without one, and that with one."""
        table = self._table.get("error_query")
        if table is None:
            return None
        what = f"{self.where}.error_query.ok"
        if not ("ask" in table and "ok" in table):
            raise SimulatorError(f"{what}: it needs both ask and ok")
        regex = self.said("error_query.ok", table["ok"])
        return (
            self.said("error_query.ask", table["ask"]),
            text_like(regex, what),
            text_unlike(regex, _ERRORS, what),
        )

    def said(self, key: str, text: object) -> str:
        """Return *text*, which stands at *key*, with the unit number in it."""
        return with_unit(str(text), self.unit, f"{self.where}.{key}")

    def addresses(self, texts: list[str]) -> tuple[str, ...]:
        """Return the beginnings of *texts*, as in the file, up to the unit number in them."""
        return tuple(
            {
                self.said("url", text[: text.index("}", text.index("{unit")) + 1])
                for text in texts
                if "{unit" in text and self.unit is not None
            }
        )

    def templates(self) -> list[str]:
        """Return what is sent on connecting and to find errors, as it stands in the file."""
        steps = [
            *self._table.get("start", ()),
            *self._table.get("restore", ()),
            self._table.get("identify", {}),
            self._table.get("error_query", {}),
        ]
        return [
            step if isinstance(step, str) else str(step.get("ask", step.get("tell", "")))
            for step in steps
        ]

    def _step(self, key: str, step: Any) -> dict[str, str | None]:
        if isinstance(step, str):
            return {self.said(key, step): None}
        sent = step.get("ask", step.get("tell"))
        due = step.get("reply", step.get("ack"))
        if sent is None:
            raise SimulatorError(f"{self.where}.{key}: {step!r} says nothing to send")
        what = f"{self.where}.{key}"
        reply = None if due is None else text_like(self.said(key, due), what)
        return {self.said(key, sent): reply}

    def _like(self, key: str) -> str | None:
        regex = self._table.get(key)
        return None if regex is None else text_like(self.said(key, regex), f"{self.where}.{key}")
