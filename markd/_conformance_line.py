"""One line of an instrument file as it is put to the test: what is on it, and what it may take."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from drivers._trial import on_trial
from drivers.catalog import driver_class
from drivers.channel import Channel
from drivers.plan import plan
from drivers.wiring import InstrumentFile, ItemSpec

from ._conformance_daemon import altered

if TYPE_CHECKING:
    from drivers.base import ControllerBase
    from simulators.serve import Simulator

__all__ = ["LEAST_TIMEOUT_S", "SETTINGS", "SLACK_S", "LineOnTrial", "Timing", "line_on_trial"]

SETTINGS: Mapping[str, float] = {"retry_first_s": 0.2, "retry_longest_s": 1.0}
"""What all controllers are set to for the run, so that it does not take hours."""
LEAST_TIMEOUT_S = 1.0
"""On a loaded machine a simulator may be that late."""
SLACK_S = 8.0
"""What a loaded machine may take longer, beside what the settings allow."""
_UNHARMED_S = 2.0
_SHORTEST_PERIOD_S = 0.5
_STREAM_PERIOD_S = 5.0
"""Where each question interrupts what the device says by itself."""
_SHARE_OF_LINE = 0.4
_SILENCE_S = 6.0
_USUAL_SILENCE_S = 60.0
_QUESTIONS = 6


@dataclass(frozen=True, slots=True)
class Timing:
    """What follows from the settings of a line, in seconds."""

    timeout_s: float
    """Longest exchange."""
    quiet_s: float
    """Longest wait for a line to be quiet."""
    connect_s: float
    """Longest attempt to open the port."""
    retry_s: float
    """Longest wait between two attempts."""
    cycle_s: float
    """All polls of the line, one after the other."""
    period_s: float
    """Between two polls of an item."""
    silence_s: float
    """After how long without a word what comes unasked is in doubt; 0: all is asked for."""

    @property
    def invalid_within_s(self) -> float:
        """Longest time until nothing counts as valid that nobody has confirmed.

        A poll has to come, it and those before it have to fail, and so does the question whether
        the device is there at all.
        """
        noticed_s = max(self.period_s, self.silence_s) + self.cycle_s
        return noticed_s + _QUESTIONS * self.timeout_s + self.quiet_s + SLACK_S

    @property
    def unharmed_s(self) -> float:
        """Longest time that an item without any fault may be in doubt.

        A loaded machine can make a device late; the next poll but one mends it.
        """
        return 2 * (self.period_s + self.timeout_s) + _UNHARMED_S

    @property
    def good_within_s(self) -> float:
        """Longest time until all is valid again: the next attempt, who answers, all polls once."""
        again_s = self.retry_s + self.connect_s + self.quiet_s + max(self.period_s, self.silence_s)
        return again_s + _QUESTIONS * self.timeout_s + 2 * self.cycle_s + SLACK_S


@dataclass(frozen=True, slots=True)
class LineOnTrial:
    """One line, and the twins on it."""

    names: tuple[str, ...]
    """The controllers."""
    transport: str
    """How they are reached."""
    simulator: Simulator
    """Their twin, or twins."""
    units: Mapping[str, int | None]
    """The address of each, if there are several."""
    timing: Timing
    """What it may take."""
    identified: bool
    """Whether the daemon can tell another device from the right one."""
    keys: tuple[str, ...]
    """The items that can be read, or that come unasked."""
    settable: tuple[str, ...]
    """Those of them that can be set at once, without anything having to move."""
    owners: Mapping[str, str]
    """The controller of each of these items."""
    poll_s: Mapping[str, float]
    """How often each is read in the run."""
    silence_s: Mapping[str, float]
    """After how long without a word items are in doubt in the run, where that is their own."""
    settings: Mapping[str, Mapping[str, float]]
    """What controllers are set to for the run."""

    @property
    def name(self) -> str:
        """What it is called in the table."""
        return "+".join(self.names)

    @property
    def binary(self) -> bool:
        """Whether its messages are bytes with a check sum, rather than plain text."""
        return self.simulator.device.binary

    @property
    def abilities(self) -> Collection[str]:
        """The faults that only some devices can have."""
        return self.simulator.device.abilities


def line_on_trial(
    file: InstrumentFile,
    simulator: Simulator,
    urls: Mapping[str, str],
    units: Mapping[str, int | None],
    transport: str,
) -> LineOnTrial:
    """Find out what there is to test on the line of *units*, which are reached at *urls*.

    Nothing is sent.
    """
    keys: dict[str, Channel] = {}
    owners: dict[str, str] = {}
    with on_trial() as stack:
        controllers: dict[str, ControllerBase] = {}
        for name in units:
            spec = file.controllers[name]
            made = driver_class(spec.generic)(urls[name], name=name, **spec.settings)
            stack.callback(made.close)
            controllers[name] = made
        for key, item in file.items.items():
            if item.controller in controllers:
                channel = item.bind(controllers[item.controller])
                if _is_told(channel):
                    keys[key], owners[key] = channel, item.controller
        found = list(controllers.values())
        identified = all(_identifies(one) for one in found)
    cycle_s = _cycle_s(file, urls, units, keys)
    streams = any(one.settings.stream for one in found)
    shortest_s = _STREAM_PERIOD_S if streams else _SHORTEST_PERIOD_S
    period_s = max(shortest_s, cycle_s / _SHARE_OF_LINE)
    items = {key: file.items[key] for key in keys}
    settings = {
        name: {**SETTINGS, "timeout_s": max(one.settings.timeout_s, LEAST_TIMEOUT_S)}
        for name, one in controllers.items()
    }
    silence_s = {key: _SILENCE_S for key, item in items.items() if _own_silence_s(item)}
    timing = Timing(
        timeout_s=max(each["timeout_s"] for each in settings.values()),
        quiet_s=max(one.settings.drain_s for one in found),
        connect_s=max(one.settings.connect_timeout_s for one in found),
        retry_s=SETTINGS["retry_longest_s"],
        cycle_s=cycle_s,
        period_s=period_s,
        silence_s=_silence_s(file, units, keys, silence_s),
    )
    return LineOnTrial(
        tuple(units), transport, simulator, units, timing, identified, tuple(keys),
        tuple(key for key, channel in keys.items() if _can_be_set(channel, items[key])),
        owners,
        {
            key: min(items[key].poll_s or period_s, period_s)
            for key, channel in keys.items()
            if _is_polled(channel)
        },
        silence_s,
        settings,
    )  # fmt: skip


def _is_told(channel: Channel) -> bool:
    """Whether the device says it, asked or not; what a driver counts by itself is always known."""
    return (channel.read is not None and channel.sent_bytes != 0) or channel.listen is not None


def _is_polled(channel: Channel) -> bool:
    return channel.read is not None and channel.listen is None


def _identifies(controller: ControllerBase) -> bool:
    synchroniser = controller.synchroniser()
    return bool(getattr(synchroniser, "identifies", synchroniser.possible))


def _can_be_set(channel: Channel, item: ItemSpec) -> bool:
    return (
        channel.write is not None
        and channel.timed_write is None
        and channel.read is not None
        and item.description.get("settable", True) is not False
    )


def _cycle_s(
    file: InstrumentFile,
    urls: Mapping[str, str],
    units: Collection[str],
    keys: Mapping[str, Channel],
) -> float:
    """Return how long all polls of a line take, if each item is polled as often as the others."""
    once = {key: _SHORTEST_PERIOD_S for key, channel in keys.items() if _is_polled(channel)}
    lines = plan(altered(_only(file, units), {}, once), urls)
    return sum(exchange.takes_s for line in lines for exchange in line.exchanges)


def _only(file: InstrumentFile, units: Collection[str]) -> InstrumentFile:
    controllers = {name: file.controllers[name] for name in units}
    items = {key: item for key, item in file.items.items() if item.controller in controllers}
    return replace(file, controllers=controllers, items=items)


def _own_silence_s(item: ItemSpec) -> float | None:
    return (item.protocol or {}).get("silence_s")


def _silence_s(
    file: InstrumentFile,
    units: Collection[str],
    keys: Mapping[str, Channel],
    altered_s: Mapping[str, float],
) -> float:
    """Return how long it may take until it is noticed that nothing comes unasked any more."""
    heard = [key for key, channel in keys.items() if channel.listen is not None]
    if not heard:
        return 0.0
    given: list[Any] = list(altered_s.values())
    for name in units:
        setting = file.controllers[name].settings.get("silence_s")
        given += setting.values() if isinstance(setting, Mapping) else [setting]
    return max((float(one) for one in given if one), default=_USUAL_SILENCE_S)
