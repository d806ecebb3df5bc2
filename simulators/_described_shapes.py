"""Of which kind each key of the tables is that describe a device, so that nobody trips over it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from simulators.device import SimulatorError

__all__ = [
    "MODBUS_ITEM",
    "MODBUS_SETTINGS",
    "REGISTER",
    "TEXT_ITEM",
    "TEXT_SETTINGS",
    "check_shapes",
]


def _is_number(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)  # type: ignore[arg-type]


def _is_whole(value: object, low: int = -(2**31), high: int = 2**31) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_list(value: object, of: Callable[[Any], bool]) -> bool:
    return isinstance(value, list | tuple) and all(map(of, value))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping)


def _is_step(value: object) -> bool:
    return _is_text(value) or (
        isinstance(value, Mapping)
        and all(isinstance(value[key], str) for key in value if key != "check")
    )


def _is_span(value: object) -> bool:
    return _is_list(value, lambda end: _is_whole(end, 0, 465_536)) and len(value) == 2  # type: ignore[arg-type]


def _is_bits(value: object) -> bool:
    return _is_list(value, lambda bit: _is_whole(bit, 0, 63)) and (
        len(value) == 2 and value[0] <= value[1]  # type: ignore[arg-type,index]
    )


_KINDS: Mapping[str, Callable[[Any], bool]] = {
    "a text": _is_text,
    "a number": _is_number,
    "a positive number": lambda value: _is_number(value) and value > 0,
    "a number of seconds": lambda value: _is_number(value) and value >= 0,
    "a number other than 0": lambda value: _is_number(value) and value != 0,
    "a whole number": _is_whole,
    "a whole number, 1 to 2000": lambda value: _is_whole(value, 1, 2000),
    "a bit, 0 to 63": lambda value: _is_whole(value, 0, 63),
    "the lowest and the highest bit, [0, 3]": _is_bits,
    "true or false": lambda value: isinstance(value, bool),
    "a table": _is_table,
    "a table of tables": lambda value: _is_table(value) and all(map(_is_table, value.values())),
    "a table of texts": lambda value: _is_table(value) and all(map(_is_text, value.values())),
    "a table, or the name of a checksum": lambda value: _is_text(value) or _is_table(value),
    "a list of texts and tables": lambda value: _is_list(value, _is_step),
    "a list of tables": lambda value: _is_list(value, _is_table),
    "a text, or a list of texts": lambda value: (
        _is_text(value) or (_is_list(value, _is_text) and len(value) > 0)
    ),
    "a text, or a table": lambda value: _is_text(value) or _is_table(value),
    "a number, or a list of numbers": lambda value: (
        _is_number(value) or _is_list(value, _is_number)
    ),
    "spans for each table, {holding = [[30, 39]]}": lambda value: (
        _is_table(value) and all(_is_list(spans, _is_span) for spans in value.values())
    ),
}

TEXT_SETTINGS = {
    **dict.fromkeys(("terminator", "send_terminator", "reply_terminator"), "a text"),
    **dict.fromkeys(("prefix", "send_prefix", "reply_prefix"), "a text"),
    **dict.fromkeys(("refused", "busy", "no_value", "encoding", "ignore"), "a text"),
    "echo": "true or false",
    "min_gap_s": "a number of seconds",
    "checksum": "a table, or the name of a checksum",
    **dict.fromkeys(("identify", "error_query", "refusals"), "a table of texts"),
    "handshake": "a table",
    **dict.fromkeys(("handshake.ack", "handshake.nak", "handshake.enquiry"), "a text"),
    "handshake.bare": "true or false",
    **dict.fromkeys(("start", "restore"), "a list of texts and tables"),
}
"""Settings of a controller with ``driver = "text"`` that its twin knows."""

_DESCRIPTION = {
    "limits": "a table",
    "enumerators": "a table",
    "tracks": "a table",
    "units": "a text, or a table",
}
TEXT_ITEM = {
    **_DESCRIPTION,
    **dict.fromkeys(("ask", "reply", "no_reading", "tell", "heard"), "a text"),
    **dict.fromkeys(("ack", "type"), "a text"),
    "ack_optional": "true or false",
    "field": "a text, or a list of texts",
    **dict.fromkeys(("valid", "values", "tell_values"), "a table"),
    "reasons": "a table of tables",
    "scale": "a number other than 0",
    "offset": "a number",
    "silence_s": "a positive number",
}
"""Keys of an item of such a controller."""

REGISTER = {
    **dict.fromkeys(("type", "words", "bytes", "table", "write_table", "numbering"), "a text"),
    "readable": "true or false",
    **dict.fromkeys(("address", "write_address"), "a whole number"),
    **dict.fromkeys(("length", "count"), "a whole number, 1 to 2000"),
    "scale": "a number other than 0",
    "offset": "a number",
    "bit": "a bit, 0 to 63",
    "bits": "the lowest and the highest bit, [0, 3]",
    "invalid": "a number, or a list of numbers",
}
"""Keys of a table that says where a value is."""

MODBUS_SETTINGS = {
    **dict.fromkeys(("words", "bytes", "numbering"), "a text"),
    **dict.fromkeys(("max_registers", "max_bits"), "a whole number, 1 to 2000"),
    "max_gap": "a whole number",
    "echo": "true or false",
    "min_gap_s": "a number of seconds",
    "holes": "spans for each table, {holding = [[30, 39]]}",
    "identify": "a table",
    **{f"identify.{key}": kind for key, kind in REGISTER.items()},
    "restore": "a list of tables",
}
"""Settings of a controller with ``driver = "modbus"`` that its twin knows."""

MODBUS_ITEM = {
    **_DESCRIPTION,
    "register": "a table",
    **{f"register.{key}": kind for key, kind in REGISTER.items()},
}
"""Keys of an item of such a controller."""


def check_shapes(where: str, table: Mapping[str, Any], shapes: Mapping[str, str]) -> None:
    """Pass if each key of *table* is of the kind that *shapes* says.

    Raises:
        SimulatorError: one is not; the text begins with its place.
    """
    for path, kind in shapes.items():
        outer, _, key = path.rpartition(".")
        holder = table.get(outer, {}) if outer else table
        if key in holder and not _KINDS[kind](holder[key]):
            raise SimulatorError(f"{where}.{path}: must be {kind}, not {holder[key]!r}")
