"""What ``markd FILE.toml --check`` prints about a file that can be used."""

from __future__ import annotations

from collections.abc import Iterable

from drivers.plan import NETWORK_TURNAROUND_S, SERIAL_TURNAROUND_S, LinePlan, PlannedExchange
from drivers.wiring import InstrumentFile

__all__ = ["counted", "plan_text", "summary"]


def counted(number: int, what: str) -> str:
    """Return ``1 item``, or ``2 items``."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def summary(wiring: InstrumentFile) -> str:
    """Return how much there is in the file."""
    return ", ".join(
        (
            counted(len(wiring.controllers), "controller"),
            counted(len(wiring.items), "item"),
        )
    )


def plan_text(lines: Iterable[LinePlan]) -> str:
    """Return the plan of all lines: what is asked, for which items, how often, and the load."""
    found = [text for line in lines for text in _line_text(line)]
    if found:
        found.append(
            f"A device is taken to answer after {SERIAL_TURNAROUND_S * 1000:g} ms on a serial "
            f"line, {NETWORK_TURNAROUND_S * 1000:g} ms on a network; ~: sizes are assumed."
        )
    return "\n".join(found)


def _line_text(line: LinePlan) -> list[str]:
    names = ", ".join(line.controllers)
    found = [f"{names} at {line.place}: {line.load_text} of the time is spent on polls"]
    shared = len(line.controllers) > 1
    found += [_exchange_text(exchange, shared) for exchange in line.exchanges]
    for what, keys in (
        ("read when asked for", line.asked_for),
        ("told by the device", line.heard),
        ("only set", line.only_set),
    ):
        if keys:
            found.append(f"  {what}: {', '.join(keys)}")
    return found


def _exchange_text(exchange: PlannedExchange, shared: bool) -> str:
    poll = exchange.poll
    about = "~" if exchange.estimated else ""
    of = f"{exchange.controller}: " if shared else ""
    cost = (
        f"{about}{counted(exchange.bytes, 'byte')}, {about}{exchange.takes_s * 1000:.3g} ms, "
        f"{about}{exchange.load_percent:.3g} %"
    )
    return f"  every {poll.period_s:g} s  {of}{poll.block.what}  ({cost}): {', '.join(poll.keys)}"
