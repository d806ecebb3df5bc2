"""The settings of the text driver: how one device speaks, as an instrument file tells it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drivers._text_check import (
    checked_flag,
    checked_list,
    checked_regex,
    checked_seconds,
    checked_table,
    checked_text,
)
from drivers._text_wire import Wire
from drivers.framing.base import Framing
from drivers.framing.parts import with_unit
from drivers.framing.terminator import TerminatedReplies
from drivers.settings import Identity, LineSettings
from mktl.errors import BadValue, ConfigurationError, DeviceLost

__all__ = ["SETTINGS", "ErrorQuery", "Handshake", "Speech", "Step", "line_settings_of"]

SETTINGS = (
    *("terminator", "send_terminator", "reply_terminator"),
    *("prefix", "send_prefix", "reply_prefix", "identify", "start", "restarted"),
    *("refused", "refusals", "busy", "retry_s", "error_query", "checksum", "handshake", "no_value"),
    *("encoding", "settle_after", "echo", "ignore", "unsolicited", "channels"),
)
"""The settings that the driver has beside those of its line."""


@dataclass(frozen=True, slots=True, repr=False)
class Step:
    """One thing that is sent on connecting."""

    ask: str | None = None
    """What is asked; ``None``: it is told."""
    tell: str = ""
    """What is told."""
    reply: re.Pattern[str] | None = None
    """What the whole reply must look like; ``None``: none is due."""
    check: bool = True
    """Whether the error queue is read after it."""

    @property
    def text(self) -> str:
        """What is sent."""
        return self.tell if self.ask is None else self.ask

    def __repr__(self) -> str:
        """Return what is sent, as error texts show it."""
        return repr(self.text)


@dataclass(frozen=True, slots=True)
class Handshake:
    """Lines that say only that a message was understood."""

    ack: bytes
    """The whole line that says so."""
    nak: bytes | None
    """The whole line that says that it was not."""
    enquiry: bytes
    """What fetches the data then; empty: the data come by themselves, instead of the ack."""
    bare: bool = False
    """Whether both come without a terminator."""

    @property
    def shown(self) -> str:
        """Both of them, as error texts show them."""
        return repr(self.ack) if self.nak is None else f"{self.ack!r} or {self.nak!r}"


@dataclass(frozen=True, slots=True)
class ErrorQuery:
    """How to find out whether what was told was taken."""

    ask: str
    """What is asked."""
    ok: re.Pattern[str]
    """What the whole reply looks like when there is no error."""


@dataclass(frozen=True, slots=True)
class _BareSigns:
    """Makes what finds replies where an ACK has no terminator; equal ones do the same."""

    end: bytes
    limit: int
    signs: tuple[bytes, ...]

    def __call__(self) -> Framing:
        return TerminatedReplies(self.end, limit=self.limit, alone=self.signs)


class Speech(Wire):
    """How to speak with one device: what is around a text, and what texts mean."""

    def __init__(self, settings: Mapping[str, Any], unit: int | None) -> None:
        """Understand the settings among :data:`SETTINGS`; all others are left alone.

        Raises:
            ConfigurationError: one is wrong; the text begins with its name.
        """
        super().__init__(settings)
        self._given = settings
        self.unit = unit
        self.handshake = self._handshake(settings.get("handshake"))
        self.refused = self._optional_regex("refused")
        self._refusals = self._words("refusals")
        self.busy = self._optional_regex("busy")
        self.retry_s = checked_seconds("retry_s", settings.get("retry_s", 0.1), zero=False)
        self.no_value = self._optional_regex("no_value", has_unit=False)
        self.error_query = self._error_query(settings.get("error_query"))
        self.restarted = self._optional_regex("restarted")
        self.identify_ask: str | None = None
        self.identify = self._identify(settings.get("identify"))
        self.start = self.steps("start", settings.get("start", ()))
        self.unsolicited = tuple(
            self.line_like(self.regex("unsolicited", one))
            for one in checked_list("unsolicited", settings.get("unsolicited", ()))
        )

    @property
    def overhead_bytes(self) -> tuple[int, int]:
        """How many bytes a message and a reply have beside their text."""
        sent, received = super().overhead_bytes
        if self.handshake and self.handshake.enquiry:
            sent += len(self.handshake.enquiry)
            received += len(self.handshake.ack)
            received += 0 if self.handshake.bare else len(self.reply_end)
        return sent, received

    def is_busy(self, line: bytes) -> bool:
        """Whether *line* says: try again."""
        try:
            return bool(self.busy and self.busy.fullmatch(self.text(line)))
        except ValueError:
            return False

    def meaning(self, refusal: str) -> str:
        """Return what *refusal* means, in parentheses; empty if nobody has said."""
        found = self.refused.fullmatch(refusal) if self.refused is not None else None
        code = found[1] if found is not None and found.re.groups else None
        words = self._refusals.get(code or refusal)
        return f" ({words})" if words else ""

    def is_of_a_restart(self, line: bytes) -> bool:
        """Whether *line* is what the device says after it was switched on."""
        return bool(self.restarted and self.restarted.fullmatch(line.decode("latin-1")))

    # --- what stands in the file ------------------------------------------------------------------

    def steps(self, name: str, found: object) -> tuple[Step, ...]:
        """Understand a list of texts and of tables, as ``start`` and ``restore`` are.

        Raises:
            ConfigurationError: it is none; the text begins with *name*.
        """
        return tuple(self._step(name, one) for one in checked_list(name, found))

    def sendable(self, name: str, found: object) -> str:
        """Return *found*, a text that can be sent, with the unit number in it.

        Raises:
            ConfigurationError: it is none; the text begins with *name*.
        """
        text = checked_text(name, found)
        try:
            text = with_unit(text, self.unit)
            self.message(text)
        except (ConfigurationError, BadValue) as error:
            raise ConfigurationError(f"{name}: {error}") from None
        return text

    def regex(self, name: str, found: object) -> re.Pattern[str]:
        """Return the regular expression *found*, with the unit number in it.

        Raises:
            ConfigurationError: it is none; the text begins with *name*.
        """
        return checked_regex(name, found, self.unit)

    def _step(self, name: str, found: object) -> Step:
        if isinstance(found, str):
            return Step(tell=self.sendable(name, found))
        table = checked_table(name, found, ("ask", "reply", "tell", "ack", "check"))
        if ("ask" in table) == ("tell" in table):
            raise ConfigurationError(f"{name}: {found!r} must have either ask or tell")
        if "ask" in table:
            if "reply" not in table or {"ack", "check"} & table.keys():
                raise ConfigurationError(f"{name}: {found!r}: ask has a reply, and nothing else")
            reply = self.regex(name, table["reply"])
            return Step(ask=self.sendable(name, table["ask"]), reply=reply)
        if "reply" in table:
            raise ConfigurationError(f"{name}: {found!r}: tell has no reply, but an ack")
        ack = self.regex(name, table["ack"]) if "ack" in table else None
        check = checked_flag(f"{name}: check", table.get("check", True))
        return Step(tell=self.sendable(name, table["tell"]), reply=ack, check=check)

    def _optional_regex(self, name: str, *, has_unit: bool = True) -> re.Pattern[str] | None:
        found = self._given.get(name)
        return None if found is None else checked_regex(name, found, self.unit, has_unit=has_unit)

    def _words(self, name: str) -> Mapping[str, str]:
        found = self._given.get(name, {})
        if isinstance(found, Mapping) and all(isinstance(word, str) for word in found.values()):
            return found
        raise ConfigurationError(f'{name}: must be texts, like {{3 = "not now"}}, not {found!r}')

    def _handshake(self, found: object) -> Handshake | None:
        if found is None:
            return None
        table = checked_table("handshake", found, ("ack", "nak", "enquiry", "bare"))
        if "ack" not in table:
            raise ConfigurationError("handshake: ack is missing: the line that says: understood")
        ack, nak, enquiry = (
            self.to_bytes(f"handshake.{key}", table[key]) if key in table else None
            for key in ("ack", "nak", "enquiry")
        )
        if not ack or ack == nak:
            raise ConfigurationError("handshake: ack must be a text, and another one than nak")
        bare = checked_flag("handshake.bare", table.get("bare", False))
        if bare and nak == b"":
            raise ConfigurationError("handshake: without a terminator, nak cannot be empty")
        return Handshake(ack, nak, enquiry or b"", bare)

    def _error_query(self, found: object) -> ErrorQuery | None:
        if found is None:
            return None
        table = checked_table("error_query", found, ("ask", "ok"), all_of_them=True)
        return ErrorQuery(
            self.sendable("error_query.ask", table["ask"]),
            self.regex("error_query.ok", table["ok"]),
        )

    def _identify(self, found: object) -> Identity | None:
        if found is None:
            return None
        table = checked_table("identify", found, ("ask", "reply"), all_of_them=True)
        self.identify_ask = self.sendable("identify.ask", table["ask"])
        return Identity(
            self.message(self.identify_ask),
            self.regex("identify.reply", table["reply"]),
            self._check_restarted,
        )

    def _check_restarted(self, line: str) -> str:
        if self.is_of_a_restart(line.encode("ascii", "replace")):
            raise DeviceLost(f"it was switched off and on, as {line!r} came")
        return ""


def line_settings_of(
    defaults: LineSettings, speech: Speech, settings: Mapping[str, Any]
) -> LineSettings:
    """Return the settings of the line: the usual ones, and what follows from the speech.

    Raises:
        ConfigurationError: one is wrong; the text begins with its name.
    """
    usual = defaults.updated({k: v for k, v in settings.items() if k not in SETTINGS})
    values = {name: getattr(usual, name) for name in LineSettings.__dataclass_fields__}
    values.update(
        reply_end=speech.reply_end,
        identity=speech.identify,
        echo=checked_flag("echo", settings.get("echo", False)),
        ignore=_ignore(speech, settings.get("ignore", "")),
        unsolicited=speech.unsolicited,
        settle_after=_settle_after(speech, settings.get("settle_after", {})),
    )
    handshake = speech.handshake
    if handshake is not None and handshake.bare:
        signs = tuple(sign for sign in (handshake.ack, handshake.nak) if sign)
        values["framing"] = _BareSigns(speech.reply_end, usual.longest_reply, signs)
    return LineSettings(**values)


def _ignore(speech: Speech, found: object) -> bytes:
    ignore = checked_text("ignore", found, empty=True)
    if not all(ord(character) < 256 for character in ignore):
        raise ConfigurationError(f"ignore: {ignore!r} has characters that are more than one byte")
    dropped = ignore.encode("latin-1")
    needed = speech.reply_begin + speech.reply_end
    if speech.handshake is not None:
        needed += speech.handshake.ack + (speech.handshake.nak or b"")
    if any(byte in dropped for byte in needed):
        raise ConfigurationError(
            f"ignore: {ignore!r} has what begins or ends replies in it, or an ack"
        )
    return dropped


def _settle_after(speech: Speech, found: object) -> tuple[tuple[bytes, float], ...]:
    if not isinstance(found, Mapping):
        raise ConfigurationError(f'settle_after: must be like {{"OUT" = 0.25}}, not {found!r}')
    pairs = []
    for head, seconds in found.items():
        begin = speech.sendable("settle_after", head).encode(speech.encoding)
        pairs.append((speech.send_begin + begin, checked_seconds(f"settle_after.{head}", seconds)))
    return tuple(pairs)
