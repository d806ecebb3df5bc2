"""What a WXT530 does with a line that a host has sent, as its sheet has it."""

from __future__ import annotations

import re
from string import ascii_lowercase
from typing import TYPE_CHECKING

from simulators._vaisala_messages import (
    COMPOSITE,
    DIGITS,
    ascii_line,
    crc,
    data_line,
    nmea_groups,
    nmea_lines,
    text_line,
)
from simulators._vaisala_settings import FIELDS, SettingError

if TYPE_CHECKING:
    from simulators.vaisala_wxt530 import VaisalaWXT530

__all__ = ["obey"]

UNKNOWN = "Unknown cmd error"
UNABLE = "Unable to measure error"
WRONG_BEGIN = "Sync/address error"

_ADDRESS = re.compile(r"[0-9A-Za-z]")
# What may stand in front of a checksum.
_WITH_SUM = re.compile(r".(r[0-9]?|[xwtrs]u(,.*)?|xz[a-z]*)", re.DOTALL)
_LIKE_SUM = re.compile(r"[@-\x7f]{3}")
_QUERY = re.compile(r"(\$..WIQ,(MWV|XDR))\*([0-9A-Fa-f]{2})", re.DOTALL)
_RESETS = {"XZRU": "Rain reset", "XZRI": "Inty reset", "XZM": "Measurement reset"}


def obey(unit: VaisalaWXT530, line: str) -> bytes:
    """Obey one line and give the reply; empty: it is for another unit, or answered by silence."""
    query = _QUERY.fullmatch(line) if unit.speaks_nmea else None
    if query is not None:
        return _asked_by_nmea(unit, query)
    if line in ("?", unit.address):
        return ascii_line(unit.address, checksummed=False)
    if not line.startswith(unit.address):
        astray = not (unit.shares_line or _ADDRESS.match(line))
        return _complaint(unit, WRONG_BEGIN, checksummed=False) if astray else b""
    if line[1] not in ascii_lowercase:
        return _command(unit, line[1:], checksummed=False)
    return _checksummed(unit, line)


def _checksummed(unit: VaisalaWXT530, line: str) -> bytes:
    body, given = line[:-3], line[-3:]
    if len(body) > 1 and given == _sum(body):
        return _command(unit, body[1:], checksummed=True)
    without = not (_WITH_SUM.fullmatch(body) and _LIKE_SUM.fullmatch(given))
    due = _sum(line if without else body)
    return _complaint(unit, f"Use chksum {due}", checksummed=True)


def _sum(body: str) -> str:
    return crc(body.encode("latin-1")).decode("ascii")


def _command(unit: VaisalaWXT530, text: str, *, checksummed: bool) -> bytes:
    """Obey *text*, which has no address and no checksum."""
    word, comma, fields = text.partition(",")
    name = word.upper()
    if name[:1] == "R" and (name[1:] in DIGITS or name[1:] in ("", COMPOSITE)) and not comma:
        return _values(unit, name[1:], checksummed=checksummed)
    if len(name) == 2 and name[1] == "U" and name[0] in FIELDS:
        return _settings(unit, word, fields if comma else None, checksummed=checksummed)
    if name.startswith("XZ") and not comma:
        return _reset(unit, name, checksummed=checksummed)
    return _complaint(unit, UNKNOWN, checksummed=checksummed)


def _values(unit: VaisalaWXT530, digit: str, *, checksummed: bool) -> bytes:
    digits = [digit] if digit else list(DIGITS)
    lines = b"".join(data_line(unit, each, checksummed=checksummed) for each in digits)
    return lines or _complaint(unit, UNABLE, checksummed=checksummed)


def _settings(unit: VaisalaWXT530, word: str, fields: str | None, *, checksummed: bool) -> bytes:
    group = word[0].upper()
    letters = None
    if fields is not None:
        try:
            letters = unit.settings.change(group, fields)
        except SettingError:
            return _complaint(unit, UNKNOWN, checksummed=checksummed)
        unit.apply_settings()
    shown = unit.settings.show(group, letters)
    if unit.disguise and group == "X" and letters is None:
        shown = re.sub("(?<=N=)[^,]*", unit.disguise.replace(",", " "), shown)
    return ascii_line(f"{unit.address}{word},{shown}", checksummed=checksummed)


def _reset(unit: VaisalaWXT530, name: str, *, checksummed: bool) -> bytes:
    text = _RESETS.get(name)
    if name == "XZ":
        unit.restart()
        text = "Start-up"
    elif name == "XZRU":
        unit.gauge.reset_counters()
    elif name == "XZRI":
        unit.gauge.reset_intensity()
    elif name == "XZM":
        unit.measure_anew()
    if text is None:
        return _complaint(unit, UNKNOWN, checksummed=checksummed)
    return text_line(unit, text, checksummed=checksummed)


def _asked_by_nmea(unit: VaisalaWXT530, query: re.Match[str]) -> bytes:
    total = 0
    for char in query[1][1:]:
        total ^= ord(char)
    if total != int(query[3], 16):
        return b""
    groups = nmea_groups(unit, query[2])
    lines = b"".join(nmea_lines(unit, group) for group in groups)
    return lines or _complaint(unit, UNABLE, checksummed=False)


def _complaint(unit: VaisalaWXT530, text: str, *, checksummed: bool) -> bytes:
    if unit.settings.get("S", "S") == "N":
        return b""
    return text_line(unit, text, checksummed=checksummed)
