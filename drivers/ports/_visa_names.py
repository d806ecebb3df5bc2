"""Names of VISA resources: checked and written out in full, without a VISA library."""

from __future__ import annotations

import re
from dataclasses import dataclass

from drivers._suggest import suggestion
from mktl.errors import ConfigurationError

__all__ = ["VisaName", "visa_name"]

_INTERFACES = ("TCPIP", "ASRL", "GPIB", "USB", "VICP")
_CLASSES = ("INSTR", "SOCKET", "INTFC", "RAW", "BACKPLANE", "MEMACC", "SERVANT")
_HISLIP_PORT = 4880  # IVI-6.1, section 3
_FORMS = {
    "TCPIP": "TCPIP::host::port::SOCKET, TCPIP::host::INSTR (VXI-11) or "
    "TCPIP::host::hislip0::INSTR (HiSLIP)",
    "ASRL": "ASRL/dev/ttyS0::INSTR",
    "GPIB": "GPIB0::12::INSTR",
    "USB": "USB0::0x1AB1::0x0E11::SERIAL::INSTR",
    "VICP": "VICP::host::INSTR",
}


@dataclass(frozen=True, slots=True)
class VisaName:
    """A resource, named in full."""

    text: str
    """The name, in the one spelling that all spellings of it become."""
    interface: str
    """``TCPIP``, ``ASRL``, ``GPIB``, ``USB`` or ``VICP``."""
    whole_messages: bool
    """Whether its transport marks where a message ends."""


def visa_name(text: str, tcp_port: int | None = None) -> VisaName:
    """Understand the name of a resource.

    Args:
        text: The name, with or without what VISA lets one leave out.
        tcp_port: Port of a ``SOCKET``, where the name has none.

    Raises:
        ConfigurationError: there is no such resource, or not one that answers queries.
    """
    head, *middle = text.split("::")
    found = re.fullmatch(r"([A-Za-z]+?)(\d*|[/].*|(?<=ASRL)COM\d+)", head, re.IGNORECASE)
    kind = found[1].upper() if found else head.upper()
    if found is None or kind not in _INTERFACES:
        raise ConfigurationError(
            f"unknown VISA interface {head!r}: {suggestion(kind, _INTERFACES)}"
        )
    board = found[2]
    last = middle.pop().upper() if middle and middle[-1].upper() in _CLASSES else "INSTR"
    if last not in ("INSTR", "SOCKET") or (last == "SOCKET" and kind != "TCPIP"):
        raise ConfigurationError(f"a VISA resource of class {last} is not one that is asked")
    if not all(middle) or (board.startswith("/") and kind != "ASRL"):
        raise _wrong(kind, text)
    if kind == "ASRL":
        return _asrl(text, board, middle)
    socket = last == "SOCKET"
    middle = _socket(text, middle, tcp_port) if socket else _MIDDLES[kind](text, middle)
    full = "::".join((f"{kind}{board or ('' if kind == 'VICP' else '0')}", *middle, last))
    return VisaName(full, kind, not socket)


def _asrl(text: str, board: str, middle: list[str]) -> VisaName:
    if not board or middle or board == "/":
        raise _wrong("ASRL", text)
    return VisaName(f"ASRL{board}::INSTR", "ASRL", False)


def _socket(text: str, middle: list[str], tcp_port: int | None) -> list[str]:
    if len(middle) == 1 and tcp_port is not None:
        middle = [*middle, str(tcp_port)]
    if len(middle) != 2:
        raise _wrong("TCPIP", text)
    return [middle[0].lower(), _port(text, middle[1])]


def _tcpip(text: str, middle: list[str]) -> list[str]:
    if len(middle) not in (1, 2):
        raise _wrong("TCPIP", text)
    host, comma, port = middle[0].lower().partition(",")
    place = f"{host},{_port(text, port)}" if comma else host
    device, comma, port = (middle[1] if len(middle) == 2 else "inst0").partition(",")
    if not device.lower().startswith("hislip"):
        return [place, device + comma + port]
    return [place, f"{device.lower()},{_port(text, port) if comma else _HISLIP_PORT}"]


def _usb(text: str, middle: list[str]) -> list[str]:
    if len(middle) not in (3, 4):
        raise _wrong("USB", text)
    numbers = []
    for part in middle[:2]:
        try:
            numbers.append(f"0x{int(part, 0):04X}")
        except ValueError:
            raise _wrong("USB", text) from None
    return [*numbers, *middle[2:]]


def _gpib(text: str, middle: list[str]) -> list[str]:
    if len(middle) not in (1, 2) or not all(part.isdecimal() for part in middle):
        raise _wrong("GPIB", text)
    if int(middle[0]) > 30:  # IEEE 488.1: 31 addresses all talkers or listeners
        raise ConfigurationError(f"VISA resource {text!r}: a GPIB address is 0 to 30")
    return [str(int(part)) for part in middle]


def _vicp(text: str, middle: list[str]) -> list[str]:
    if len(middle) != 1:
        raise _wrong("VICP", text)
    return [middle[0].lower()]


_MIDDLES = {"TCPIP": _tcpip, "USB": _usb, "GPIB": _gpib, "VICP": _vicp}


def _port(text: str, port: str) -> str:
    if not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise ConfigurationError(
            f"VISA resource {text!r}: the port must be a number, 1 to 65535, not {port!r}"
        )
    return str(int(port))


def _wrong(kind: str, text: str) -> ConfigurationError:
    return ConfigurationError(f"{text!r} is no VISA resource: write {_FORMS[kind]}")
