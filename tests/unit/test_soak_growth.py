"""What the soak takes for growth."""

from __future__ import annotations

import os

from examples.observatory._soak_growth import Growth, Sample, trend


def life(*values: tuple[float, int, int], every_s: float = 10.0) -> list[Sample]:
    return [Sample(number * every_s, *value) for number, value in enumerate(values)]


def test_a_leak_is_told_with_what_and_how_much() -> None:
    growth = Growth()
    growth._lives["cryo", 7] = life(*((30 + number, 10 + number, 50) for number in range(40)))
    memory, threads = growth.grown()
    assert memory.startswith("cryo (7) has grown from ")
    assert memory.endswith(" MB within 390 s")
    assert " threads within" in threads


def test_what_comes_and_goes_and_what_comes_of_the_begin_is_no_growth() -> None:
    growth = Growth()
    begin = [(10.0, 3, 5)] * 3
    growth._lives["cryo", 7] = life(*begin, *((60.0, 12 + number % 9, 40) for number in range(30)))
    assert growth.grown() == []


def test_a_short_life_has_no_trend_and_another_process_is_another_life() -> None:
    assert trend(life((10, 1, 1), (90, 9, 9))) == {}
    growth = Growth()
    growth.look({"me": os.getpid(), "nobody": 2**22 + 1})
    (line,) = growth.report()
    assert line.startswith("me ")
    assert "too short for a trend" in line
