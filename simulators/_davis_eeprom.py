"""The EEPROM of a Vantage console, as far as its sheet names addresses."""

from __future__ import annotations

__all__ = ["Eeprom"]

_ALTITUDE, _UNITS, _SETUP, _RAIN_MONTH, _ARCHIVE_MINUTES = 0x0F, 0x29, 0x2B, 0x2C, 0x2D
_SIZE = 256
# Bits 4 and 5 of the set-up byte; bit 3 is the large wind cup.
_COLLECTOR_AT, _LARGE_CUP = 4, 0x08
_CLICK_MM = (0.254, 0.2, 0.1, 0.254)


class Eeprom:
    """256 bytes, and what those mean that the sheet names."""

    def __init__(self) -> None:
        """Hold what a console has that somebody has put up: 0.01 inch a click, 5 minutes."""
        self.content = bytearray(_SIZE)
        self.content[_UNITS] = 0
        self.content[_SETUP] = _LARGE_CUP
        self.content[_RAIN_MONTH] = 1
        self.content[_ARCHIVE_MINUTES] = 5

    def read(self, address: int, count: int) -> bytes | None:
        """Give *count* bytes; None: they are not all there."""
        inside = count > 0 and address + count <= _SIZE
        return bytes(self.content[address : address + count]) if inside else None

    def write(self, address: int, data: bytes) -> None:
        """Put *data*, of which `read` would give as much."""
        self.content[address : address + len(data)] = data

    @property
    def rain_collector(self) -> int:
        """0: a click is 0.01 inch, 1: 0.2 mm, 2: 0.1 mm."""
        return self.content[_SETUP] >> _COLLECTOR_AT & 3

    @rain_collector.setter
    def rain_collector(self, collector: int) -> None:
        self.content[_SETUP] &= ~(3 << _COLLECTOR_AT) & 0xFF
        self.content[_SETUP] |= collector << _COLLECTOR_AT

    @property
    def click_mm(self) -> float:
        """Rain that one click of the bucket is."""
        return _CLICK_MM[self.rain_collector]

    @property
    def rain_month(self) -> int:
        """Month in which the rain of the year begins at zero."""
        return self.content[_RAIN_MONTH]

    @property
    def archive_minutes(self) -> int:
        """Minutes of an archive record; 0: nothing is recorded."""
        return self.content[_ARCHIVE_MINUTES]
