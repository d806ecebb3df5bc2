"""Devices that speak Modbus: what a model gives is its tables, the rest is here.

A model overrides `ModbusDevice.read_bit`, `read_word`, `check_bit`, `write_bit`, `check_word` and
`write_word`, or those of the plural where it has blocks of its own. Frames and requests are our
own code, on no library that a driver may use.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from simulators._modbus_frames import MbapFramer, Request, RtuFramer, mbap_frame, rtu_frame, unframe
from simulators._modbus_requests import (
    FUNCTIONS,
    Code,
    ModbusError,
    Table,
    exception_reply,
    reply_to,
)
from simulators.device import Device, Framer

__all__ = ["Code", "ModbusDevice", "ModbusError", "Table"]

_BROADCAST = 0


class ModbusDevice(Device):
    """A device that is a set of tables."""

    functions: frozenset[int] = FUNCTIONS
    """Function codes that it knows; others are answered with exception 1."""
    any_unit: bool = False
    """True: it answers whatever the unit address is, as long as it is alone behind its port."""
    binary = True
    abilities = frozenset({"exception", "busy"})

    def __init__(self, *, unit: int = 1) -> None:
        """Be the unit of this address, 1 to 247."""
        self.unit = unit

    # -- what a model is made of -------------------------------------------------------------

    def before(self, function: int) -> None:
        """Take note of a request with this function code, before it is obeyed.

        Raises:
            ModbusError: it is not obeyed; this is the answer.
        """

    def read_bit(self, table: Table, address: int) -> bool:  # noqa: ARG002 - for models
        """Read a coil or discrete input.

        Raises:
            ModbusError: `Code.ILLEGAL_ADDRESS`: there is none.
        """
        raise ModbusError(Code.ILLEGAL_ADDRESS)

    def check_bit(self, address: int, value: bool) -> None:  # noqa: ARG002
        """Pass if *value* may be written to the coil at *address*.

        Raises:
            ModbusError: it may not; by default where there is no coil to be read.
        """
        self.read_bit(Table.COILS, address)

    def write_bit(self, address: int, value: bool) -> None:  # noqa: ARG002
        """Write a coil, after `check_bit` has passed."""
        raise ModbusError(Code.ILLEGAL_ADDRESS)

    def read_word(self, table: Table, address: int) -> int:  # noqa: ARG002
        """Read a holding or input register; 0 to 65535.

        Raises:
            ModbusError: `Code.ILLEGAL_ADDRESS`: there is none.
        """
        raise ModbusError(Code.ILLEGAL_ADDRESS)

    def check_word(self, address: int, value: int) -> None:  # noqa: ARG002
        """Pass if *value* may be written to the register at *address*.

        Raises:
            ModbusError: it may not; by default where there is no register to be read.
        """
        self.read_word(Table.HOLDING_REGISTERS, address)

    def write_word(self, address: int, value: int) -> None:  # noqa: ARG002
        """Write a holding register, after `check_word` has passed."""
        raise ModbusError(Code.ILLEGAL_ADDRESS)

    # -- tables ------------------------------------------------------------------------------

    def read_bits(self, table: Table, address: int, count: int) -> Sequence[bool]:
        """Read *count* bits one by one."""
        return [self.read_bit(table, address + n) for n in range(count)]

    def write_bits(self, address: int, values: Sequence[bool]) -> None:
        """Write coils one by one, once all of them have passed the check."""
        for place, value in enumerate(values, address):
            self.check_bit(place, value)
        for place, value in enumerate(values, address):
            self.write_bit(place, value)

    def read_words(self, table: Table, address: int, count: int) -> Sequence[int]:
        """Read *count* words one by one."""
        return [self.read_word(table, address + n) for n in range(count)]

    def write_words(self, address: int, values: Sequence[int]) -> None:
        """Write registers one by one, once all of them have passed the check."""
        for place, value in enumerate(values, address):
            self.check_word(place, value)
        for place, value in enumerate(values, address):
            self.write_word(place, value)

    # -- messages ----------------------------------------------------------------------------

    def framer(self) -> Framer:
        """Cut a TCP stream."""
        return MbapFramer()

    def framer_for(self, transport: str) -> Framer:
        """Cut a stream of *transport*: MBAP, or RTU on a serial line and through a gateway."""
        return RtuFramer() if _is_rtu(transport) else MbapFramer()

    def answer(self, message: bytes) -> bytes:
        """Obey a frame with an MBAP header."""
        return self.answer_on("modbus+tcp", message)

    def answer_on(self, transport: str, message: bytes) -> bytes:
        """Obey a frame; damaged ones, and those for other units, are ignored."""
        rtu = _is_rtu(transport)
        request = unframe(message, rtu=rtu)
        if request is None:
            return b""
        if rtu and request.unit == _BROADCAST:
            # Everybody obeys and nobody answers (Serial Line, 2.1).
            self._obey(request.pdu)
            return b""
        if not self._is_meant(request.unit):
            return b""
        return _framed(self._obey(request.pdu), request, rtu=rtu)

    def refusal(
        self, transport: str, message: bytes, fault: str, how: Mapping[str, float | str]
    ) -> bytes:
        """Answer with the exception code of the fault; ``busy`` is exception 6."""
        rtu = _is_rtu(transport)
        request = unframe(message, rtu=rtu)
        if request is None or not self._is_meant(request.unit):
            return b""
        code = int(how["code"]) if fault == "exception" else Code.BUSY
        return _framed(exception_reply(request.pdu, code), request, rtu=rtu)

    def framing_bytes(self, transport: str, reply: bytes) -> Collection[int]:  # noqa: ARG002
        """Spare the length in an MBAP header; an RTU frame ends with a silence."""
        return () if _is_rtu(transport) else (4, 5)

    def _is_meant(self, unit: int) -> bool:
        return unit == self.unit or (self.any_unit and not self.shares_line)

    def _obey(self, pdu: bytes) -> bytes:
        if pdu[0] not in self.functions:
            return exception_reply(pdu, Code.ILLEGAL_FUNCTION)
        try:
            self.before(pdu[0])
        except ModbusError as refused:
            return exception_reply(pdu, refused.code)
        return reply_to(pdu, self)


def _framed(pdu: bytes, request: Request, *, rtu: bool) -> bytes:
    """Wrap *pdu*, the answer to *request*."""
    if rtu:
        return rtu_frame(request.unit, pdu)
    return mbap_frame(request.unit, pdu, request.transaction)


def _is_rtu(transport: str) -> bool:
    return transport.startswith("modbus+rtu")
