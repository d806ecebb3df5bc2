"""Several units on one line: whose trouble is whose."""

from __future__ import annotations

import contextlib
import itertools
import re
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from drivers.controller import Controller
from drivers.settings import Identity, LineSettings
from mktl.errors import (
    ConfigurationError,
    DeviceError,
    DeviceTimeout,
    LinkDown,
    ProtocolMismatch,
)
from tests._support import wait_until
from tests.unit.drivers.fakes import FakeDevice, device


class Gauge(Controller):
    """A gauge that is spoken to by its number: ``3 NAME``."""

    driver_name = "gauge"
    line_defaults = LineSettings(
        reply_end=b"\r\n",
        timeout_s=1.0,
        quiet_s=0.03,
        retry_first_s=0.05,
        retry_longest_s=0.2,
    )

    def line_settings(self, settings):
        made = super().line_settings(settings)
        identity = Identity(f"{self.unit} ID\n".encode(), re.compile(f"{self.unit} GAUGE"))
        return replace(made, identity=identity)

    def value(self) -> str:
        return self.ask(f"{self.unit} PR").removeprefix(f"{self.unit} ")


class Bus:
    """Units that answer with their number, unless they are silent."""

    def __init__(self) -> None:
        self.silent: set[str] = set()
        self.hold: dict[str, threading.Event] = {}

    def answer(self, message: str) -> bytes | None:
        unit, _, text = message.partition(" ")
        if unit in self.silent:
            return None
        if unit in self.hold:
            self.hold[unit].wait(30)
        word = "GAUGE" if text == "ID" else text.lower()
        return f"{unit} {word}\r\n".encode()


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture
def fake(bus) -> Iterator[FakeDevice]:
    with device(bus.answer) as made:
        yield made


def unit(fake: FakeDevice, number: int, **settings) -> Gauge:
    return Gauge.open(f"{fake.url}?unit={number}", name=f"g{number}", **settings)


def test_units_of_one_place_share_one_connection_and_are_up_by_themselves(fake):
    with unit(fake, 1) as one, unit(fake, 2) as two:
        one.wait_until_up()
        two.wait_until_up()
        assert (one.value(), two.value()) == ("pr", "pr")
        assert fake.connections == 1
        assert "unit 2" in two.label


def test_a_silent_unit_fails_at_once_and_leaves_the_others_alone(bus, fake):
    with unit(fake, 1) as one, unit(fake, 2) as two:
        one.wait_until_up()
        two.wait_until_up()
        bus.silent.add("2")
        with pytest.raises(DeviceTimeout, match="g2, unit 2"):
            two.value()
        with pytest.raises(LinkDown, match="unit 2"):
            two.value()  # it has to be put in step first, and does not answer that either
        wait_until(lambda: two.status().state == "Down")
        with pytest.raises(LinkDown, match="unit 2"):
            two.value()
        assert one.value() == "pr"
        assert one.status().state == "Up"
        assert fake.connections == 1
        bus.silent.clear()
        wait_until(lambda: two.status().state == "Up")
        assert two.value() == "pr"


def test_a_unit_that_never_answered_says_so_and_comes_up_when_it_does(bus, fake):
    bus.silent.add("7")
    with unit(fake, 7) as seven, unit(fake, 1) as one:
        one.wait_until_up()
        with pytest.raises(LinkDown, match="unit 7 does not answer"):
            seven.wait_until_up(timeout_s=3)
        bus.silent.clear()
        seven.wait_until_up()


def test_a_late_reply_of_a_unit_is_no_answer_to_its_next_question(bus, fake):
    with unit(fake, 1) as one:
        one.wait_until_up()
        bus.hold["1"] = threading.Event()
        with pytest.raises(DeviceTimeout):
            one.ask("1 LATE")
        bus.hold.pop("1").set()
        assert one.ask("1 NEXT") == "1 next"


def test_when_no_unit_answers_the_port_is_opened_anew(bus, fake):
    with unit(fake, 1) as one, unit(fake, 2) as two:
        one.wait_until_up()
        two.wait_until_up()
        bus.silent |= {"1", "2"}
        for gauge in (one, one, two, two):
            with pytest.raises(DeviceError):
                gauge.value()
        wait_until(lambda: fake.connections > 1)
        bus.silent.clear()
        one.wait_until_up()
        two.wait_until_up()


def test_a_lost_line_is_told_of_every_unit(fake):
    with unit(fake, 1) as one, unit(fake, 2) as two:
        one.wait_until_up()
        two.wait_until_up()
        states: list[str] = []
        two.on_change(lambda status: states.append(status.state))
        fake.hang_up()
        with pytest.raises(DeviceError):
            one.value()
        wait_until(lambda: states[:1] == ["Down"])
        two.wait_until_up()
        one.wait_until_up()


def test_a_paused_unit_leaves_the_line_to_the_others(fake):
    with unit(fake, 1) as one, unit(fake, 2) as two:
        one.wait_until_up()
        two.wait_until_up()
        two.pause()
        with pytest.raises(LinkDown, match="paused"):
            two.value()
        assert one.value() == "pr"
        two.resume()
        two.wait_until_up()
        assert two.value() == "pr"


def test_units_cannot_share_a_line_that_works_otherwise(fake):
    with (
        unit(fake, 1),
        pytest.raises(ConfigurationError, match="min_gap_s"),
    ):
        unit(fake, 2, min_gap_s=0.5)


def test_the_last_unit_closes_the_line(fake):
    one, two = unit(fake, 1), unit(fake, 2)
    one.wait_until_up()
    two.wait_until_up()
    one.close()
    assert two.value() == "pr"
    two.close()
    again = unit(fake, 1)
    again.wait_until_up()
    assert fake.connections == 2
    again.close()


class Plain(Controller):
    """A gauge that cannot be asked who it is: nothing but its readings shows that it is there."""

    driver_name = "plain"
    line_defaults = LineSettings(
        reply_end=b"\r\n",
        timeout_s=0.2,
        quiet_s=0.02,
        retry_first_s=0.05,
        retry_longest_s=60.0,
        steady_s=0.0,
    )

    def value(self) -> float:
        with self.turn():
            text = f"{self.unit} PR"
            reply = self.ask(text)
            with self._understanding(text, reply):
                return float(reply.removeprefix(f"{self.unit} "))


def plain(fake: FakeDevice, number: int) -> Plain:
    return Plain.open(f"{fake.url}?unit={number}", name=f"p{number}")


def next_try_s(gauge: Plain) -> float:
    """Return how long a gauge is left alone; it is read all the time."""
    with contextlib.suppress(DeviceError):
        gauge.value()
    found = re.search(r"next try in ([\d.]+) s", gauge.status().error)
    return float(found[1]) if found else 0.0


@pytest.mark.parametrize("answer", [None, b"2 nonsense\r\n", b"one\r\ntwo\r\n"])
def test_a_unit_that_is_of_no_use_is_left_alone_for_longer_and_longer(fake, answer):
    good = b"1 5\r\n"
    fake.answer = lambda message: good if message.startswith("1") else answer
    with plain(fake, 1) as one, plain(fake, 2) as two:
        one.wait_until_up()
        two.wait_until_up()
        # It comes up each time that the line is quiet, which is no reason to begin anew.
        wait_until(lambda: next_try_s(two) > 0.4, 40)
        assert ("make no sense" in two.status().error) is (answer == b"2 nonsense\r\n")
        asked = fake.received.count("2 PR")
        for _n in range(20):
            assert one.value() == 5
        assert fake.received.count("2 PR") <= asked + 2
        assert fake.connections == 1


def test_a_unit_that_made_sense_for_a_while_is_asked_again_soon(fake):
    fake.answer = lambda message: None if silent else b"2 5\r\n"
    silent = True
    with plain(fake, 2) as two:
        wait_until(lambda: next_try_s(two) > 0.4, 40)
        silent = False
        wait_until(lambda: next_try_s(two) == 0.0 and two.status().state == "Up")
        assert two.value() == 5
        silent = True
        wait_until(lambda: two.status().state == "Down" or next_try_s(two) > 0)
        assert next_try_s(two) < 0.4


def test_an_answer_that_is_nonsense_once_is_no_reason_to_leave_a_unit_alone(fake):
    answers = itertools.cycle([b"2 5\r\n", b"2 nonsense\r\n"])
    fake.answer = lambda message: next(answers)
    with plain(fake, 2) as two:
        two.wait_until_up()
        for _n in range(4):
            assert two.value() == 5
            with pytest.raises(ProtocolMismatch, match="nonsense"):
                two.value()
        assert two.status().state == "Up"
