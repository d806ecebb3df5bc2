"""From the URL of a controller to a port: parsing and checking, without opening anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from drivers._suggest import suggestion
from drivers.ports.serial import PARITIES, SerialPort, SerialSettings
from drivers.ports.tcp import TcpPort
from mktl.errors import ConfigurationError

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from drivers.ports.base import Port

__all__ = ["PortDefaults", "port_for_url", "split_unit"]

_SCHEMES = ("tcp", "serial")
_SERIAL_KEYS = ("baud", "bits", "parity", "stop")


@dataclass(frozen=True, slots=True)
class PortDefaults:
    """What a driver knows about its device, so that a URL need not say it."""

    tcp_port: int | None = None
    """TCP port, where the URL has none."""
    serial: SerialSettings = field(default_factory=SerialSettings)
    """Line settings, each used where the URL does not say otherwise."""


def port_for_url(url: str, defaults: PortDefaults | None = None) -> Port:
    """Return an unopened port for *url*.

    Args:
        url: ``tcp://host:port`` or ``serial:///dev/ttyUSB0?baud=57600&bits=7&parity=odd&stop=1``.
        defaults: What holds where the URL says nothing.

    Raises:
        ConfigurationError: the URL is not one of these; the text says what is allowed.
    """
    defaults = defaults or PortDefaults()
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ConfigurationError(f"{url!r} is not a URL: {error}") from None
    if parts.scheme == "tcp":
        return _tcp(url, parts, defaults)
    if parts.scheme == "serial":
        return _serial(url, parts, defaults.serial)
    if not parts.scheme or "://" not in url:
        raise ConfigurationError(
            f"{url!r} is not a URL: write tcp://host:port or serial:///dev/ttyS0?baud=9600"
        )
    raise ConfigurationError(
        f"{url!r}: unknown scheme {parts.scheme!r}: {suggestion(parts.scheme, _SCHEMES)}"
    )


def split_unit(url: str) -> tuple[str, int | None]:
    """Take ``unit=N`` out of the query of *url*; return the rest, and the unit or ``None``.

    Raises:
        ConfigurationError: the unit is not a number of 0 to 255.
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
        elif text.isdecimal() and int(text) <= 255:
            unit = int(text)
        else:
            raise ConfigurationError(f"{url!r}: unit must be a number, 0 to 255, not {text!r}")
    return (f"{head}?{'&'.join(rest)}" if rest else head), unit


def _tcp(url: str, parts: SplitResult, defaults: PortDefaults) -> Port:
    if parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise ConfigurationError(f"{url!r}: a TCP URL is tcp://host:port, and nothing else")
    if not parts.hostname:
        raise ConfigurationError(f"{url!r}: the host is missing: tcp://host:port")
    try:
        port = parts.port
    except ValueError:
        raise ConfigurationError(f"{url!r}: the port must be a number, 1 to 65535") from None
    if port is None:
        port = defaults.tcp_port
    if not port:
        raise ConfigurationError(f"{url!r}: the port is missing, 1 to 65535: tcp://host:port")
    return TcpPort(parts.hostname, port)


def _serial(url: str, parts: SplitResult, defaults: SerialSettings) -> Port:
    if parts.netloc or not parts.path.strip("/") or parts.fragment:
        raise ConfigurationError(
            f"{url!r}: a serial URL has three slashes and the path: serial:///dev/ttyS0"
        )
    given: dict[str, str] = {}
    for key, text in parse_qsl(parts.query, keep_blank_values=True):
        if key not in _SERIAL_KEYS:
            raise ConfigurationError(
                f"{url!r}: unknown setting {key!r}: {suggestion(key, _SERIAL_KEYS)}"
            )
        if key in given:
            raise ConfigurationError(f"{url!r}: {key!r} is given twice")
        given[key] = text
    settings = SerialSettings(
        baud=_number(url, "baud", given, defaults.baud, range(50, 4_000_001)),
        bits=_number(url, "bits", given, defaults.bits, range(5, 9)),
        parity=_choice(url, "parity", given, defaults.parity, PARITIES),
        stop=float(_choice(url, "stop", given, f"{defaults.stop:g}", ("1", "1.5", "2"))),
    )
    return SerialPort(unquote(parts.path), settings)


def _number(url: str, key: str, given: dict[str, str], default: int, allowed: range) -> int:
    text = given.get(key)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and int(text) in allowed):
        raise ConfigurationError(
            f"{url!r}: {key} must be a number from {allowed[0]} to {allowed[-1]}, not {text!r}"
        )
    return int(text)


def _choice(
    url: str, key: str, given: dict[str, str], default: str, allowed: tuple[str, ...]
) -> str:
    text = given.get(key, default).lower()
    if text not in allowed:
        raise ConfigurationError(
            f"{url!r}: {key} must be one of {', '.join(allowed)}, not {given[key]!r}"
        )
    return text
