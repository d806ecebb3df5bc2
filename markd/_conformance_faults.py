"""The matrix: what a controller has to stand, and what may be asked of it then."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulators import PTY_TRANSPORTS

from ._conformance_line import LineOnTrial

__all__ = ["MATRIX", "Fault", "Request"]

Request = Mapping[str, Any]
"""One of the control port of a simulator."""

_NOT_ASCII = 128
_FETCHED = ("vxi11", "hislip")
_OFF_S = 2.0


def _nothing(_line: LineOnTrial) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault."""

    name: str
    """What it is called in the table."""
    what: str
    """What happens, in a line."""
    requests: Callable[[LineOnTrial], Sequence[Request]]
    """What the simulator is asked, in order, so that it begins."""
    why_not: Callable[[LineOnTrial], str] = _nothing
    """Why it cannot be tried on a line; empty: it can."""
    sure: bool = False
    """Whether nothing can be known while it lasts, so that no value may count as valid."""
    lasts: bool = True
    """Whether it goes on until it is ended."""
    lasts_s: float = 0.0
    """How long at least, if it ends by itself."""
    gap_s: float = 0.0
    """Between what the simulator is asked."""
    forgets: bool = False
    """Whether the device may have forgotten what it was told."""
    unit: Callable[[LineOnTrial], Sequence[str]] = lambda line: line.names
    """The controllers that have it."""


def _one(name: str, **parameters: float | str) -> Callable[[LineOnTrial], Sequence[Request]]:
    return lambda _line: ({"cmd": "fault", "name": name, **parameters},)


def _late(line: LineOnTrial, **parameters: float) -> Sequence[Request]:
    return ({"cmd": "fault", "name": "late", "delay_s": 1.5 * line.timing.timeout_s, **parameters},)


def _slow(line: LineOnTrial) -> Sequence[Request]:
    return ({"cmd": "fault", "name": "slow", "gap_s": 0.7 * line.timing.timeout_s},)


def _spoilt(name: str, **parameters: float) -> Callable[[LineOnTrial], Sequence[Request]]:
    """Spoil bytes so that it can be told: one digit for another nobody could tell in plain text."""

    def requests(line: LineOnTrial) -> Sequence[Request]:
        lowest = 0 if line.binary else _NOT_ASCII
        return ({"cmd": "fault", "name": name, "lowest": lowest, **parameters},)

    return requests


def _unasked(_line: LineOnTrial) -> Sequence[Request]:
    return ({"cmd": "fault", "name": "unsolicited"},) * 3


def _other_device(_line: LineOnTrial) -> Sequence[Request]:
    # Who is asked only on connecting has to connect.
    return ({"cmd": "fault", "name": "wrong-identity"}, {"cmd": "fault", "name": "reset"})


def _needs_tcp(line: LineOnTrial) -> str:
    if line.transport in PTY_TRANSPORTS:
        return "a serial line has no connection"
    return ""


def _needs_voice(line: LineOnTrial) -> str:
    return "hosts fetch what it says" if line.transport in _FETCHED else ""


def _needs_check(line: LineOnTrial) -> str:
    if line.transport == "modbus+tcp":
        return "TCP keeps it away, and Modbus TCP itself has no check sum"
    return ""


def _needs_identity(line: LineOnTrial) -> str:
    return "" if line.identified else "nothing tells who answers"


def _needs(ability: str) -> Callable[[LineOnTrial], str]:
    def why_not(line: LineOnTrial) -> str:
        return "" if ability in line.abilities else "the device has no such answer"

    return why_not


MATRIX: tuple[Fault, ...] = (
    Fault("refuse", "nothing listens, or the port is gone", _one("refuse"), sure=True),
    Fault("reset", "the connection is dropped", _one("reset"), lasts=False),
    Fault(
        "half-open",
        "the other end is gone, and the connection stays",
        _one("half-open"),
        _needs_tcp,
        lasts=False,
    ),
    Fault("silence", "nothing is obeyed or answered", _one("silence"), sure=True),
    Fault("mute", "all is obeyed, nothing is answered", _one("mute"), sure=True),
    Fault("slow", "replies trickle in", _slow),
    Fault("split", "replies come in two parts", _one("split", gap_s=0.05)),
    Fault("garbage", "replies are random bytes", _spoilt("garbage"), _needs_check),
    Fault("one garbage", "one reply is", _spoilt("garbage", count=1), _needs_check),
    Fault(
        "noise", "one byte in fifty is another", _spoilt("noise", probability=0.02), _needs_check
    ),
    Fault("truncated", "replies stop somewhere", _one("truncated")),
    Fault("late", "each reply comes after its deadline", _late),
    Fault("one late", "one reply does", lambda line: _late(line, count=1)),
    Fault(
        "unsolicited",
        "lines come that nobody asked for",
        _unasked,
        _needs_voice,
        lasts=False,
        gap_s=0.2,
    ),
    Fault("busy", "each answer is: busy", _one("busy"), _needs("busy")),
    Fault("nak", "each answer is: not acknowledged", _one("nak"), _needs("nak")),
    Fault("exception", "each answer is an exception", _one("exception"), _needs("exception")),
    Fault("wrong identity", "another device answers", _other_device, _needs_identity, sure=True),
    Fault(
        "power-cycle",
        "it loses its supply for two seconds",
        _one("power-cycle", off_s=_OFF_S),
        sure=True,
        lasts=False,
        lasts_s=_OFF_S,
        forgets=True,
    ),
)
"""In the order in which they are tried; what may change the device comes last."""
