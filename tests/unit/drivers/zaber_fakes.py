"""A chain of Zaber devices of a few lines, written from the sheet; a test is the motor."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.unit.drivers.text_fakes import TextDevice

__all__ = ["Chain", "lrc"]


def lrc(line: str) -> str:
    """Return *line* with its check sum: two's complement of the sum behind the first character."""
    return f"{line}:{-sum(line[1:].encode()) & 0xFF:02X}"


class Chain:
    """Devices with two axes each, which stand where a test puts them."""

    def __init__(self, *addresses: int) -> None:
        self.settings = {
            "device.id": "50952",
            "version": "7.38",
            "limit.min": "0",
            "limit.max": "305381",
            "maxspeed": "163840",
            "comm.alert": "0",
            "comm.checksum": "0",
        }
        self.at = {(address, axis): 0 for address in addresses for axis in (1, 2)}
        self.busy: set[tuple[int, int]] = set()
        self.serials = {address: str(100000 + address) for address in addresses}
        self.flags: dict[tuple[int, int], list[str]] = {place: [] for place in self.at}
        self.rejected: dict[str, str] = {}
        self.silent: set[int] = set()
        self.obliging = True
        self.knows_check_sums = True
        self.commands: list[str] = []
        self.mangle: Callable[[str], str] = lambda line: line
        self.device: TextDevice | None = None

    def answer(self, message: bytes) -> bytes | None:
        line = message.decode()
        found = re.fullmatch(r"(/(\d\d) (\d) (\d\d)(?: (.*))?):([0-9A-F]{2})", line)
        assert found, f"{line!r} is no message with address, axis, number and check sum"
        if lrc(found[1]) != line:
            return None
        address, axis, number, text = int(found[2]), int(found[3]), found[4], found[5] or ""
        if address in self.silent or (address, 1) not in self.at:
            return None
        self.commands.append(f"{address} {axis} {text}".rstrip())
        word = self.rejected.get(text) or self.rejected.get(text.partition(" ")[0])
        data = word or self._obey(address, axis, text)
        place = (address, axis or 1)
        head = "RJ" if word or (data.isupper() and data.startswith("BAD")) else "OK"
        state = "BUSY" if place in self.busy else "IDLE"
        flag = self.flags[place][0] if self.flags[place] else "--"
        return self._line(f"@{address:02d} {axis} {number} {head} {state} {flag} {data}")

    def _line(self, line: str) -> bytes:
        if self.settings["comm.checksum"] == "1":
            line = lrc(line)
        return (self.mangle(line) + "\r\n").encode()

    def say(self, line: str) -> None:
        """Say something unasked."""
        assert self.device is not None
        self.device.send(self._line(line))

    def rest(self, place: tuple[int, int], at: int, *flags: str) -> None:
        """Have an axis stand still at *at*, and tell nobody."""
        self.at[place] = at
        self.flags[place] = list(flags)
        self.busy.discard(place)

    def _obey(self, address: int, axis: int, text: str) -> str:
        word, _, rest = text.partition(" ")
        obey = getattr(self, f"_{word}", None)
        if word and obey is None:
            return "BADCOMMAND"
        return (obey((address, axis or 1), rest, axis) if word else None) or "0"

    def _get(self, place: tuple[int, int], name: str, _axis: int) -> str:
        if name == "system.serial":
            return self.serials[place[0]]
        return str(self.at[place]) if name == "pos" else self.settings.get(name, "BADCOMMAND")

    def _set(self, _place: tuple[int, int], rest: str, _axis: int) -> str | None:
        name, value = rest.split()
        if name not in self.settings or (name == "comm.checksum" and not self.knows_check_sums):
            return "BADCOMMAND"
        self.settings[name] = value
        return None

    def _move(self, place: tuple[int, int], rest: str, _axis: int) -> None:
        self.busy.add(place)
        if self.obliging:
            self.rest(place, int(rest.split()[1]) if rest else 0)

    _home = _move

    def _stop(self, place: tuple[int, int], _rest: str, axis: int) -> None:
        for number in ((axis,) if axis else (1, 2)) if self.obliging else ():
            self.rest((place[0], number), self.at[place[0], number], "NI")

    _estop = _stop

    def _warnings(self, place: tuple[int, int], rest: str, _axis: int) -> str:
        if rest == "clear":
            self.flags[place] = []
        return " ".join((f"{len(self.flags[place]):02d}", *self.flags[place]))
