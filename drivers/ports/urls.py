"""From the URL of a controller to a port: parsing and checking, without opening anything."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from drivers._suggest import suggestion
from drivers.ports._query import FLOW_KEYS, LINE_KEYS, RS485_KEYS, Query
from drivers.ports._settings import SerialSettings
from drivers.ports._visa_names import visa_name
from drivers.ports.rfc2217 import Rfc2217Port
from drivers.ports.serial import SerialPort
from drivers.ports.tcp import TcpPort
from drivers.ports.visa import VisaPort
from mktl.errors import ConfigurationError

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from drivers.ports.base import Port

__all__ = ["PortDefaults", "port_for_url", "split_unit"]

_MODBUS_TCP_PORT = 502  # Modbus Messaging on TCP/IP Implementation Guide V1.0b, section 4.3.1


@dataclass(frozen=True, slots=True)
class PortDefaults:
    """What a driver knows about its device, so that a URL need not say it."""

    tcp_port: int | None = None
    """TCP port, where the URL has none."""
    serial: SerialSettings = field(default_factory=SerialSettings)
    """Line settings, each used where the URL does not say otherwise."""
    visa_end: bytes = b"\n"
    """What replies end with, for VISA resources that are streams of bytes."""


def port_for_url(url: str, defaults: PortDefaults | None = None) -> Port:
    """Return an unopened port for *url*.

    Args:
        url: ``tcp://host:port``, ``serial:///dev/ttyUSB0?baud=57600&bits=7&parity=odd&stop=1``,
            ``socket://`` or ``rfc2217://`` with host, port and those settings, or
            ``visa://RESOURCE``; ``modbus+tcp://``, ``modbus+rtu://`` and ``modbus+rtu+tcp://``
            are plain TCP and serial ports too.
        defaults: What holds where the URL says nothing.

    Raises:
        ConfigurationError: the URL is not one of these; the text says what is allowed.
    """
    defaults = defaults or PortDefaults()
    if url[:7].lower() == "visa://":
        return _visa(url, defaults)
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ConfigurationError(f"{url!r} is not a URL: {error}") from None
    if not parts.scheme or "://" not in url:
        raise ConfigurationError(
            f"{url!r} is not a URL: write tcp://host:port or serial:///dev/ttyS0?baud=9600"
        )
    if parts.scheme not in _MAKERS:
        known = (*_MAKERS, "visa")
        raise ConfigurationError(
            f"{url!r}: unknown scheme {parts.scheme!r}: {suggestion(parts.scheme, known)}"
        )
    return _MAKERS[parts.scheme](url, parts, defaults)


def split_unit(url: str) -> tuple[str, int | None]:
    """Take ``unit=N`` out of the query of *url*; return the rest, and the unit or ``None``.

    Raises:
        ConfigurationError: the unit is not a number of 0 to 255, or there are two.
    """
    head, question, query = url.partition("?")
    if not question:
        return url, None
    unit: int | None = None
    rest = []
    for part in query.split("&"):
        key, _, text = part.partition("=")
        if key != "unit":
            rest.append(part)
        elif unit is not None:
            raise ConfigurationError(f"{url!r}: 'unit' is given twice")
        elif text.isascii() and text.isdecimal() and int(text) <= 255:
            unit = int(text)
        else:
            raise ConfigurationError(f"{url!r}: unit must be a number, 0 to 255, not {text!r}")
    return (f"{head}?{'&'.join(rest)}" if rest else head), unit


def _tcp(url: str, parts: SplitResult, defaults: PortDefaults) -> Port:
    if parts.query and parts.scheme == "tcp":
        raise ConfigurationError(
            f"{url!r}: a TCP URL is tcp://host:port, and nothing else; with a serial line behind "
            f"it, write socket://host:port?baud=9600"
        )
    Query(url, parts.query, ())
    return TcpPort(*_place(url, parts, defaults.tcp_port))


def _socket(url: str, parts: SplitResult, defaults: PortDefaults) -> Port:
    settings = Query(url, parts.query, LINE_KEYS).serial(_plain(defaults.serial))
    return TcpPort(*_place(url, parts, defaults.tcp_port), settings)


def _rfc2217(url: str, parts: SplitResult, defaults: PortDefaults) -> Port:
    settings = Query(url, parts.query, FLOW_KEYS).serial(_plain(defaults.serial))
    return Rfc2217Port(*_place(url, parts, defaults.tcp_port), settings)


def _serial(url: str, parts: SplitResult, defaults: PortDefaults) -> Port:
    if parts.netloc or not parts.path.strip("/") or parts.fragment:
        raise ConfigurationError(
            f"{url!r}: a serial URL has three slashes and the path: {parts.scheme}:///dev/ttyS0"
        )
    query = Query(url, parts.query, (*FLOW_KEYS, *RS485_KEYS))
    path = unquote(parts.path)
    if not path.isprintable():
        raise ConfigurationError(f"{url!r}: {path!r} has characters that no device file has")
    return SerialPort(path, query.serial(defaults.serial))


def _modbus_tcp(url: str, parts: SplitResult, defaults: PortDefaults) -> Port:
    return _tcp(url, parts, replace(defaults, tcp_port=defaults.tcp_port or _MODBUS_TCP_PORT))


def _modbus_rtu_tcp(url: str, parts: SplitResult, defaults: PortDefaults) -> Port:
    place = _place(url, parts, defaults.tcp_port or _MODBUS_TCP_PORT)
    query = Query(url, parts.query, LINE_KEYS)
    # Without a word about the line behind it, nothing is assumed about its speed.
    return TcpPort(*place, query.serial(_plain(defaults.serial)) if query.given else None)


def _visa(url: str, defaults: PortDefaults) -> Port:
    text, _, query_text = url[7:].partition("?")
    try:
        name = visa_name(unquote(text), defaults.tcp_port)
    except ConfigurationError as error:
        raise ConfigurationError(f"{url!r}: {error}") from None
    line = name.interface == "ASRL"
    query = Query(url, query_text, ("backend", *FLOW_KEYS) if line else ("backend",))
    return VisaPort(
        name,
        query.given.get("backend", "@py"),
        settings=query.serial(_plain(defaults.serial)) if line else None,
        end=defaults.visa_end,
    )


_MAKERS = {
    "tcp": _tcp,
    "socket": _socket,
    "serial": _serial,
    "rfc2217": _rfc2217,
    "modbus+tcp": _modbus_tcp,
    "modbus+rtu": _serial,
    "modbus+rtu+tcp": _modbus_rtu_tcp,
}


def _plain(settings: SerialSettings) -> SerialSettings:
    """Return *settings* without what only a port of this machine can do."""
    return replace(settings, rs485=False)


def _place(url: str, parts: SplitResult, default: int | None) -> tuple[str, int]:
    example = f"{parts.scheme}://host:port"
    if parts.path not in ("", "/") or parts.fragment or "@" in parts.netloc:
        raise ConfigurationError(f"{url!r}: a TCP URL is {example}, and nothing else")
    if not parts.hostname:
        raise ConfigurationError(f"{url!r}: the host is missing: {example}")
    try:
        parts.hostname.encode("idna")
    except UnicodeError:
        raise ConfigurationError(f"{url!r}: {parts.hostname!r} is no name of a host") from None
    try:
        port = parts.port
    except ValueError:
        raise ConfigurationError(f"{url!r}: the port must be a number, 1 to 65535") from None
    if port is None:
        port = default
    if not port:
        raise ConfigurationError(f"{url!r}: the port is missing, 1 to 65535: {example}")
    return parts.hostname, port
