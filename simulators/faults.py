"""Faults of the kind that cables, hubs and tired instruments have; seeded, so repeatable.

A fault changes what happens to a message or to its reply. Those of the link itself (``refuse``,
``half-open``, ``reset``, ``power-cycle``; cutting and restoring it) are carried out by the shell,
and are listed here so that there is one place to look. Several may be active at once; they apply
in the order in which they were started.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from simulators._names import unknown_name
from simulators.device import SimulatorError

Value = float | str


@dataclass(frozen=True, slots=True)
class Piece:
    """Some bytes of a reply."""

    delay_s: float
    """Real seconds to wait before they are sent."""
    data: bytes
    """What is sent."""


Deform = Callable[[list[Piece], Mapping[str, Value], random.Random, Collection[int]], list[Piece]]
"""Gets a reply, the parameters, a source of chance, and the places that tell where it ends."""

Wear = Callable[[int, Mapping[str, Value], random.Random], bytes]
"""Gets a byte, the parameters and a source of chance."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault."""

    doc: str
    """One line: what the host sees."""
    parameters: Mapping[str, Value]
    """Parameters with their defaults; a value must be of the type of its default."""
    deform: Deform | None = None
    """What it does to a reply; None: it acts elsewhere."""
    wear: Wear | None = None
    """What becomes of a byte that it hits: its `count` and `probability` are those of bytes."""
    once: bool = False
    """True: something that happens, and does not last."""
    own: bool = False
    """True: only devices can have it that name it among their ``abilities``."""


def _late(
    pieces: list[Piece], how: Mapping[str, Value], _chance: random.Random, _ends: Collection[int]
) -> list[Piece]:
    first, *rest = pieces
    return [Piece(first.delay_s + float(how["delay_s"]), first.data), *rest]


def _garbage(
    pieces: list[Piece], how: Mapping[str, Value], chance: random.Random, ends: Collection[int]
) -> list[Piece]:
    scrambled = []
    begin = 0
    lowest = int(how["lowest"])
    for piece in pieces:
        data = bytes(
            byte if place in ends else _other_than(byte, chance, lowest)
            for place, byte in enumerate(piece.data, begin)
        )
        begin += len(data)
        scrambled.append(Piece(piece.delay_s, data))
    return scrambled


def _truncated(
    pieces: list[Piece], _how: Mapping[str, Value], chance: random.Random, _ends: Collection[int]
) -> list[Piece]:
    whole = b"".join(piece.data for piece in pieces)
    body = whole.rstrip(b"\r\n")
    # A text may stop just before its terminator; bytes without one must lose something.
    longest = len(body) if len(body) < len(whole) else max(0, len(body) - 1)
    return [Piece(pieces[0].delay_s, body[: chance.randrange(longest + 1)])]


def _split(
    pieces: list[Piece], how: Mapping[str, Value], chance: random.Random, _ends: Collection[int]
) -> list[Piece]:
    whole = b"".join(piece.data for piece in pieces)
    if len(whole) < 2:
        return pieces
    at = chance.randrange(1, len(whole))
    return [Piece(pieces[0].delay_s, whole[:at]), Piece(float(how["gap_s"]), whole[at:])]


def _slow(
    pieces: list[Piece], how: Mapping[str, Value], _chance: random.Random, _ends: Collection[int]
) -> list[Piece]:
    whole = b"".join(piece.data for piece in pieces)
    # Not byte by byte: a long reply would go on for minutes after the fault has ended.
    size = max(1, math.ceil(len(whole) / _MOST_PARTS))
    parts = [whole[at : at + size] for at in range(0, len(whole), size)]
    gap_s = float(how["gap_s"])
    return [
        Piece(gap_s if number else pieces[0].delay_s, part) for number, part in enumerate(parts)
    ]


def _changed(byte: int, how: Mapping[str, Value], chance: random.Random) -> bytes:
    lowest = int(how["lowest"])
    if lowest:
        return bytes([_other_than(byte, chance, lowest)])
    return bytes([byte ^ chance.randrange(1, 256)])


def _other_than(byte: int, chance: random.Random, lowest: int = 0) -> int:
    """Give another byte, which is no line end: a place of text would end there."""
    others = _NO_LINE_END.replace(bytes([byte]), b"")
    return chance.choice([other for other in others if other >= lowest] or others)


_NO_LINE_END = bytes(byte for byte in range(256) if byte not in b"\r\n")
_MOST_PARTS = 8
_REPEATS: Mapping[str, Value] = {"count": 0.0, "probability": 1.0}
_SELDOM: Mapping[str, Value] = {"count": 0.0, "probability": 0.001}

KINDS: Mapping[str, Kind] = {
    "silence": Kind("connected, but messages are neither obeyed nor answered", _REPEATS),
    "mute": Kind("messages are obeyed, their replies are lost", _REPEATS, lambda *_: []),
    "late": Kind("a reply comes delay_s late", {**_REPEATS, "delay_s": 2.0}, _late),
    "slow": Kind(
        "a reply trickles in: at most eight parts, gap_s apart", {**_REPEATS, "gap_s": 0.5}, _slow
    ),
    "garbage": Kind(
        "the characters of a reply are random; its end is right",
        {**_REPEATS, "lowest": 0.0},
        _garbage,
    ),
    "truncated": Kind("a reply stops somewhere, without its terminator", _REPEATS, _truncated),
    "split": Kind("a reply comes in two parts, gap_s apart", {**_REPEATS, "gap_s": 0.2}, _split),
    "noise": Kind(
        "each byte that it sends may be changed", {**_SELDOM, "lowest": 0.0}, wear=_changed
    ),
    "lost-bytes": Kind("each byte that it sends may be lost", _SELDOM, wear=lambda *_: b""),
    "strict-flow": Kind("a message that comes sooner than the device allows is lost", _REPEATS),
    "wrong-identity": Kind(
        "the device says that it is another one; without identity, one of another kind",
        {"identity": ""},
    ),
    "echo": Kind("what a host sends comes back to it, before any reply", {}),
    "unsolicited": Kind("a line comes that nobody has asked for", {"text": "!"}, once=True),
    "exception": Kind(
        "a message is not obeyed, its reply is the exception code",
        {**_REPEATS, "code": 4.0},
        own=True,
    ),
    "busy": Kind("a message is not obeyed, its reply says: busy", _REPEATS, own=True),
    "nak": Kind("a message is not obeyed, its reply says: not acknowledged", _REPEATS, own=True),
    "dead-unit": Kind(
        "the unit of this number on a shared line is silent", {"unit": 1.0}, own=True
    ),
    "refuse": Kind("nobody gets in: nothing listens, or the port of the line is gone", {}),
    "half-open": Kind(
        "who is connected stays so, and is neither heard nor answered; new ones are welcome",
        {},
        once=True,
    ),
    "reset": Kind("all connections are dropped; new ones are welcome", {}, once=True),
    "power-cycle": Kind(
        "the device loses its supply, and has it back after off_s", {"off_s": 1.0}, once=True
    ),
}
"""All kinds of fault, by name."""

_RANGES: Mapping[str, tuple[float, float]] = {
    "count": (0, 1_000_000),
    "probability": (0, 1),
    "lowest": (0, 254),
    "delay_s": (0, 3600),
    "gap_s": (0, 3600),
    "off_s": (0, 3600),
    "code": (1, 255),
    "unit": (0, 255),
}
_LONGEST_TEXT = 200


def parameters_of(name: str, given: Mapping[str, object]) -> dict[str, Value]:
    """Check the parameters of a fault and fill in its defaults.

    Raises:
        SimulatorError: no such fault or parameter, or a value that is no good.
    """
    kind = KINDS.get(name)
    if kind is None:
        raise SimulatorError(unknown_name("fault", name, [*KINDS, "none"]))
    for key in given:
        if key not in kind.parameters:
            raise SimulatorError(unknown_name(f"parameter of {name}", key, kind.parameters))
    return {
        key: _checked(key, given.get(key, default), default)
        for key, default in kind.parameters.items()
    }


def _checked(key: str, value: object, default: Value) -> Value:
    if isinstance(default, str):
        if isinstance(value, str) and value.isascii() and value.isprintable():
            return value[:_LONGEST_TEXT]
        raise SimulatorError(f"{key} must be a printable text, not {value!r}")
    low, high = _RANGES[key]
    if isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high:
        return float(value)
    raise SimulatorError(f"{key} must be a number within {low:g} to {high:g}, not {value!r}")


@dataclass(slots=True)
class _Active:
    parameters: Mapping[str, Value]
    left: int
    """How many more times; -1: no end."""


class Faults:
    """The faults that are active now, and their source of chance."""

    def __init__(self, *, seed: int | None = None) -> None:
        """Start with none; the same *seed* and the same messages give the same mishaps."""
        self._chance = random.Random(seed)
        self._active: dict[str, _Active] = {}

    def start(self, name: str, parameters: Mapping[str, Value]) -> None:
        """Make the fault *name* active, with what `parameters_of` returned for it."""
        count = int(parameters.get("count", 0))
        self._active[name] = _Active(parameters, count or -1)

    def clear(self) -> None:
        """End all of them."""
        self._active.clear()

    def active(self) -> dict[str, dict[str, Value]]:
        """Give the active faults with their parameters; ``count`` is what is left of it."""
        return {
            name: {**fault.parameters} | ({"count": float(fault.left)} if fault.left > 0 else {})
            for name, fault in self._active.items()
        }

    def strikes(self, name: str) -> bool:
        """Tell whether the fault *name* happens now, and use up one of its count."""
        fault = self._active.get(name)
        if fault is None or self._chance.random() >= float(fault.parameters["probability"]):
            return False
        self._use_up(name, 1)
        return True

    def is_active(self, name: str) -> bool:
        """Tell whether the fault *name* is active."""
        return name in self._active

    def parameters(self, name: str) -> Mapping[str, Value]:
        """Give the parameters of the fault *name* while it is active; else none."""
        return self._active[name].parameters if name in self._active else {}

    def deform(self, reply: bytes, *, ends: Collection[int] | None = None) -> list[Piece]:
        """Give what becomes of *reply*; an empty list: it is lost.

        Args:
            reply: All of it.
            ends: Places of the bytes that tell where it ends; None: CR and LF, as in text.
        """
        if ends is None:
            ends = [place for place, byte in enumerate(reply) if byte in b"\r\n"]
        pieces = [Piece(0.0, reply)]
        for name, fault in list(self._active.items()):
            deform, wear = KINDS[name].deform, KINDS[name].wear
            if deform and pieces and self.strikes(name):
                pieces = deform(pieces, fault.parameters, self._chance, ends)
            if wear:
                worn = (Piece(each.delay_s, self._worn(name, wear, each.data)) for each in pieces)
                pieces = [piece for piece in worn if piece.data]
        return pieces

    def _worn(self, name: str, wear: Wear, data: bytes) -> bytes:
        fault = self._active.get(name)
        if fault is None:
            return data
        probability = float(fault.parameters["probability"])
        hits = [place for place in range(len(data)) if self._chance.random() < probability]
        hits = hits[: fault.left] if fault.left > 0 else hits
        self._use_up(name, len(hits))
        parts = [data[each : each + 1] for each in range(len(data))] if hits else [data]
        for place in hits:
            parts[place] = wear(data[place], fault.parameters, self._chance)
        return b"".join(parts)

    def _use_up(self, name: str, times: int) -> None:
        fault = self._active[name]
        if fault.left > 0:
            fault.left -= times
        if fault.left == 0:
            del self._active[name]
