"""A unit on a Pfeiffer RS-485 bus: what it does with a telegram, whatever its parameters are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from simulators._pfeiffer_telegrams import (
    ASK,
    BOOLEAN,
    LONGEST_TELEGRAM,
    READ,
    TEXT_WIDTH,
    WRITE,
    Complaint,
    DataType,
    RefusedError,
    Telegram,
    parse,
)
from simulators.device import Device, LineFramer, SimulatorError

LOWEST_ADDRESS, HIGHEST_ADDRESS = 1, 255
"""Addresses of units (sheet)."""

_COMPLAINTS = {1: Complaint.NO_DEF, 2: Complaint.RANGE}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a unit."""

    read: Callable[[], str] | None
    """Gives the data of a reply; None: it can be written only."""
    write: Callable[[str], None] | None = None
    """Takes the data of a request, or raises `RefusedError`; None: it can be read only."""


def number(
    kind: DataType,
    read: Callable[[], float] | None,
    write: Callable[[float], None] | None = None,
    *,
    low: float = 0.0,
    high: float = 999_999.0,
) -> Parameter:
    """Make a parameter that is a number; only one within *low* to *high* can be written."""

    def store(text: str) -> None:
        if len(text) != kind.width:
            raise RefusedError(Complaint.RANGE)
        value = kind.decode(text)
        if not low <= value <= high:
            raise RefusedError(Complaint.RANGE)
        assert write is not None, "only used with one"
        write(value)

    return Parameter(
        None if read is None else lambda: kind.encode(read()), None if write is None else store
    )


def flag(read: Callable[[], bool], write: Callable[[bool], None] | None = None) -> Parameter:
    """Make a parameter that is true or false."""
    return number(BOOLEAN, read, None if write is None else lambda value: write(bool(value)))


def text(read: Callable[[], str]) -> Parameter:
    """Make a parameter that is a string of six characters."""
    return Parameter(lambda: read()[:TEXT_WIDTH].rjust(TEXT_WIDTH))


class PfeifferUnit(Device):
    """One unit; several of them share a line."""

    default_baud = 9600
    abilities = frozenset({"exception"})
    line_end = b"\r"
    reply_end = b"\r"

    def __init__(self, *, unit: int) -> None:
        """Be the unit of this address.

        Raises:
            SimulatorError: it cannot be an address.
        """
        if not LOWEST_ADDRESS <= unit <= HIGHEST_ADDRESS:
            raise SimulatorError(
                f"an address is within {LOWEST_ADDRESS} to {HIGHEST_ADDRESS}, not {unit}"
            )
        self.unit = unit

    @abstractmethod
    def parameters(self) -> Mapping[int, Parameter]:
        """Give its parameters by number."""

    def framer(self) -> LineFramer:
        """Cut at CR; of a message that is too long for a telegram a part is kept."""
        return LineFramer(longest=LONGEST_TELEGRAM, end=b"\r")

    def answer(self, message: bytes) -> bytes:
        """Obey one telegram; what is no telegram, or not for this unit, is not answered."""
        request = self._request(message)
        if request is None:
            return b""
        try:
            data = self._obey(request)
        except RefusedError as refused:
            data = refused.complaint.value
        return Telegram(request.address, WRITE, request.parameter, data).encoded()

    def refusal(
        self, transport: str, message: bytes, fault: str, how: Mapping[str, float | str]
    ) -> bytes:
        """Answer a telegram with an error: code 1 is NO_DEF, 2 is _RANGE, others are _LOGIC."""
        if fault != "exception":
            return super().refusal(transport, message, fault, how)
        request = self._request(message)
        if request is None:
            return b""
        complaint = _COMPLAINTS.get(int(how["code"]), Complaint.LOGIC)
        return Telegram(request.address, WRITE, request.parameter, complaint.value).encoded()

    def unasked(self, transport: str, text: str) -> bytes:  # noqa: ARG002 - as of any device
        """Give *text* with CR."""
        return text.encode("latin-1", "replace") + b"\r"

    def _request(self, message: bytes) -> Telegram | None:
        telegram = parse(message)
        return telegram if telegram is not None and telegram.address == self.unit else None

    def _obey(self, request: Telegram) -> str:
        parameter = self.parameters().get(request.parameter)
        if parameter is None:
            raise RefusedError(Complaint.NO_DEF)
        if request.action == READ:
            if request.data != ASK:
                raise RefusedError(Complaint.RANGE)
            if parameter.read is None:
                raise RefusedError(Complaint.LOGIC)
            return parameter.read()
        if parameter.write is None:
            raise RefusedError(Complaint.LOGIC)
        parameter.write(request.data)
        return request.data
