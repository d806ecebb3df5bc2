"""What an IcePAP can be asked, of the system and of one axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulators._icepap_axis import ACCTIME_S, VELOCITY, IcepapAxis
from simulators._icepap_words import DISABLED, STOPPED, Bit, IcepapError, Mode, Reason

if TYPE_CHECKING:
    from simulators.icepap import IcePAP

__all__ = ["AXIS_QUERIES", "SYSTEM_QUERIES", "Answer", "Query"]

VERSION, BUILT = "3.17", "Mon Mar  6 09:12:44 2017"
"""Of its firmware."""

Answer = str | list[str]
"""One line, or several that stand between two ``$``."""


@dataclass(frozen=True, slots=True)
class Query:
    """What an axis can be asked."""

    read: Mapping[str, Callable[[IcepapAxis], Answer]]
    """How to read it, by the word that may follow; the first is what stands for none."""
    several: bool = True
    """True: several axes can be asked at once."""

    def answer(self, axis: IcepapAxis, words: Sequence[str]) -> Answer:
        """Ask *axis*.

        Raises:
            IcepapError: the words after the query make no sense.
        """
        chosen = words[0].upper() if words else next(iter(self.read))
        if len(words) > 1 or chosen not in self.read:
            raise IcepapError(Reason.WRONG_PARAMETERS)
        return self.read[chosen](axis)


def _query(read: Callable[[IcepapAxis], Answer], *, several: bool = True) -> Query:
    return Query({"": read}, several)


def _number(value: float) -> str:
    return f"{value:.10g}"


def _status(axis: IcepapAxis) -> str:
    return f"0x{axis.status:08X}"


def _position(axis: IcepapAxis) -> str:
    return str(axis.position)


def _encoder(axis: IcepapAxis) -> str:
    return str(axis.encoder)


def _warnings(axis: IcepapAxis) -> Answer:
    if not axis.warm:
        return "NONE"
    return [f"Driver temperature is above {axis.warning_c:g} C: {axis.drive.temperature_c:.1f} C"]


def _alarm(axis: IcepapAxis) -> str:
    return "NO" if axis.alarm is None else f"YES {STOPPED[axis.alarm]}"


def _verbose_status(axis: IcepapAxis) -> list[str]:
    word = axis.status

    def yes(bit: Bit) -> str:
        return "YES" if word >> bit & 1 else "NO"

    return [
        f"Status register  : 0x{word:08X}",
        f"Mode             : {axis.mode.name}",
        f"Motor power      : {'ON' if axis.powered else 'OFF'}",
        f"Disable condition: {DISABLED[axis.disable_code]}",
        f"Ready            : {yes(Bit.READY)}",
        f"Moving           : {yes(Bit.MOVING)}",
        f"Settling         : {yes(Bit.SETTLING)}",
        f"Out of window    : {yes(Bit.OUT_OF_WINDOW)}",
        f"Warning          : {yes(Bit.WARNING)}",
        f"Stop code        : {STOPPED[axis.stop_code]}",
        f"Limit+           : {yes(Bit.LIMIT_PLUS)}",
        f"Limit-           : {yes(Bit.LIMIT_MINUS)}",
        f"Home             : {yes(Bit.HOME)}",
    ]


_AXIS_VERSION = [
    f"SYSTEM       :  {VERSION} : {BUILT}",
    f"   CONTROLLER:  {VERSION}",
    f"   DRIVER    :  {VERSION}",
    f"      DSP    :  3.60 : {BUILT}",
    "      FPGA   :  7.00",
    "      PCB    :  1.00",
    "      IO     :  1.00",
]
_SYSTEM_VERSION = [
    f"SYSTEM       :  {VERSION} : {BUILT}",
    f"   CONTROLLER:  {VERSION}",
    f"      DSP    :  3.60 : {BUILT}",
    "      FPGA   :  1.00",
    "      PCB    :  1.00",
    "      MCPU0  :  1.10",
    "      MCPU1  :  1.10",
    "      MCPU2  :  1.10",
    f"   DRIVER    :  {VERSION}",
]


AXIS_QUERIES: Mapping[str, Query] = {
    "POS": Query({"AXIS": _position, "INDEXER": _position, "MEASURE": _encoder, "ENCIN": _encoder}),
    "FPOS": Query({"AXIS": _position, "MEASURE": _encoder}),
    "ENC": Query({"ENCIN": _encoder, "MEASURE": _encoder, "AXIS": _position}),
    "STATUS": _query(_status),
    "FSTATUS": _query(_status),
    "VELOCITY": Query(
        {
            "NOMINAL": lambda axis: _number(axis.velocity),
            "CURRENT": lambda axis: _number(axis.drive.motor.velocity),
            "DEFAULT": lambda _: _number(VELOCITY),
        }
    ),
    "ACCTIME": Query(
        {
            "NOMINAL": lambda axis: _number(axis.acctime_s),
            "DEFAULT": lambda _: _number(ACCTIME_S),
        }
    ),
    "JOG": _query(lambda axis: _number(axis.drive.motor.velocity if axis.jogging else 0.0)),
    "POWER": _query(lambda axis: "ON" if axis.powered else "OFF"),
    "STOPCODE": _query(lambda axis: f"0x{axis.stop_code:04X}"),
    "VSTOPCODE": _query(lambda axis: STOPPED[axis.stop_code], several=False),
    "HOMESTAT": _query(lambda axis: axis.home.status),
    "NAME": _query(lambda axis: axis.name, several=False),
    "ADDR": _query(lambda axis: str(axis.address), several=False),
    "ACTIVE": _query(lambda axis: "YES" if axis.active else "NO", several=False),
    "MODE": _query(lambda axis: axis.mode.name, several=False),
    "ID": Query(
        {
            "HW": lambda axis: f"0008.0129.{axis.address:04d}",
            "SN": lambda axis: f"SN{70_000 + axis.address}",
        },
        several=False,
    ),
    "VER": Query({"DRIVER": lambda _: VERSION, "INFO": lambda _: _AXIS_VERSION}, several=False),
    "WARNING": _query(_warnings, several=False),
    "ALARM": _query(_alarm, several=False),
    "VSTATUS": _query(_verbose_status, several=False),
}
"""Of an axis, by the word."""


def _version(system: IcePAP, words: Sequence[str]) -> Answer:
    if len(words) > 1:
        raise IcepapError(Reason.WRONG_PARAMETERS)
    chosen = words[0].upper() if words else "SYSTEM"
    if chosen in ("SYSTEM", "CONTROLLER", "DRIVER"):
        return system.disguise or VERSION
    if chosen != "INFO":
        raise IcepapError(Reason.WRONG_PARAMETERS)
    if system.disguise is not None:
        return [system.disguise]
    return _SYSTEM_VERSION


def _racks(system: IcePAP, words: Sequence[str]) -> Answer:
    if not words:
        racks = {address // 10 for address in system.axes}
        return f"0x{sum(1 << rack for rack in racks):04X}"
    if len(words) > 1 or not words[0].isdecimal():
        raise IcepapError(Reason.WRONG_PARAMETERS)
    there = {
        address % 10: axis
        for address, axis in system.axes.items()
        if address // 10 == int(words[0][:4])
    }
    if not there:
        raise IcepapError(Reason.NOT_PRESENT)
    present = sum(1 << driver - 1 for driver in there)
    alive = sum(1 << driver - 1 for driver, axis in there.items() if axis.alive)
    return f"0x{present:02X} 0x{alive:02X}"


def _mode(system: IcePAP, words: Sequence[str]) -> Answer:
    if words:
        raise IcepapError(Reason.WRONG_PARAMETERS)
    return Mode(system.mode).name


def _help(_system: IcePAP, words: Sequence[str]) -> Answer:
    if words:
        raise IcepapError(Reason.WRONG_PARAMETERS)
    return sorted(f"?{word}" for word in {*AXIS_QUERIES, *SYSTEM_QUERIES})


SYSTEM_QUERIES: Mapping[str, Callable[[IcePAP, Sequence[str]], Answer]] = {
    "VER": _version,
    "SYSSTAT": _racks,
    "MODE": _mode,
    "HELP": _help,
}
"""Of the system, by the word."""
