"""The part of the schema of instrument files that describes protocols as data: text and modbus."""

from __future__ import annotations

from typing import Any

from drivers._schema_words import (
    any_of,
    flag,
    list_of,
    number,
    one_of,
    pair,
    pattern_text,
    positive,
    table,
    text,
    whole,
)

__all__ = ["MODBUS_ITEM", "MODBUS_SETTINGS", "TEXT_ITEM", "TEXT_SETTINGS"]

_ANY: dict[str, Any] = {}
_ASKED = table(
    {"ask": text("What is sent."), "reply": pattern_text("What comes back, as a whole.")},
    "A query, and what its answer looks like.",
    required=("ask", "reply"),
)
_TOLD = table(
    {
        "tell": text("What is sent."),
        "ack": pattern_text("What comes back, as a whole."),
        "check": flag("Whether `error_query` is asked after it."),
    },
    "A command, and how the device confirms it.",
    required=("tell",),
)
_STEP = any_of(text("A command."), _ASKED, _TOLD)

TEXT_SETTINGS: dict[str, Any] = {
    "terminator": text("What ends each message, both ways."),
    "send_terminator": text("What ends each message that is sent."),
    "reply_terminator": text("What ends each reply."),
    "prefix": text("What begins each message, both ways."),
    "send_prefix": text("What begins each message that is sent."),
    "reply_prefix": text("What begins each reply."),
    "identify": {**_ASKED, "description": "How to find out that the right device answers."},
    "start": list_of(_STEP, "Sent on each connect, once it is identified."),
    "restore": list_of(_STEP, "Sent again on each connect, after `start`."),
    "restarted": pattern_text("A line like this means that it was switched off and on."),
    "refused": pattern_text("A reply like this means that the device refused."),
    "refusals": {
        "type": "object",
        "additionalProperties": {"type": "string"},
        "description": "Words for refusals, by the first group in `refused`, or as a whole.",
    },
    "busy": pattern_text("A reply like this means: ask again after `retry_s`."),
    "retry_s": positive("How long to wait after `busy`."),
    "error_query": table(
        {
            "ask": text("What is sent after each command."),
            "ok": pattern_text("The answer if there was no error."),
        },
        "The queue of errors, which is read after each command.",
        required=("ask", "ok"),
    ),
    "checksum": any_of(
        text("Name of a checksum before the terminator."),
        table(
            {
                "name": text("Name of the checksum."),
                "on": one_of(("both", "sent", "received"), "Which messages have one."),
            },
            "A checksum before the terminator.",
            required=("name",),
        ),
    ),
    "handshake": table(
        {
            "ack": text("What the device confirms with."),
            "nak": text("What it refuses with."),
            "enquiry": text("What asks for the data after a confirmation."),
            "bare": flag("Whether confirmations and refusals come without a terminator."),
        },
        "A message is confirmed before the data are asked for.",
        required=("ack",),
    ),
    "echo": flag("Whether the device echoes each message before it answers."),
    "ignore": text("Characters that are dropped from what is received."),
    "no_value": pattern_text("The text of a field that stands for no number."),
    "encoding": one_of(("ascii", "latin-1", "utf-8"), "How characters become bytes."),
    "unsolicited": list_of(
        pattern_text("A whole line."), "Lines that may come unasked, and answer nothing."
    ),
    "settle_after": {
        "type": "object",
        "additionalProperties": {"type": "number", "minimum": 0},
        "description": "Extra silence, in seconds, after messages that begin so.",
    },
}
"""Settings of a controller with ``driver = "text"``."""

TEXT_ITEM: dict[str, Any] = {
    "ask": text("What is sent to read it."),
    "reply": text("The whole reply, with {name:spec} for each field."),
    "field": any_of(
        text("The field that is the value."),
        list_of({"type": "string"}, "The fields of an array."),
    ),
    "valid": {"type": "object", "description": "What other fields are if the value is good."},
    "reasons": {
        "type": "object",
        "additionalProperties": {"type": "object", "additionalProperties": {"type": "string"}},
        "description": "Words for each field that says why the value is not good.",
    },
    "plausible": pair("Outside of it, the value is not believed."),
    "values": {
        "type": "object",
        "minProperties": 1,
        "description": "Text in the protocol, and the value that it stands for.",
    },
    "scale": number("The value is the number times this ..."),
    "offset": number("... plus this."),
    "no_reading": pattern_text("The whole reply if there is no value."),
    "tell": text("What is sent to set it, with {value} or {value:.2f}."),
    "tell_values": {
        "type": "object",
        "minProperties": 1,
        "description": "What is told, and the value that it stands for, if other words are read.",
    },
    "ack": pattern_text("The whole reply that is due to `tell`."),
    "ack_optional": flag("Whether the device may be silent instead."),
    "check": flag("Whether `error_query` is asked after this `tell`."),
    "read_back": flag("Whether it is read and compared after it was told."),
    "heard": text("The lines that the device sends unasked."),
    "silence_s": positive("Not heard for so long: the value is invalid."),
}
"""Keys of an item of a controller with ``driver = "text"``."""

_TABLES = ("holding", "input", "coil", "discrete")
_REGISTER_TYPES = (
    *("uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"),
    *("string", "bool", "bcd16", "bcd32"),
)
_ORDER = ("big", "little")
_RAW = any_of({"type": "number"}, list_of({"type": "number"}, "Several."))
_NUMBERINGS = ("protocol", "one-based", "modicon")
_WRITES = ("auto", "single", "multiple", "mask")
_REGISTER = {
    "table": one_of(_TABLES, "Which of the four tables."),
    "address": whole("Its address, by `numbering`.", maximum=465536),
    "numbering": one_of(_NUMBERINGS, "What its addresses count from, if not as the others."),
    "type": one_of(_REGISTER_TYPES, "How its registers make a value."),
    "words": one_of(_ORDER, "Which register of several comes first."),
    "bytes": one_of(_ORDER, "Which byte of a register comes first."),
    "scale": number("The value is the number times this ..."),
    "offset": number("... plus this."),
    "bit": whole("One bit of it.", maximum=15),
    "bits": pair("A field of bits, lowest and highest.", of="integer"),
    "length": whole("Registers of a string.", minimum=1),
    "count": whole("How many values, of an array.", minimum=1),
    "invalid": {**_RAW, "description": "Raw numbers that mean that there is no value."},
    "write": one_of(_WRITES, "Which function writes."),
    "write_table": one_of(_TABLES, "Where it is written, if elsewhere."),
    "write_address": whole("Where it is written, if elsewhere.", maximum=465536),
    "readable": flag("Whether the device lets it be read; if not, it is only written."),
    "read_back": flag("Whether it is read and compared after it was written."),
    "repeat": flag("Whether a write whose answer was lost may be sent again."),
}

MODBUS_SETTINGS: dict[str, Any] = {
    "words": one_of(_ORDER, "Order of registers, where an item does not say."),
    "bytes": one_of(_ORDER, "Order of bytes, where an item does not say."),
    "numbering": one_of(_NUMBERINGS, "What addresses count from."),
    "max_registers": whole("Most registers in one read.", minimum=1, maximum=125),
    "max_bits": whole("Most bits in one read.", minimum=1, maximum=2000),
    "max_gap": whole("Most registers between two items that one read goes over.", maximum=124),
    "holes": {
        "type": "object",
        "propertyNames": {"enum": list(_TABLES)},
        "additionalProperties": list_of(pair("First and last.", of="integer"), "Spans."),
        "description": "Addresses that are never read.",
    },
    "identify": table(
        {**_REGISTER, "value": _ANY}, "A register that says which device it is.",
        required=("address", "value"),
    ),
    "write": one_of(_WRITES, "Which function writes, where an item does not say."),
    "loopback": flag("Whether it answers function 8, if only with an exception."),
    "echo": flag("Whether the wiring sends back each message before the answer comes."),
    "restore": list_of(
        table({**_REGISTER, "value": _ANY}, "A value.", required=("address", "value")),
        "Written again on each connect.",
    ),
}  # fmt: skip
"""Settings of a controller with ``driver = "modbus"``."""

MODBUS_ITEM: dict[str, Any] = {
    "register": table(_REGISTER, "Where the value is, and how it is coded.", required=("address",)),
    "plausible": pair("Outside of it, the value is not believed."),
}
"""Keys of an item of a controller with ``driver = "modbus"``."""
