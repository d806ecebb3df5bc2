"""Modbus functions, one unit: what the drivers in ``drivers.modbus`` stand on."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, TypeVar

from drivers import _modbus_pdu as pdus
from drivers._modbus_settings import NAMES, ModbusSettings, Restored, check_restore, check_settings
from drivers._modbus_sync import ModbusSync
from drivers.base import ControllerBase
from drivers.exchanged import Exchanged
from drivers.framing.modbus import EXCEPTION, MbapFraming, RtuFraming, mbap_frame, rtu_frame
from drivers.identity import Synchroniser
from drivers.ports import Port, PortDefaults, port_for_url, split_unit
from drivers.ports.serial import SerialSettings
from drivers.settings import LineSettings
from mktl.errors import (
    BadValue,
    ConfigurationError,
    DeviceError,
    DeviceRefused,
    DeviceTimeout,
    LinkDown,
    ProtocolMismatch,
)

__all__ = ["ModbusFunctions", "Refusal"]

_PORTS = {"modbus+tcp": "tcp", "modbus+rtu+tcp": "tcp", "modbus+rtu": "serial"}
_BUSY = (5, 6)
_ACKNOWLEDGE = 5
_BUSY_WAIT_S = 0.05
_GAP_CHARS = 3.5
_LEAST_GAP_S = 0.00175
_AFTER_BROADCAST_S = 0.1
_READS = (1, 2, 3, 4)
_QUERIES = (*_READS, 8)

# One row of numbers for all units: several of them share a connection, and so its late replies.
_transactions = itertools.count(1)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An exception reply."""

    code: int
    """The exception code."""
    text: str
    """Who refused what, and why."""


class ModbusFunctions(ControllerBase):
    """One unit behind Modbus TCP, a serial line (RTU), or such a line behind a TCP gateway.

    The URL is ``modbus+tcp://host:502?unit=1``, ``modbus+rtu:///dev/ttyS0?baud=19200&unit=3`` or
    ``modbus+rtu+tcp://host:4001?unit=3``. Addresses are those of the protocol, from 0.
    """

    driver_name: ClassVar[str] = "modbus"
    # MODBUS over Serial Line V1.02, sections 2.5.1 and 3.2: 19200 baud, even parity by default.
    port_defaults: ClassVar[PortDefaults] = PortDefaults(
        tcp_port=502, serial=SerialSettings(baud=19200, parity="even")
    )
    multi_drop: ClassVar[bool] = True
    driver_settings: ClassVar[tuple[str, ...]] = NAMES
    modbus_defaults: ClassVar[ModbusSettings] = ModbusSettings()
    """What is known of the device, where the instrument file does not say otherwise."""

    modbus: ModbusSettings
    """What is known of this unit."""

    # --- tables -----------------------------------------------------------------------------------

    def read_holding_registers(self, address: int, count: int) -> list[int]:
        """Return *count* holding registers from *address* on (function 3).

        Raises:
            BadValue: there cannot be so many at once, or not there; nothing was sent.
            DeviceRefused: the unit answered with an exception; the text says which.
            DeviceError: as for any turn.
        """
        return self.read_table("holding", address, count)

    def read_input_registers(self, address: int, count: int) -> list[int]:
        """Return *count* input registers (function 4); as :meth:`read_holding_registers`."""
        return self.read_table("input", address, count)

    def read_coils(self, address: int, count: int) -> list[int]:
        """Return *count* coils, 0 or 1 (function 1); as :meth:`read_holding_registers`."""
        return self.read_table("coil", address, count)

    def read_discrete_inputs(self, address: int, count: int) -> list[int]:
        """Return *count* inputs, 0 or 1 (function 2); as :meth:`read_holding_registers`."""
        return self.read_table("discrete", address, count)

    def write_register(self, address: int, value: int) -> None:
        """Write one holding register, 0 to 65535 (function 6).

        Raises:
            BadValue: it cannot hold that; nothing was sent.
            DeviceRefused: the unit answered with an exception; the text says which.
            DeviceTimeout: no answer; it may or may not have been written.
            DeviceError: as for any turn.
        """
        self.write(pdus.write_register(address, value))

    def write_registers(self, address: int, values: Sequence[int]) -> None:
        """Write registers in a row (function 16); as :meth:`write_register`."""
        self.write(pdus.write_registers(address, values))

    def write_coil(self, address: int, value: bool) -> None:
        """Write one coil (function 5); as :meth:`write_register`."""
        self.write(pdus.write_bit(address, value))

    def write_coils(self, address: int, values: Sequence[int]) -> None:
        """Write coils in a row (function 15); as :meth:`write_register`."""
        self.write(pdus.write_bits(address, values))

    def mask_write_register(self, address: int, and_mask: int, or_mask: int) -> None:
        """Make it (register and *and_mask*) or (*or_mask* and not *and_mask*) (function 22)."""
        self.write(pdus.mask_write(address, and_mask, or_mask))

    def loopback(self, data: int) -> None:
        """Have the unit send *data*, 0 to 65535, back (function 8); as :meth:`write_register`."""
        self.write(pdus.loopback(data))

    # --- any table, any request -------------------------------------------------------------------

    def read_table(self, table: str, address: int, count: int) -> list[int]:
        """Return registers, or bits, of *table*: ``holding``, ``input``, ``coil``, ``discrete``.

        Raises:
            BadValue: there cannot be so many at once, or not there; nothing was sent.
            DeviceRefused: the unit answered with an exception; the text says which.
            DeviceError: as for any turn.
        """
        words = self.try_read(table, address, count)
        if isinstance(words, Refusal):
            raise DeviceRefused(words.text)
        return words

    def try_read(self, table: str, address: int, count: int) -> list[int] | Refusal:
        """Return what :meth:`read_table` does, or the exception that the unit answered with."""
        pdu = pdus.read(table, address, count)
        return self._request(pdu, partial(pdus.read_reply, table, count))

    def write(self, pdu: bytes) -> None:
        """Send *pdu*, a request that is repeated by the reply to it.

        A broadcast (unit 0 of a serial line) has none: nobody says whether it was heard.

        Raises:
            DeviceRefused: the unit answered with an exception; the text says which.
            DeviceTimeout: no answer; it may or may not have been carried out.
            DeviceError: as for any turn.
        """
        if self.is_broadcast:
            self._line.exchange(self._frame(pdu), reply=False)
            return
        refusal = self._request(pdu, partial(pdus.write_reply, pdu))
        if refusal is not None:
            raise DeviceRefused(refusal.text)
        if not self._someone_answers:
            self._exclude_echo(pdu)

    def raw(self, text: str) -> str:
        """Send the function code and data that *text* has in hex, and return those of the reply.

        So ``03 0000 000a`` asks for ten holding registers. An exception reply is returned as it
        is: the function code + 0x80, and the code of the exception.

        Raises:
            BadValue: *text* is no request.
            DeviceError: as for any turn.
        """
        try:
            pdu = bytes.fromhex(text)
        except ValueError:
            raise BadValue(f"{self.label}: {text!r} is not hex, like 03 0000 000a") from None
        if not 1 <= len(pdu) <= 253 or not 1 <= pdu[0] < EXCEPTION:
            raise BadValue(f"{self.label}: {text!r} is not a function code, 01 to 7f, and its data")
        return self._exchange(pdu, None).hex(" ")

    @property
    def is_broadcast(self) -> bool:
        """Whether this is all units of a serial line at once: they can be told, but not asked."""
        return self.unit == 0 and not self._numbered

    # --- what the base asks for -------------------------------------------------------------------

    def line_settings(self, settings: dict[str, Any]) -> LineSettings:
        """Check the settings, and add what the transport asks for."""
        own = {name: settings.pop(name) for name in NAMES if name in settings}
        self.modbus = check_settings(own, self.modbus_defaults)
        line = self.line_defaults.updated(settings)
        # What the line itself sends back has no place among numbered replies, or is read away.
        self._no_echo = self._someone_answers = self._numbered or self.modbus.echo
        if self._numbered:
            return replace(line, framing=MbapFraming)
        gap_s = max(_GAP_CHARS * self._port(self._url)[0].char_s, _LEAST_GAP_S)
        return replace(
            line,
            framing=RtuFraming,
            min_gap_s=settings.get("min_gap_s", max(gap_s, line.min_gap_s)),
            echo=self.modbus.echo,
            settle_after=((b"\0", _AFTER_BROADCAST_S),),
        )

    def synchroniser(self) -> Synchroniser:
        """Return what puts this unit in step."""
        self._sync = ModbusSync(
            self._frame,
            numbered=self._numbered,
            loopback=self.modbus.loopback and not self.is_broadcast,
            expected=None if self.is_broadcast else self.modbus.expected,
            timeout_s=self._settings.timeout_s,
        )
        return self._sync

    def check_restore(self, restore: object) -> tuple[Restored, ...]:
        """Return the values that are written on each connect."""
        return check_restore(restore, self.modbus.defaults)

    def describe_exchange(self, exchange: Exchanged) -> str:
        """Return a line that says in words what was asked, and in hex what came back."""
        pdu = exchange.sent[7:] if self._numbered else exchange.sent[1:-2]
        back = exchange.error or (exchange.received or b"").hex(" ")
        text = f"{self._asked(pdu)}: {pdu.hex(' ')} -> {back}".rstrip()
        return f"{text}  ({exchange.took_s * 1000:.1f} ms)"

    # --- inside -----------------------------------------------------------------------------------

    @classmethod
    def _port(cls, url: str) -> tuple[Port, int | None]:
        plain, unit = split_unit(url)
        scheme, separator, rest = plain.partition("://")
        if not separator or scheme.lower() not in _PORTS:
            raise ConfigurationError(
                f"{url!r} is not a Modbus URL: write modbus+tcp://host:502?unit=1, "
                f"modbus+rtu:///dev/ttyS0?baud=19200&unit=1 or modbus+rtu+tcp://host:port?unit=1"
            )
        unit = 1 if unit is None else unit
        if scheme.lower() != "modbus+tcp" and unit > 247:
            raise ConfigurationError(f"{url!r}: units of a serial line are 1 to 247, not {unit}")
        return port_for_url(f"{_PORTS[scheme.lower()]}://{rest}", cls.port_defaults), unit

    @property
    def _numbered(self) -> bool:
        """Whether requests and replies have transaction numbers."""
        return self._url.lower().startswith("modbus+tcp://")

    def _asked(self, pdu: bytes) -> str:
        return pdus.function_text(pdu, self.modbus.defaults.numbering)

    def _frame(self, pdu: bytes) -> bytes:
        assert self.unit is not None
        if self._numbered:
            return mbap_frame(next(_transactions), self.unit, pdu)
        return rtu_frame(self.unit, pdu)

    def _exclude_echo(self, pdu: bytes) -> None:
        """See that *pdu* was answered by somebody: an echo looks as if a write was carried out.

        Raises:
            ProtocolMismatch: the line sends back what it is told.
        """
        try:
            self._exchange(pdus.read("holding", 0, 1), None)
        except DeviceTimeout:
            self._someone_answers = True  # an echo would have come
        except ProtocolMismatch as error:
            error.args = (f"{self._asked(pdu)}: nothing shows that anybody heard it: {error}",)
            raise

    def _request(self, pdu: bytes, check: Callable[[bytes], Result]) -> Result | Refusal:
        """Send *pdu* until the unit is not busy; return what *check* makes of the reply."""
        deadline: float | None = None
        while True:
            with self.turn():
                # The wait for one's turn does not count.
                now = time.monotonic()
                deadline = now + self._settings.timeout_s if deadline is None else deadline
                reply = self._exchange(pdu, deadline - now)
                if not reply[0] & EXCEPTION:
                    return check(reply)
            code = reply[1]
            text = f"{self.label}: {self._asked(pdu)}: {pdus.exception_text(code)}"
            if code == _ACKNOWLEDGE and pdu[0] not in _READS:
                raise DeviceTimeout(f"{text}; it may or may not be carried out in time")
            if code not in _BUSY or deadline - time.monotonic() < 2 * _BUSY_WAIT_S:
                return Refusal(code, text)
            time.sleep(_BUSY_WAIT_S)

    def _exchange(self, pdu: bytes, timeout_s: float | None) -> bytes:
        if self.is_broadcast:
            raise BadValue(f"{self.label}: unit 0 is all of them, and none of them answers")
        try:
            reply = self._line.exchange(
                self._frame(pdu), timeout_s=timeout_s, query=pdu[0] in _QUERIES
            )
        except LinkDown:
            self._someone_answers = self._no_echo
            raise
        except DeviceError as error:
            self._someone_answers = self._no_echo
            error.args = (f"{self._asked(pdu)}: {error}",)
            raise
        self._sync.answered()
        self._someone_answers = self._someone_answers or reply != pdu
        return reply
