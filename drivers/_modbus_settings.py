"""What an instrument file says of a Modbus controller, besides its line; checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from drivers._modbus_address import NUMBERINGS
from drivers._modbus_pdu import MOST_BITS, MOST_REGISTERS
from drivers._modbus_plan import Limits
from drivers._modbus_register import ORDERS, WRITES, Defaults, Place, check_place
from drivers._modbus_sync import Expected
from drivers._modbus_types import TABLES
from mktl.errors import BadValue, ConfigurationError

__all__ = ["NAMES", "ModbusSettings", "Restored", "check_restore", "check_settings"]

NAMES = (
    "words",
    "bytes",
    "numbering",
    "write",
    "holes",
    "max_registers",
    "max_bits",
    "max_gap",
    "identify",
    "loopback",
    "echo",
)
"""All that :func:`check_settings` understands."""

_CHOICES = {"words": ORDERS, "bytes": ORDERS, "numbering": NUMBERINGS, "write": WRITES}
_WHOLE = {"max_registers": (1, MOST_REGISTERS), "max_bits": (1, MOST_BITS), "max_gap": (0, 124)}
_FLAGS = ("loopback", "echo")


@dataclass(frozen=True, slots=True)
class ModbusSettings:
    """What is known of one unit."""

    defaults: Defaults = field(default_factory=Defaults)
    """Orders and numbering of its registers."""
    limits: Limits = field(default_factory=Limits)
    """What one read may cover."""
    expected: Expected | None = None
    """How the right device is known."""
    loopback: bool = True
    """Whether it answers function 8, if only with an exception."""
    echo: bool = False
    """Whether the wiring sends back each message before the answer comes."""


@dataclass(frozen=True, slots=True, repr=False)
class Restored:
    """A value that is written again on each connect."""

    place: Place
    """Where."""
    value: Any
    """What."""

    def __repr__(self) -> str:
        return f"{self.place.written_at} = {self.value!r}"


def check_settings(given: Mapping[str, Any], known: ModbusSettings) -> ModbusSettings:
    """Return *known* with what was *given* in its place.

    Raises:
        ConfigurationError: it cannot be; the text begins with the name of the setting.
    """
    for name, value in given.items():
        if name in _CHOICES and value not in _CHOICES[name]:
            raise ConfigurationError(
                f"{name} must be one of {', '.join(_CHOICES[name])}, not {value!r}"
            )
        if name in _FLAGS and not isinstance(value, bool):
            raise ConfigurationError(f"{name} must be true or false, not {value!r}")
        if name in _WHOLE and not _is_whole(value, *_WHOLE[name]):
            low, high = _WHOLE[name]
            raise ConfigurationError(
                f"{name} must be a whole number, {low} to {high}, not {value!r}"
            )
    renamed = {"words": "word_order", "bytes": "byte_order"}
    chosen = {renamed.get(name, name): given[name] for name in _CHOICES if name in given}
    limits = {name: given[name] for name in _WHOLE if name in given}
    flags = {name: given[name] for name in _FLAGS if name in given}
    defaults = replace(known.defaults, **chosen)
    if "holes" in given:
        holes = _holes(given["holes"], defaults.numbering)
        defaults = replace(defaults, holes=holes)
        limits["holes"] = holes
    return replace(
        known,
        defaults=defaults,
        limits=replace(known.limits, **limits),
        expected=_expected(given["identify"], defaults) if "identify" in given else known.expected,
        **flags,
    )


def check_restore(restore: object, defaults: Defaults) -> tuple[Restored, ...]:
    """Return what is to be written on each connect.

    Raises:
        ConfigurationError: it cannot be; the text begins with ``restore``.
    """
    if not isinstance(restore, list | tuple):
        raise ConfigurationError(f"restore must be a list of tables, not {restore!r}")
    return tuple(_restored(table, defaults) for table in restore)


def _restored(table: Any, defaults: Defaults) -> Restored:
    if not isinstance(table, Mapping) or "value" not in table:
        raise ConfigurationError(
            f'restore: each is a table like {{table = "holding", address = 24, value = 1}}, '
            f"not {table!r}"
        )
    value = table["value"]
    place = check_place(_without_value(table), defaults, field="restore")
    if place.write_table not in ("holding", "coil"):
        raise ConfigurationError(f"restore.table: {place.write_table} cannot be written")
    try:
        place.register.encode(value)
    except BadValue as error:
        raise ConfigurationError(f"restore.value: {error}") from error
    return Restored(place, value)


def _expected(table: Any, defaults: Defaults) -> Expected:
    if not isinstance(table, Mapping) or "value" not in table:
        raise ConfigurationError(
            f'identify must be a table like {{table = "holding", address = 0, value = 5270}}, '
            f"not {table!r}"
        )
    value = table["value"]
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not values:
        raise ConfigurationError("identify.value: name at least one")
    place = check_place(_without_value(table), defaults, field="identify")
    if not place.readable:
        raise ConfigurationError("identify.readable: it has to be read, to know the device")
    register = place.register
    for one in values:
        try:
            register.encode(one)
        except BadValue as error:
            raise ConfigurationError(f"identify.value: {error}") from error
    return Expected(register, values)


def _without_value(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key != "value"}


def _holes(given: Any, numbering: str) -> dict[str, tuple[tuple[int, int], ...]]:
    """Return holes as protocol addresses; in a file they are numbered as the registers are."""
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            f"holes must be a table like {{holding = [[30, 39]]}}, not {given!r}"
        )
    found = {}
    for table, spans in given.items():
        if table not in TABLES:
            raise ConfigurationError(f"holes.{table}: is none of {', '.join(TABLES)}")
        if not isinstance(spans, list | tuple) or not all(map(_is_span, spans)):
            raise ConfigurationError(
                f"holes.{table}: must be a list like [[30, 39], [100, 100]], not {spans!r}"
            )
        found[table] = tuple(
            (_protocol_address(table, low, numbering), _protocol_address(table, high, numbering))
            for low, high in spans
        )
    return found


def _protocol_address(table: str, number: int, numbering: str) -> int:
    if numbering == "protocol":
        return number
    keys = {"table": table, "address": number}
    return check_place(keys, Defaults(numbering=numbering), field="holes").register.address


def _is_span(value: object) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(_is_whole(number, 0, 465536) for number in value)
        and value[0] <= value[1]
    )


def _is_whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
