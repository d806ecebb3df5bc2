"""Modbus: registers as data, read in as few blocks as the device allows.

:class:`ModbusController` is the base of drivers for one model; :class:`ModbusDriver` takes what is
in which register from an instrument file (``driver = "modbus"``, see ``docs/modbus-driver.md``)::

    with ModbusController.open("modbus+tcp://192.168.10.30:502?unit=1") as plc:
        print(plc.read_holding_registers(0x2010, 3))
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

from drivers import _modbus_pdu as pdus
from drivers._modbus_address import number_of, place_text
from drivers._modbus_functions import ModbusFunctions, Refusal
from drivers._modbus_plan import Block, Span, plan
from drivers._modbus_register import Place, check_place
from drivers._modbus_settings import Restored
from drivers._modbus_types import BIT_TABLES, Register
from drivers._outcome import reason_only
from drivers.base import BadItem
from drivers.channel import BlockRead, Channel, single_read
from mktl.errors import (
    DeviceError,
    DeviceRefused,
    DeviceTimeout,
    InvalidReading,
    ProtocolMismatch,
)

__all__ = ["ModbusController", "ModbusDriver", "Place", "Register", "RegisterChannel"]

_log = logging.getLogger(__name__)
_NOT_THERE = (2, 3)
"""Exceptions that may be about one register of several, or about so many at once."""
_LOST = (DeviceTimeout, ProtocolMismatch)


@dataclass(frozen=True, slots=True)
class RegisterChannel(Channel):
    """A channel that is a register, and so can be read with others."""

    place: Place | None = None
    """Where it is."""


class ModbusController(ModbusFunctions):
    """One unit, and the values in its registers.

    Modbus functions as methods (:meth:`read_holding_registers` ...), values (:meth:`read_value`,
    :meth:`write_value`), and channels (:meth:`register_channel`) that are read in blocks.
    """

    def __init__(
        self, url: str, *, name: str | None = None, restore: Sequence[Any] = (), **settings: Any
    ) -> None:
        """As :class:`drivers.base.ControllerBase`; *restore* is a list of tables with a value."""
        self._pieces: dict[Block, tuple[Block, ...]] = {}
        self._unreadable: set[Span] = set()
        super().__init__(url, name=name, restore=restore, **settings)

    # --- values -----------------------------------------------------------------------------------

    def read_value(self, register: Register) -> Any:
        """Return what *register* holds, in its own units.

        Raises:
            InvalidReading: it holds no value.
            DeviceRefused: the unit answered with an exception; the text says which.
            DeviceError: as for any turn.
        """
        return self._decoded(register, self._words(register))

    def write_value(self, place: Place, value: Any) -> None:
        """Write *value*, and see to it that it was taken, as *place* says.

        If the answer is lost the register is read: did it not take, it is written once more. Where
        *place* forbids that, or it cannot be read, nobody knows then what became of it.

        Raises:
            BadValue: the register cannot hold it; nothing was sent.
            DeviceRefused: the unit answered with an exception, or holds something else now.
            DeviceTimeout: no answer; the text says what is known.
            DeviceError: as for any turn.
        """
        place.register.encode(value)
        with self.turn():  # what is read before is not to change before it is written
            words, pdu = self._to_write(place, value)
            if self.is_broadcast:  # nobody can be asked what became of it
                self.write(pdu)
                return
            try:
                self.write(pdu)
            except _LOST as error:
                self._find_out(place, value, pdu, error)
            if place.read_back:
                self._compare(place, value, words)

    def _to_write(self, place: Place, value: Any) -> tuple[list[int], bytes]:
        """Return the words, and the request that writes them."""
        register, address = place.register, place.write_address
        if register.bits is not None and place.write == "mask":
            return register.encode(value), pdus.mask_write(address, *register.mask(value))
        before = 0 if register.bits is None else self._words(register)[0]
        words = register.encode(value, before)
        single = len(words) == 1 and place.write != "multiple"
        if place.write_table in BIT_TABLES:
            write_bit = partial(pdus.write_bit, address, bool(words[0]))
            return words, write_bit() if single else pdus.write_bits(address, words)
        write_one = partial(pdus.write_register, address, words[0])
        return words, write_one() if single else pdus.write_registers(address, words)

    def _find_out(self, place: Place, value: Any, pdu: bytes, error: DeviceError) -> None:
        """See what became of a write whose answer was lost, and send it again if need be."""
        if not place.readable:
            raise error
        try:
            found = self._words(place.register)
        except DeviceError as again:
            why = reason_only(again)
            error.args = (f"{error}; it could not be read back either: {why}",)
            raise error from again
        holds = place.register.encode(value, found[0]) == found
        if not place.repeat:
            # What starts something may have held the same before, from the order before this one.
            what = (
                f"holds {value!r}, as it may have before" if holds else f"does not hold {value!r}"
            )
            error.args = (f"{error}; read back, {place.register.place} {what}",)
            raise error
        if holds:
            _log.warning("%s: the write was carried out all the same: %s", self.label, error)
            return
        _log.warning("%s: written once more, as it did not take: %s", self.label, error)
        self.write(pdu)

    def _compare(self, place: Place, value: Any, words: list[int]) -> None:
        register = place.register
        found = self._words(register)
        if register.encode(value, found[0]) != found:
            raise DeviceRefused(
                f"{self.label}: {value!r} was written to {place.written_at} as {words}, "
                f"but {register.place} holds {found}"
            )

    def _words(self, register: Register) -> list[int]:
        return self.read_table(register.table, register.address, register.width)

    def _decoded(self, register: Register, words: Sequence[int]) -> Any:
        try:
            return register.decode(words)
        except InvalidReading as error:
            raise InvalidReading(f"{self.label}: {error}") from None

    # --- channels ---------------------------------------------------------------------------------

    def register_channel(
        self,
        path: str,
        place: Place,
        item: Mapping[str, Any],
        *,
        settable: bool = False,
        poll_s: float | None = 5.0,
    ) -> RegisterChannel:
        """Return a channel that is the register at *place*; see :class:`Channel` for the rest."""
        register = place.register
        readable = place.readable and not self.is_broadcast
        if not place.readable:
            self._unreadable.add(_span(register))
        return RegisterChannel(
            path,
            item,
            read=partial(self.read_value, register) if readable else None,
            write=partial(self.write_value, place) if settable else None,
            poll_s=poll_s if readable else None,
            sent_bytes=self._sent_bytes,
            received_bytes=self._received_bytes(_span(register)),
            place=place,
        )

    def plan_reads(self, channels: Sequence[Channel]) -> list[BlockRead]:
        """Return the fewest exchanges that read *channels*: registers that are near in blocks."""
        by_span: dict[Span, list[RegisterChannel]] = {}
        others = []
        for channel in channels:
            if isinstance(channel, RegisterChannel) and channel.place is not None:
                by_span.setdefault(_span(channel.place.register), []).append(channel)
            else:
                others.append(channel)
        planned = []
        for block in plan(by_span, self.modbus.limits.with_holes(self._unreadable)):
            inside = [(span, channel) for span in block.wanted for channel in by_span[span]]
            wanted = [(span, channel.place.register) for span, channel in inside if channel.place]
            planned.append(
                BlockRead(
                    tuple(channel for _, channel in inside),
                    partial(self._read_block, block, wanted),
                    self._shown(block.span),
                    self._sent_bytes,
                    self._received_bytes(block.span),
                )
            )
        return [*planned, *map(single_read, others)]

    def on_connect(self) -> None:
        """Try whole blocks again: another configuration of the device may have all of them."""
        self._pieces.clear()

    def restore_setting(self, setting: Restored) -> None:
        """Write one of the ``restore`` values."""
        self.write_value(setting.place, setting.value)

    # --- inside -----------------------------------------------------------------------------------

    def _read_block(self, block: Block, wanted: Sequence[tuple[Span, Register]]) -> list[Any]:
        found: dict[Span, Sequence[int] | DeviceRefused] = {}
        self._fill(block, found)
        return [self._value_of(register, found[span]) for span, register in wanted]

    def _value_of(self, register: Register, words: Sequence[int] | DeviceRefused) -> Any:
        if isinstance(words, DeviceRefused):
            return words
        try:
            return register.decode(words)
        except InvalidReading as error:
            return InvalidReading(f"{self.label}: {error}")

    def _fill(self, block: Block, found: dict[Span, Sequence[int] | DeviceRefused]) -> None:
        """Read *block*, in pieces if the device does not have all of it, into *found*."""
        if self._pieces and block in self._pieces:
            for piece in self._pieces[block]:
                self._fill(piece, found)
            return
        span = block.span
        words = self.try_read(span.table, span.start, span.end - span.start)
        if not isinstance(words, Refusal):
            for wanted in block.wanted:
                found[wanted] = words[wanted.start - span.start : wanted.end - span.start]
            return
        pieces = block.pieces() if words.code in _NOT_THERE else ()
        if pieces:
            _log.warning("%s; read in %d pieces from now on", words.text, len(pieces))
            self._pieces[block] = pieces
            self._fill(block, found)
            return
        for wanted in block.wanted:
            found[wanted] = DeviceRefused(words.text)

    def _shown(self, span: Span) -> str:
        number = number_of(span.table, span.start, self.modbus.defaults.numbering)
        return place_text(span.table, span.start, span.end, number)

    @property
    def _sent_bytes(self) -> int:
        return 12 if self._numbered else 8

    def _received_bytes(self, span: Span) -> int:
        count = span.end - span.start
        size = (count + 7) // 8 if span.table in BIT_TABLES else 2 * count
        return size + (9 if self._numbered else 5)


class ModbusDriver(ModbusController):
    """Any Modbus device: what is in which register stands in the instrument file."""

    item_keys: ClassVar[tuple[str, ...]] = ("register", "plausible")

    def channel_for(self, key: str, table: Mapping[str, Any]) -> Channel:
        """Return the channel of an item with a ``register``."""
        if "register" not in table:
            raise BadItem("register", 'is missing: {table = "holding", address = 12}')
        place = check_place(table["register"], self.modbus.defaults)
        longest = self.modbus.limits.longest(place.register.table)
        if place.register.width > longest:
            raise BadItem("register.count", f"takes {place.register.width}, and {longest} at most")
        kinds = _kinds(place.register)
        kind = table.get("type", kinds[0])
        if kind not in kinds:
            raise BadItem("type", f"with this register it is {' or '.join(kinds)}, not {kind!r}")
        register = replace(
            place.register,
            truth_as_number=kind != "boolean",
            plausible=_plausible(table, place.register),
        )
        item = {name: value for name, value in table.items() if name not in self.item_keys}
        item.pop("settable", None)
        return self.register_channel(
            key,
            replace(place, register=register),
            {**item, "type": kind},
            settable=self._settable(table, place),
        )

    def _settable(self, table: Mapping[str, Any], place: Place) -> bool:
        settable = table.get("settable", False)
        if not isinstance(settable, bool):
            raise BadItem("settable", f"must be true or false, not {settable!r}")
        if settable and place.write_table not in ("holding", "coil"):
            raise BadItem("settable", f"table {place.write_table} cannot be written")
        if place.readable and not self.is_broadcast:
            return settable
        if not settable:
            what = "unit 0 of a serial line" if self.is_broadcast else "what is not readable"
            raise BadItem("settable", f"must be true: {what} can only be written")
        if place.register.bits is not None and place.write != "mask":
            raise BadItem("register.write", "unit 0 cannot be read: parts are written by mask only")
        return settable


def _kinds(register: Register) -> tuple[str, ...]:
    """Return the types that an item with *register* can have, the usual one first."""
    if register.count is not None:
        return ("numeric array",)
    if register.type == "string":
        return ("string",)
    if register.single_bit or register.type == "bool":
        return ("boolean", "enumerated", "mask", "numeric")
    return ("numeric", "enumerated", "mask")


def _plausible(table: Mapping[str, Any], register: Register) -> tuple[float, float] | None:
    bounds = table.get("plausible")
    if bounds is None:
        return None
    if not (
        isinstance(bounds, list | tuple)
        and len(bounds) == 2
        and all(isinstance(one, int | float) and math.isfinite(one) for one in bounds)
        and bounds[0] <= bounds[1]
    ):
        raise BadItem("plausible", f"must be [low, high], not {bounds!r}")
    if register.type == "string" or _kinds(register)[0] == "boolean":
        raise BadItem("plausible", "goes with numbers only")
    return bounds[0], bounds[1]


def _span(register: Register) -> Span:
    return Span(register.table, register.address, register.end)
