"""The part of the JSON Schema of instrument files about who may do what."""

from __future__ import annotations

from typing import Any

from drivers._schema_words import flag, list_of, table, text

__all__ = ["ACCESS"]

_ROLE = r"^[a-z0-9_-]{1,32}$"
_PATTERN = {"type": "string", "minLength": 1}

ACCESS: dict[str, Any] = table(
    {
        "curve": flag("Whether connections are encrypted, and callers known by their keys."),
        "unknown": text(
            "Role of those without an authorised key: none, read, operator, engineer, set, or one "
            "of roles; read if not given, and set without curve.",
            pattern=_ROLE,
        ),
        "roles": {
            "type": "object",
            "description": "Roles beside those that are built in, or instead of them.",
            "propertyNames": {"pattern": _ROLE},
            "additionalProperties": table(
                {
                    "read": list_of(_PATTERN, "Keys, or patterns of keys, that it may read."),
                    "set": list_of(_PATTERN, "Keys, or patterns of keys, that it may set."),
                },
                "What it may do.",
            ),
        },
    },
    "Who may do what: [access]. Without it, everybody may do everything.",
)
"""The table ``[access]``."""
