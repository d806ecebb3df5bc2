"""JSON that a terminal does not obey: what daemons say may hold anything."""

from __future__ import annotations

from typing import Any

from mktl.protocol.message import encode_json

__all__ = ["json_line", "without_controls"]


def json_line(value: Any) -> str:
    """Return *value* as JSON on one line, all characters in it printable."""
    return without_controls(encode_json(value).decode())


def without_controls(text: str) -> str:
    r"""Return *text*, which is JSON, with characters that do not print as ``\u009b``.

    JSON itself asks for that only below U+0020; but some terminals take U+009B for the begin of a
    command, and others turn round what is written.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else _escape(char) for char in text)


def _escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
