"""Transports, the URL that a driver opens for each, and what the URL of a real device says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from simulators._names import unknown_name
from simulators.device import SimulatorError

PTY_TRANSPORTS: Sequence[str] = ("serial", "modbus+rtu")
"""Those on a pseudo-terminal."""
TCP_TRANSPORTS: Sequence[str] = (
    "tcp",
    "modbus+tcp",
    "modbus+rtu+tcp",
    "visa",
    "vxi11",
    "hislip",
)
"""Those on a TCP port."""
TRANSPORTS: Sequence[str] = (*TCP_TRANSPORTS, *PTY_TRANSPORTS)
"""All ways to reach a device."""

_VISA = {
    "visa": "visa://TCPIP::{host}::{port}::SOCKET",
    "vxi11": "visa://TCPIP::{host},{port}::inst0::INSTR",
    "hislip": "visa://TCPIP::{host}::hislip0,{port}::INSTR",
}


def tcp_url(transport: str, host: str, port: int, *, unit: int | None = None) -> str:
    """Give the URL of a TCP port; *unit* is the address of the device, if it has one."""
    query = "" if unit is None else f"?unit={unit}"
    if transport in _VISA:
        return _VISA[transport].format(host=host, port=port) + query
    where = f"[{host}]" if ":" in host else host
    return f"{transport}://{where}:{port}{query}"


def pty_url(transport: str, link: Path, baud: int, *, unit: int | None = None) -> str:
    """Give the URL of a pseudo-terminal, which carries eight bits without parity only."""
    query = "" if unit is None else f"&unit={unit}"
    # Modbus RTU has eight bits always.
    frame = "parity=none" if transport == "modbus+rtu" else "bits=8&parity=none&stop=1"
    return f"{transport}://{link}?baud={baud}&{frame}{query}"


def with_unit(url: str, unit: int) -> str:
    """Give *url*, of a shared line, for one of the units on it."""
    return f"{url}{'&' if '?' in url else '?'}unit={unit}"


_SCHEMES = (
    *("tcp", "socket", "rfc2217", "serial", "visa"),
    *("modbus+tcp", "modbus+rtu", "modbus+rtu+tcp"),
)
_TRANSPORT_OF = {"socket": "tcp", "rfc2217": "tcp"}
_MODBUS_PORT = {"modbus+tcp": ":502", "modbus+rtu+tcp": ":502"}


@dataclass(frozen=True, slots=True)
class Address:
    """What the URL of a real device says."""

    transport: str
    """The one that its twin is most alike on."""
    line: str
    """The same for all devices that share a line."""
    unit: int | None
    """Its address there; None: it is not said."""
    baud: int | None
    """Bits per second; None: it is not said."""


def address_of(url: str) -> Address:
    """Read the URL of a controller.

    Raises:
        SimulatorError: it is none.
    """
    head, _, query = url.partition("?")
    scheme, colon, place = head.partition("://")
    scheme = scheme.lower()
    if not colon or not place:
        raise SimulatorError(f"{url!r} is not a URL, such as tcp://host:port")
    if scheme not in _SCHEMES:
        raise SimulatorError(unknown_name("kind of URL", scheme, _SCHEMES))
    transport = _visa_transport(place) if scheme == "visa" else _TRANSPORT_OF.get(scheme, scheme)
    # A path of this machine is the only place in which case matters.
    place = place if place.startswith("/") else place.lower().rstrip("/")
    if ":" not in place.rpartition("]")[2]:
        place += _MODBUS_PORT.get(scheme, "")
    values = dict(part.partition("=")[::2] for part in query.split("&"))
    return Address(
        transport,
        f"{scheme}://{place}",
        _number("unit", values.get("unit"), 0, 255),
        _number("baud", values.get("baud"), 1, 100_000_000),
    )


def _visa_transport(resource: str) -> str:
    resource = resource.upper()
    if resource.startswith("ASRL"):
        return "serial"
    if "::SOCKET" in resource:
        return "visa"
    return "hislip" if "HISLIP" in resource else "vxi11"


def _number(what: str, text: str | None, low: int, high: int) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and low <= int(text[:12]) <= high):
        raise SimulatorError(f"{what} must be a number, {low} to {high}, not {text!r}")
    return int(text)
