"""What the polls of an instrument file cost, worked out without any hardware."""

from __future__ import annotations

import pytest

from drivers.plan import NETWORK_TURNAROUND_S, SERIAL_TURNAROUND_S, overloads, plan
from drivers.wiring import InstrumentFile, loads

GAUGE = "tests.unit.drivers._wiring_gauge:Gauge"


def wiring(url: str, items: str, settings: str = "") -> InstrumentFile:
    return loads(
        f'store = "a"\nalias = "b"\n[controllers.g]\ndriver = "{GAUGE}"\nurl = "{url}"\n'
        f"{settings}{items}"
    )


def item(key: str, poll_s: float, ask: str = 'ask = "PR1"') -> str:
    return f'[items.{key}]\ncontroller = "g"\n{ask}\npoll_s = {poll_s}\n'


def test_an_exchange_costs_its_characters_the_gap_and_the_turnaround():
    one = wiring("serial:///dev/ttyS0?baud=9600", item("p", 1), "min_gap_s = 0.02\n")
    (line,) = plan(one)
    (exchange,) = line.exchanges
    # "PR1\r\n" and 8 more characters of 10 bits each.
    assert exchange.bytes == 13
    assert exchange.takes_s == pytest.approx(13 * 10 / 9600 + 0.02 + SERIAL_TURNAROUND_S)
    assert line.load_percent == pytest.approx(100 * exchange.takes_s)
    assert not line.estimated
    assert overloads(one, [line]) == ((), ())


def test_a_network_costs_no_time_for_characters():
    (line,) = plan(wiring("tcp://h", item("p", 0.5)))
    assert line.load_percent == pytest.approx(200 * NETWORK_TURNAROUND_S)


def test_items_of_one_period_are_read_together_and_unknown_sizes_are_marked():
    (line,) = plan(wiring("tcp://h", item("p", 1) + item("q", 1) + item("r", 2)))
    assert [(exchange.poll.keys, exchange.poll.period_s) for exchange in line.exchanges] == [
        (("p", "q"), 1),
        (("r",), 2),
    ]
    assert [exchange.estimated for exchange in line.exchanges] == [True, False]
    assert line.load_text.startswith("~")


def test_what_is_not_polled_is_listed_by_how_it_becomes_known():
    items = (
        item("p", 1)
        + item("s", 1, 'tell = "SP"')
        + item("h", 1, 'heard = "!P"')
        + item("never", 0)
        + '[items.note]\ntype = "string"\n'
    )
    (line,) = plan(wiring("tcp://h", items))
    assert (line.only_set, line.heard, line.asked_for) == (
        ("s",),
        ("h",),
        ("never",),
    )
    assert [exchange.poll.keys for exchange in line.exchanges] == [("p",)]


def test_units_of_one_line_add_up_and_more_than_it_can_carry_is_a_problem():
    text = "".join(
        f'[controllers.u{unit}]\ndriver = "{GAUGE}"\n'
        f'url = "serial:///dev/ttyS0?baud=1200&unit={unit}"\n'
        f'[items.p{unit}]\ncontroller = "u{unit}"\nask = "PR1"\npoll_s = 0.2\n'
        for unit in (1, 2)
    )
    both = loads(f'store = "a"\nalias = "b"\n{text}')
    (line,) = plan(both)
    assert line.controllers == ("u1", "u2")
    once = 13 * 10 / 1200 + SERIAL_TURNAROUND_S
    assert line.load_percent == pytest.approx(2 * 100 * once / 0.2)
    ((problem,), notes) = overloads(both, [line])
    assert str(problem) == (
        "line 3: controllers.u1: the polls of u1 and u2 need 113 % of the time of "
        "serial:///dev/ttyS0, most of it for p1: poll less often, or make the line faster"
    )
    assert notes == ()


def test_a_line_that_is_nearly_full_is_worth_a_note():
    busy = wiring("serial:///dev/ttyS0?baud=1200", item("p", 0.13))
    problems, (note,) = overloads(busy, plan(busy))
    assert problems == ()
    assert "the polls of g need 87.2 % of the time" in str(note)
