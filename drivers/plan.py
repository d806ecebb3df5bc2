"""What the polls of an instrument file ask of each line: the exchanges, and how busy they keep it.

Nothing is connected for it; the numbers follow from the file and from what the drivers say about
the sizes of their messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from drivers._trial import on_trial
from drivers.base import ControllerBase
from drivers.catalog import driver_class
from drivers.channel import BlockRead, Channel
from drivers.wiring import InstrumentFile, ItemSpec, Problem

__all__ = [
    "FULL_PERCENT",
    "HIGH_PERCENT",
    "LinePlan",
    "PlannedExchange",
    "Poll",
    "group_polls",
    "overloads",
    "plan",
]

SERIAL_TURNAROUND_S = 0.005
"""Assumed time that a device on a serial line takes to begin its answer."""
NETWORK_TURNAROUND_S = 0.001
"""The same for one on a network, with the way there and back."""
ASSUMED_SENT_BYTES = 12
"""Where a driver does not say how long its message is."""
ASSUMED_RECEIVED_BYTES = 24
"""Where it does not say how long the answer is."""
FULL_PERCENT = 100.0
"""A line cannot do more."""
HIGH_PERCENT = 80.0
"""More than this leaves little for SETs, and for trying again."""


@dataclass(frozen=True, slots=True)
class Poll:
    """One exchange that is made regularly, and the items that it is made for."""

    period_s: float
    """Seconds between two of them."""
    block: BlockRead
    """The exchange."""
    keys: tuple[str, ...]
    """The item of each channel in the block, in the same order."""


@dataclass(frozen=True, slots=True)
class PlannedExchange:
    """What one poll costs."""

    controller: str
    """Name of the controller."""
    poll: Poll
    """What is asked, for which items, and how often."""
    takes_s: float
    """Seconds of the line's time, once."""
    bytes: int
    """Sent and received, together."""
    estimated: bool
    """Whether a size had to be assumed."""

    @property
    def load_percent(self) -> float:
        """Share of the line's time."""
        return 100.0 * self.takes_s / self.poll.period_s


@dataclass(frozen=True, slots=True)
class LinePlan:
    """One line, with all controllers that share it."""

    place: str
    """Where it leads."""
    controllers: tuple[str, ...]
    """Their names."""
    exchanges: tuple[PlannedExchange, ...]
    """All polls on it."""
    asked_for: tuple[str, ...] = ()
    """Items that are read when somebody asks for them."""
    heard: tuple[str, ...] = ()
    """Items that the device tells unasked."""
    only_set: tuple[str, ...] = ()
    """Items that can be set, and not read."""

    @property
    def load_percent(self) -> float:
        """Share of the line's time that all polls need."""
        return sum(exchange.load_percent for exchange in self.exchanges)

    @property
    def estimated(self) -> bool:
        """Whether sizes had to be assumed."""
        return any(exchange.estimated for exchange in self.exchanges)

    @property
    def load_text(self) -> str:
        """The load for people, with a tilde where sizes had to be assumed."""
        return f"{'~' if self.estimated else ''}{self.load_percent:.3g} %"


def group_polls(
    controller: ControllerBase, items: Iterable[tuple[str, Channel, float]]
) -> list[Poll]:
    """Return the fewest exchanges that poll *items* of one controller.

    Args:
        controller: It plans its reads; nothing is sent.
        items: Key, channel, which can be read, and period in seconds.
    """
    by_period: dict[float, list[tuple[str, Channel]]] = {}
    for key, channel, period_s in items:
        by_period.setdefault(period_s, []).append((key, channel))
    return [
        Poll(period_s, block, tuple(_key_of(channel, members) for channel in block.channels))
        for period_s, members in by_period.items()
        for block in controller.plan_reads([channel for _, channel in members])
    ]


def _key_of(wanted: Channel, members: Sequence[tuple[str, Channel]]) -> str:
    # By identity: two items may be bound to channels of one path.
    return next(key for key, channel in members if channel is wanted)


@dataclass(slots=True)
class _Line:
    """A line as it is being planned."""

    controllers: list[str] = field(default_factory=list)
    exchanges: list[PlannedExchange] = field(default_factory=list)
    others: dict[str, list[str]] = field(
        default_factory=lambda: {"asked_for": [], "heard": [], "only_set": []}
    )


def plan(wiring: InstrumentFile, urls: Mapping[str, str] | None = None) -> tuple[LinePlan, ...]:
    """Return the plan of each line of *wiring*, in the order of the file.

    Args:
        wiring: The checked file.
        urls: Other URLs than the file's, by name of the controller.

    Raises:
        ConfigurationError: one of *urls* cannot be used.
    """
    lines: dict[str, _Line] = {}
    with on_trial() as stack:
        for name, spec in wiring.controllers.items():
            url = (urls or {}).get(name, spec.url)
            controller = driver_class(spec.generic)(url, name=name, **spec.settings)
            stack.callback(controller.close)
            line = lines.setdefault(controller.place.partition("?")[0], _Line())
            line.controllers.append(name)
            _add_items(line, name, controller, wiring.items.values())
    return tuple(
        LinePlan(
            place,
            tuple(line.controllers),
            tuple(line.exchanges),
            **{kind: tuple(keys) for kind, keys in line.others.items()},
        )
        for place, line in lines.items()
    )


def _add_items(
    line: _Line, name: str, controller: ControllerBase, items: Iterable[ItemSpec]
) -> None:
    polled = []
    for item in items:
        if item.controller != name or item.channel is None:
            continue
        channel = item.bind(controller)
        if channel.read is not None and item.poll_s:
            polled.append((item.key, channel, item.poll_s))
        elif channel.listen is not None:
            line.others["heard"].append(item.key)
        else:
            line.others["only_set" if channel.read is None else "asked_for"].append(item.key)
    line.exchanges += [_cost(name, controller, poll) for poll in group_polls(controller, polled)]


def _cost(name: str, controller: ControllerBase, poll: Poll) -> PlannedExchange:
    sent, received = poll.block.sent_bytes, poll.block.received_bytes
    estimated = sent is None or received is None
    sent = ASSUMED_SENT_BYTES if sent is None else sent
    received = ASSUMED_RECEIVED_BYTES if received is None else received
    settings, char_s = controller.settings, controller.char_s
    takes_s = (
        (sent + received) * char_s
        + sent * settings.char_delay_s
        + settings.min_gap_s
        + (SERIAL_TURNAROUND_S if char_s else NETWORK_TURNAROUND_S)
    )
    return PlannedExchange(name, poll, takes_s, sent + received, estimated)


def overloads(
    wiring: InstrumentFile, lines: Iterable[LinePlan]
) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
    """Return what is wrong with the load of *lines*, and what one should know of it."""
    problems: list[Problem] = []
    notes: list[Problem] = []
    for line in lines:
        if line.load_percent <= HIGH_PERCENT:
            continue
        first = line.controllers[0]
        busiest = max(line.exchanges, key=lambda exchange: exchange.load_percent)
        names = " and ".join(line.controllers)
        text = (
            f"the polls of {names} need {line.load_text} of the time of {line.place}, most of it "
            f"for {_listed(busiest.poll.keys)}: poll less often, or make the line faster"
        )
        found = Problem(f"controllers.{first}", text, wiring.controllers[first].line)
        (problems if line.load_percent > FULL_PERCENT else notes).append(found)
    return tuple(problems), tuple(notes)


def _listed(keys: Sequence[str]) -> str:
    shown = ", ".join(keys[:3])
    return f"{shown} and {len(keys) - 3} more" if len(keys) > 3 else shown
