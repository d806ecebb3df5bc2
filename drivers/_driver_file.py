r"""Driver files: a driver without code, as a file of its own that instrument files share.

One has ``driver = "text"`` or ``"modbus"``, the settings of the controller, and its channels::

    driver = "text"
    terminator = "\r\n"

    [channels.pressure]
    ask = "PR1"
    units = "mbar"
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drivers._suggest import suggestion
from drivers._toml_lines import line_numbers
from drivers._wiring_report import Report

__all__ = ["GENERIC", "DriverFile", "is_driver_file", "read_driver_file", "read_toml"]

GENERIC = ("text", "modbus")
"""The drivers that take the protocol as data."""
_CHANNEL_NAME = re.compile(r"[A-Za-z0-9_.:+-]+")
_SIGNED = re.compile(r"[-+]0(?:x(?:_?[0-9A-Fa-f])+|o(?:_?[0-7])+|b(?:_?[01])+)")
_TOML_PLACE = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)")


@dataclass(frozen=True, slots=True)
class DriverFile:
    """What a driver file says."""

    report: Report
    """What is wrong with it."""
    driver: str = ""
    """Of :data:`GENERIC`; empty if it names none of them."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the controller, where the instrument file does not say otherwise."""
    channels: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Tables like those of items with protocol keys, by path of the channel."""


def is_driver_file(driver: str) -> bool:
    """Return whether *driver*, as an instrument file names it, is a file."""
    return driver.endswith(".toml")


def read_driver_file(path: Path, name: str) -> DriverFile:
    """Read the driver file at *path*; *name* is what problems call it."""
    report = Report({}, file=name)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        report.problem((), f"cannot be read: {error}")
        return DriverFile(report)
    content, report = read_toml(text, file=name)
    if content is None:
        return DriverFile(report)
    driver = content.pop("driver", None)
    if driver not in GENERIC:
        near = suggestion(str(driver), GENERIC)
        report.problem(("driver",), f"must be there, and be a generic driver: {near}")
        driver = ""
    for key in ("url", "name"):
        if content.pop(key, None) is not None:
            report.problem((key,), "belongs into the instrument file, as each device has its own")
    tables = content.pop("channels", {})
    channels = _channels(report, tables)
    return DriverFile(report, driver, content, channels)


def _channels(report: Report, tables: Any) -> dict[str, Mapping[str, Any]]:
    if not (isinstance(tables, dict) and tables):
        report.problem(("channels",), "must be tables: [channels.NAME]")
        return {}
    found: dict[str, Mapping[str, Any]] = {}
    for name, table in tables.items():
        path = ("channels", name)
        if not _CHANNEL_NAME.fullmatch(name):
            report.problem(path, f"{name!r} is not a name: letters, digits and _ . - : + only")
        elif not isinstance(table, dict):
            report.problem(path, f"must be a table: [channels.{name}]")
        else:
            found[name] = table
    return found


def read_toml(text: str, *, file: str | None = None) -> tuple[dict[str, Any] | None, Report]:
    """Parse *text*; return its content, or ``None`` if it is no TOML, and a report to add to."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = _TOML_PLACE.search(str(error))
        line = int(match[1]) if match and match[1] else len(text.splitlines()) or 1
        report = Report({("",): line}, file=file)
        words = _TOML_PLACE.sub("", str(error))
        where = f" (column {match[2]})" if match and match[2] else ""
        hint = _hint(text, int(match[1]), int(match[2])) if where and match else ""
        report.problem(("",), f"is not TOML: {words[:1].lower()}{words[1:]}{where}{hint}")
        return None, report
    return content, Report(line_numbers(text), file=file)


def _hint(text: str, line: int, column: int) -> str:
    """Return what to write instead of what no TOML parser takes, where we know that."""
    # It takes the sign and the 0 as the number, and trips over what comes then.
    number = _SIGNED.match(text.split("\n")[line - 1], max(0, column - 3))
    if number is None:
        return ""
    return (
        f": TOML has no sign before a hexadecimal, octal or binary number: write "
        f"{int(number[0], 0)} for {number[0]}"
    )
