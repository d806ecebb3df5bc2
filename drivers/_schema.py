"""The JSON Schema of instrument files and driver files: what editors complete and check with.

It is published as ``docs/instrument-file.schema.json``; ``markd --schema`` prints it. The check of
``markd --check`` goes further: it knows the channels of each driver.
"""

from __future__ import annotations

from typing import Any

from drivers._schema_access import ACCESS
from drivers._schema_protocol import MODBUS_ITEM, MODBUS_SETTINGS, TEXT_ITEM, TEXT_SETTINGS
from drivers._schema_words import (
    any_of,
    flag,
    list_of,
    number,
    one_of,
    pair,
    table,
    text,
)

__all__ = ["SCHEMA_ID", "schema"]

SCHEMA_ID = "urn:mktl-hardware:instrument-file"
"""What the schema calls itself."""

_SECONDS_SETTINGS = {
    "timeout_s": "Deadline of one exchange.",
    "wait_s": "Longest wait for one's turn.",
    "min_gap_s": "Least silence between messages.",
    "char_delay_s": "Wait after each character that is sent.",
    "settle_s": "Silence after the port was opened.",
    "connect_timeout_s": "Longest attempt to open the port.",
    "retry_first_s": "Wait before the first new attempt to connect; it doubles each time.",
    "retry_longest_s": "Where it stops doubling.",
    "idle_probe_s": "After so long without an exchange the device is asked whether it is there.",
}
LINE_SETTINGS: dict[str, Any] = {
    name: number(what, minimum=0) for name, what in _SECONDS_SETTINGS.items()
}
"""Settings that every controller takes."""

NAME = r"^[A-Za-z0-9_:+-]+$"
_TYPES = ("boolean", "bulk", "enumerated", "mask", "numeric", "numeric array", "string")


def _level(name: str) -> dict[str, Any]:
    states = {"type": ["string", "boolean", "integer"]}
    return any_of(
        pair(f"Outside of it, {name}; inf leaves a side open."),
        {**list_of(states, f"States that are {name}."), "minItems": 1},
    )


DESCRIPTION: dict[str, Any] = {
    "description": text("What the item is, for people."),
    "type": one_of(_TYPES, "The type of its values."),
    "units": any_of(
        text("Units of the value."),
        table(
            {"": text("Units as stored."), "formatted": text("Units as shown.")},
            "Units as stored, and as shown.",
        ),
    ),
    "format": text("How a number prints: printf-like, such as %.3f, or sexagesimal."),
    "range": pair("What a SET may ask for, both ends included."),
    "limits": table(
        {
            "warning": _level("a warning"),
            "alarm": _level("an alarm"),
            "hysteresis": number("So far back inside before it ends.", minimum=0),
            "delay_s": number("So long outside before it begins.", minimum=0),
            "latch": flag("Whether it stays until it is acknowledged."),
        },
        "When the value is a reason to worry.",
    ),
    "deadband": number("Smallest change that is published.", minimum=0),
    "tracks": table(
        {
            "item": text("The item that it follows: a set-point."),
            "tolerance": number("How closely.", minimum=0),
            "within_s": number("How soon, in seconds.", minimum=0),
            "latch": flag("Whether an alarm stays until it is acknowledged."),
        },
        "The item whose value this one has to follow.",
        required=("item",),
    ),
    "settable": flag("Whether it may be set."),
    "enumerators": {
        "type": "object",
        "description": "The text of each value, or of each bit of a mask; None: of no bit.",
        "minProperties": 1,
        "propertyNames": {"pattern": r"^\s*(-?[0-9]+|[Nn]one)\s*$"},
        "additionalProperties": {"type": "string", "minLength": 1},
    },
}
"""The description of an item."""

_SIMULATE: dict[str, Any] = {"description": "The value that a simulator begins with."}
_POLL_S = number("How often to read it, in seconds; 0: only when asked for.", minimum=0)
_BOUND = {"poll_s": _POLL_S, "simulate": _SIMULATE, **DESCRIPTION}
_CHANNEL = text('A channel of a controller, such as "tc.temperature.A".', pattern=r"^[^.]+\..+$")
_CONTROLLER = text("The controller that it speaks to.")
_OWN = {"driver", "url"}


def _item() -> dict[str, Any]:
    bound_to_channel = {
        "channel": _CHANNEL,
        **{key: what for key, what in _BOUND.items() if key not in ("type", "enumerators")},
    }
    plain = {
        "initial": {"description": "Its value at the start."},
        "persist": flag("Whether its value is kept across restarts."),
        **DESCRIPTION,
    }
    return {
        "type": "object",
        "if": {"required": ["channel"]},
        "then": _strict(bound_to_channel, ("channel",)),
        "else": {
            "if": {"required": ["controller"]},
            "then": _protocol(("controller",), {"controller": _CONTROLLER}),
            "else": _strict(plain),
        },
    }


def _protocol(required: tuple[str, ...], more: dict[str, Any]) -> dict[str, Any]:
    """Describe a table with protocol keys; those of other packages' drivers are not known."""
    of_text = {"anyOf": [{"required": [key]} for key in ("ask", "tell", "heard")]}
    return {
        "if": {"required": ["register"]},
        "then": _strict({**more, **MODBUS_ITEM, **_BOUND}, required),
        "else": {
            "if": of_text,
            "then": _strict({**more, **TEXT_ITEM, **_BOUND}, required),
            "else": {"properties": {**more, **_BOUND}, "required": list(required)},
        },
    }


def _controller() -> dict[str, Any]:
    common = {
        "driver": text(
            'A driver\'s name, "package.module:Class", or a driver file: "./gauge.toml".'
        ),
        "url": text("Where it is: tcp://host:port, serial:///dev/ttyS0?baud=9600 and others."),
        "restore": {"type": "array", "description": "Sent again on each connect."},
        **LINE_SETTINGS,
    }
    generic = {"text": TEXT_SETTINGS, "modbus": MODBUS_SETTINGS}
    described: dict[str, Any] = {"properties": common, "required": ["driver", "url"]}
    for name, settings in generic.items():
        described = {
            "if": _driver_is(name),
            "then": _strict({**common, **settings}, ("driver", "url")),
            "else": described,
        }
    return {"type": "object", **described}


def _driver_file() -> dict[str, Any]:
    driver = one_of(("text", "modbus"), "The driver that carries it out.")
    channels = {
        "type": "object",
        "description": "What it offers: [channels.NAME].",
        "minProperties": 1,
        "additionalProperties": {"type": "object", **_protocol((), {})},
    }
    own = {"driver": driver, "channels": channels, **LINE_SETTINGS}
    required = ("driver", "channels")
    return {
        "if": _driver_is("modbus"),
        "then": _strict({**own, **MODBUS_SETTINGS}, required),
        "else": _strict({**own, **TEXT_SETTINGS}, required),
    }


def _driver_is(name: str) -> dict[str, Any]:
    return {"properties": {"driver": {"const": name}}, "required": ["driver"]}


def _strict(properties: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def schema() -> dict[str, Any]:
    """Return the schema of both kinds of file (JSON Schema, draft 2020-12)."""
    named = {"propertyNames": {"pattern": NAME}, "type": "object"}
    name = {"type": "string", "pattern": NAME}
    instrument = {
        "store": {**name, "description": "The store that the items belong to."},
        "alias": {**name, "description": "The name of this daemon within the store."},
        "access": ACCESS,
        "controllers": {
            **named,
            "description": "The devices: [controllers.NAME].",
            "additionalProperties": {"$ref": "#/$defs/controller"},
        },
        "items": {
            **named,
            "description": "The items: [items.KEY].",
            "minProperties": 1,
            "additionalProperties": {"$ref": "#/$defs/item"},
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "mKTL instrument file, or driver file",
        "description": "A file with `driver` at its top is a driver file; else it is a daemon.",
        "type": "object",
        "if": {"required": ["driver"]},
        "then": {"$ref": "#/$defs/driver_file"},
        "else": _strict(instrument, ("store", "alias", "items")),
        "$defs": {
            "controller": _controller(),
            "item": _item(),
            "driver_file": _driver_file(),
        },
    }
