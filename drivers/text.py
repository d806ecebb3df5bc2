"""The ``text`` driver: the protocol of a device as data of an instrument file, and no code.

What is sent and what comes back is said item by item, in patterns such as ``{status:d},{value:g}``.
A reply has to match its pattern as a whole, or there is no value. See ``docs/text-driver.md`` for
all keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from drivers._text_item import TextItem, check_beside
from drivers._text_settings import Step
from drivers._text_table import ITEM_KEYS, item_from_table
from drivers._text_talk import TextTalk
from drivers.base import BadItem
from drivers.channel import BlockRead, Channel, single_read
from drivers.unasked import Listeners, SilenceWatch
from mktl.errors import (
    ConfigurationError,
    DeviceError,
    DeviceRefused,
    InvalidReading,
    MktlError,
    ProtocolMismatch,
)

__all__ = ["TextDriver"]

_USUAL_POLL_S = 5.0
_NOT_DESCRIPTION = (*ITEM_KEYS, "controller", "poll_s", "simulate")

_Callback = Callable[[Any], None]


class TextDriver(TextTalk):
    """Any device that speaks lines of text."""

    driver_name: ClassVar[str] = "text"
    item_keys: ClassVar[tuple[str, ...]] = ITEM_KEYS

    def __init__(
        self, url: str, *, name: str | None = None, restore: Sequence[Any] = (), **settings: Any
    ) -> None:
        """Prepare a controller; see :class:`drivers.base.ControllerBase`.

        Args:
            url: Where the device is.
            name: What error texts and logs call it.
            restore: Steps that are taken again on each connect, after those of ``start``.
            settings: Those of ``docs/text-driver.md``. ``channels`` are tables like those of items,
                by name, for scripts; instrument files have items, or driver files.

        Raises:
            ConfigurationError: the URL, a setting or a channel is not valid.
        """
        self._items: dict[str, TextItem] = {}
        self._listeners = Listeners()
        self._watch = SilenceWatch(name or self.driver_name)
        super().__init__(url, name=name, restore=restore, **settings)
        try:
            self._channels = tuple(self._channels_of(settings.get("channels", {})))
        except ConfigurationError:
            self._line.close()
            raise

    def close(self) -> None:
        """Take back one :meth:`open`; the last one stops it for good."""
        super().close()
        if self._users <= 0:
            self._watch.close()

    def channels(self) -> tuple[Channel, ...]:
        """Return those of the setting ``channels``."""
        return self._channels

    def channel_for(self, key: str, table: Mapping[str, Any]) -> Channel:
        """Return the channel of an item with protocol keys; see ``docs/text-driver.md``.

        Raises:
            BadItem: the table is wrong.
        """
        item = item_from_table(key, table, self._speech)
        check_beside(item, (other for other in self._items.values() if other.key != key))
        self._items[key] = item
        if item.heard is not None:
            like = self._speech.line_like(item.heard.regex)
            self._line.learn(replace(self._line.settings, unsolicited=(like,)))
        sent, received = self._sizes(item)
        described = {name: value for name, value in table.items() if name not in _NOT_DESCRIPTION}
        return Channel(
            key,
            {**described, "type": item.type},
            read=_ItemRead(self, item) if item.ask is not None else None,
            write=partial(self._set, item) if item.tell is not None else None,
            poll_s=_USUAL_POLL_S if item.ask is not None else None,
            listen=partial(self._listen, item) if item.heard is not None else None,
            sent_bytes=sent,
            received_bytes=received,
        )

    def plan_reads(self, channels: Sequence[Channel]) -> list[BlockRead]:
        """Return one exchange for all channels that ask the same."""
        groups: dict[str, list[tuple[Channel, TextItem]]] = {}
        planned = []
        for channel in channels:
            read = channel.read
            if isinstance(read, _ItemRead) and read.driver is self and read.item.ask is not None:
                groups.setdefault(read.item.ask, []).append((channel, read.item))
            else:
                planned.append(single_read(channel))
        for ask, group in groups.items():
            first = group[0][0]
            planned.append(
                BlockRead(
                    tuple(channel for channel, _ in group),
                    partial(self.read_items, tuple(item for _, item in group)),
                    ask,
                    first.sent_bytes,
                    first.received_bytes,
                )
            )
        return planned

    def read_items(self, items: Sequence[TextItem]) -> list[Any]:
        """Ask once for *items*, which all have the same ``ask``.

        Returns:
            For each a value, or the DeviceError that says why it has none.

        Raises:
            ProtocolMismatch: the reply is not what one of them expects: then it is none at all.
            DeviceError: there is no reply.
        """
        ask = items[0].ask
        assert ask is not None
        with self.turn():
            reply = self.ask(ask, lines=items[0].lines, query=True)
            for item in items:
                try:
                    item.check_reply(reply)
                except ProtocolMismatch as error:
                    raise self._told_of(item, ask, error) from None
            if reply == ask and not self._settings.echo:
                echo = "that came back, which is an echo: with echo = true what follows it is read"
                raise self._told_of(items[0], ask, ProtocolMismatch(echo))
            return [self._value(item, ask, reply) for item in items]

    def replies_to(self, text: str) -> bool:
        """Whether the device surely answers *text*, by what the items and settings say of it."""
        known = {item.ask for item in self._items.values()}
        steps = (*self._speech.start, *self._restore)
        known.update(step.text for step in steps if step.reply is not None)
        if self._speech.error_query is not None:
            known.add(self._speech.error_query.ask)
        known.add(self._speech.identify_ask)
        return text in known or text.endswith("?") or self._told_by(text, acked=True)

    def ack_due(self, text: str) -> tuple[re.Pattern[str] | None, bool]:
        """Return what acknowledges *text* where it is an item's ``tell``; see :class:`TextTalk`."""
        for item in self._items.values():
            if item.ack is not None and item.tell is not None and item.tell.regex.fullmatch(text):
                return item.ack, item.ack_optional
        return None, False

    def raw(self, text: str) -> str:
        """Send *text* as it is, with what belongs around each message, and return the reply.

        Where nobody has said whether *text* is answered, it waits for ``timeout_s``.

        Returns:
            The reply, whatever it says; empty for what is known not to be answered, and for what
            was not answered in time although nobody had said that it would be.

        Raises:
            BadValue: *text* cannot be sent.
            DeviceError: as for any turn.
        """
        with self.turn():
            handshake = self._speech.handshake
            if self.replies_to(text):
                lines = (item.lines for item in self._items.values() if item.ask == text)
                return self._asked(text, lines=next(lines, 1))
            if self._told_by(text, acked=False):
                self.tell_checked(text, check=False)
                return ""
            if handshake is not None and handshake.enquiry:
                return self._asked(text)
            return self.exchange_perhaps(text)

    def heard(self, line: str) -> None:
        """Give what the device said unasked to those who listen for it."""
        data = line.encode("latin-1")
        try:
            text, error = self._speech.text(data), None
        except ValueError as reason:
            text, error = self._speech.loose_text(data), reason
        for item in tuple(self._items.values()):
            if item.heard is None or not item.heard.regex.fullmatch(text):
                continue
            self._watch.heard(item.key)
            value = self._value_heard(item, text, error)
            self._listeners.tell(item.key, value)

    # --- inside -----------------------------------------------------------------------------------

    def _channels_of(self, tables: object) -> list[Channel]:
        if not isinstance(tables, Mapping):
            raise ConfigurationError(f"channels: must be tables by name, not {tables!r}")
        made = []
        for name, table in tables.items():
            if not isinstance(table, Mapping):
                raise ConfigurationError(f"channels.{name}: must be a table, not {table!r}")
            try:
                channel = self.channel_for(name, table)
            except BadItem as error:
                raise ConfigurationError(f"channels.{name}.{error}") from None
            made.append(replace(channel, poll_s=table.get("poll_s", channel.poll_s)))
        return made

    def _sizes(self, item: TextItem) -> tuple[int | None, int | None]:
        if item.ask is None or item.reply is None:
            return None, None
        around_sent, around_received = self._speech.overhead_bytes
        sent = len(item.ask) + around_sent
        echo = sent if self._settings.echo else 0
        return sent, item.reply.usual_length + around_received + echo

    def _value(self, item: TextItem, ask: str, reply: str) -> Any:
        """Return the value, or the error that there is none."""
        assert item.reply is not None
        try:
            with self.turn():  # so that a mismatch puts the line back in step
                try:
                    return item.value_of(reply, item.reply)
                except (InvalidReading, ProtocolMismatch) as error:
                    raise self._told_of(item, ask, error) from None
        except DeviceError as error:
            return error

    def _value_heard(self, item: TextItem, text: str, error: ValueError | None) -> Any:
        assert item.heard is not None
        if error is not None:
            return ProtocolMismatch(f"{self.label}: {item.key}: heard {text!r}: {error}")
        try:
            return item.value_of(text, item.heard)
        except (InvalidReading, ProtocolMismatch) as reason:
            return type(reason)(f"{self.label}: {item.key}: unasked {reason}")

    def _told_of(self, item: TextItem, ask: str, error: DeviceError) -> DeviceError:
        after = ""
        if isinstance(error, ProtocolMismatch):
            after = "; the line is put back in step before anything else is sent"
        return type(error)(f"{self.label}: {item.key}: asked {ask!r}, and {error}{after}")

    def _take(self, step: Step, where: str) -> None:
        asked = [item.lines for item in self._items.values() if item.ask == step.text]
        if asked and step.reply is None:
            # Nobody wants to know; but left alone, it would be taken for the next answer.
            self.ask(step.text, lines=asked[0], query=True)
        else:
            super()._take(step, where)

    def _set(self, item: TextItem, value: Any) -> None:
        told = item.told(value)
        self._message(told.text)  # what cannot be sent is refused before the turn
        with self.turn():
            self.tell_checked(
                told.text, ack=item.ack, ack_optional=item.ack_optional, check=item.check
            )
            if not item.read_back or item.ask is None:
                return
            reply = self.ask(item.ask, lines=item.lines, query=True)
            try:
                difference = item.difference(told, reply)
            except (InvalidReading, ProtocolMismatch) as error:
                raise self._told_of(item, item.ask, error) from None
            if difference:
                raise DeviceRefused(f"{self.label}: {item.key} was not set: {difference}")

    def _told_by(self, text: str, *, acked: bool) -> bool:
        return any(
            item.tell.regex.fullmatch(text)
            for item in self._items.values()
            if item.tell is not None and (item.ack is not None) is acked and not item.ack_optional
        )

    # --- what the device says by itself -----------------------------------------------------------

    def _listen(self, item: TextItem, callback: _Callback) -> None:
        self._listeners.add(item.key, callback)
        if item.silence_s is not None:
            self._watch.expect(item.key, item.silence_s, partial(self._silent, item))

    def _silent(self, item: TextItem) -> None:
        assert item.heard is not None
        error = InvalidReading(
            f"{self.label}: {item.key}: nothing like {item.heard.text!r} was heard for "
            f"{item.silence_s:g} s"
        )
        self._listeners.tell(item.key, error)


class _ItemRead:
    """Reads one item."""

    def __init__(self, driver: TextDriver, item: TextItem) -> None:
        self.driver = driver
        self.item = item

    def __call__(self) -> Any:
        (value,) = self.driver.read_items((self.item,))
        if isinstance(value, MktlError):
            raise value
        return value
