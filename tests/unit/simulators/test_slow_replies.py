"""Replies that take simulated time, and what happens when a host does not wait for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from simulators._scpi import Awaited, Command, Errors, Interpreter, ScpiError
from simulators.bus import Bus
from simulators.device import Device, Later, LineFramer, Quantity
from simulators.serve import Simulator


class Oven(Device):
    """``hot?`` is answered once it is hot, ten seconds later; ``id?`` at once."""

    name = "oven"

    def __init__(self, *, impatient: bool = False) -> None:
        self.now_s = 0.0
        self.impatient = impatient
        self.given_up = 0

    def framer(self) -> LineFramer:
        return LineFramer(longest=100)

    def answer(self, message: bytes) -> bytes | Later:
        if message != b"hot?":
            return b"oven\n"
        due_s = self.now_s + 10
        return Later(lambda: b"hot\n" if self.now_s >= due_s else None, self._give_up)

    def _give_up(self) -> bool:
        self.given_up += self.impatient
        return self.impatient

    def step(self, dt_s: float) -> None:
        self.now_s += dt_s

    def power_off(self) -> None: ...

    def power_on(self) -> None: ...

    def quantities(self) -> dict[str, Quantity]:
        return {"given_up": Quantity("", "replies given up", lambda: float(self.given_up))}


def serving(device: Device) -> Simulator:
    return Simulator(device, tcp=("127.0.0.1", 0), time_factor=0.0)


@pytest.fixture
def patient() -> Iterator[Simulator]:
    with serving(Oven()) as running:
        yield running


@pytest.fixture
def impatient() -> Iterator[Simulator]:
    with serving(Oven(impatient=True)) as running:
        yield running


def heard(sim: Simulator, count: int) -> Callable[[], bool]:
    return lambda: sim.get("messages")["messages"] == count


def test_others_are_served_while_one_waits(
    patient: Simulator, connect: Any, wait_until: Any
) -> None:
    slow, other = connect(patient.url), connect(patient.url)
    slow.send("hot?")
    wait_until(heard(patient, 1))
    other.send("id?")
    assert other.read() == "oven\n"
    patient.skip(10)
    assert slow.read() == "hot\n"


def test_what_a_host_sends_meanwhile_waits_its_turn(
    patient: Simulator, connect: Any, wait_until: Any
) -> None:
    host = connect(patient.url)
    host.socket.sendall(b"hot?\nid?\nhot?\nid?\n")
    wait_until(heard(patient, 1))
    assert host.hears_nothing()
    patient.skip(10)
    assert [host.read(), host.read()] == ["hot\n", "oven\n"]
    wait_until(heard(patient, 3))
    patient.skip(10)
    assert [host.read(), host.read()] == ["hot\n", "oven\n"]


def test_a_device_may_give_up_a_reply_that_is_not_waited_for(
    impatient: Simulator, connect: Any
) -> None:
    host = connect(impatient.url)
    host.socket.sendall(b"hot?\nid?\n")
    assert host.read() == "oven\n"
    impatient.skip(100)
    host.send("id?")
    assert host.read() == "oven\n"
    assert impatient.get("given_up") == {"given_up": 1}


def test_a_host_that_has_gone_gets_nothing_and_nothing_is_left(
    patient: Simulator, connect: Any, wait_until: Any
) -> None:
    host = connect(patient.url)
    host.send("hot?")
    wait_until(heard(patient, 1))
    host.close()
    wait_until(lambda: bool(patient.log()))
    assert [(each["received"], each["sent"]) for each in patient.log()] == [("hot?", None)]


def test_a_cut_ends_the_wait(patient: Simulator, connect: Any, wait_until: Any) -> None:
    host = connect(patient.url)
    host.send("hot?")
    wait_until(heard(patient, 1))
    patient.cut()
    patient.skip(10)
    patient.restore()
    again = connect(patient.url)
    again.send("id?")
    assert again.read() == "oven\n"


def test_a_late_fault_comes_on_top(patient: Simulator, connect: Any, wait_until: Any) -> None:
    patient.fault("split", gap_s=0.05, count=1)
    host = connect(patient.url)
    host.send("hot?")
    wait_until(heard(patient, 1))
    patient.skip(10)
    assert host.read() == "hot\n"


def test_a_unit_on_a_shared_line_may_take_its_time(connect: Any, wait_until: Any) -> None:
    with serving(Bus({1: Oven()})) as bus:
        host = connect(bus.url)
        host.send("hot?")
        wait_until(heard(bus, 1))
        bus.skip(10)
        assert host.read() == "hot\n"


# -- the pure parts ------------------------------------------------------------------------------


def test_lines_may_end_with_cr() -> None:
    framer = LineFramer(longest=16, end=b"\r")
    assert framer.feed(b"A\r\nB\r\r\n  \rC") == [b"A", b"B"]
    assert framer.feed(b"\r") == [b"C"]


class Kettle:
    """Something that an interpreter can wait for."""

    def __init__(self) -> None:
        self.boils = False
        self.broken = False

    def reply(self) -> str:
        if self.broken:
            raise ScpiError(-230)
        return "boiled"


INTERPRETER = Interpreter(
    {
        "*WAI": Command(lambda k: Awaited(lambda: k.boils, lambda: None, asks=False)),
        ":BOIL?": Command(lambda k: Awaited(lambda: k.boils, k.reply)),
        ":NAME?": Command(lambda _: "kettle"),
        ":STOP": Command(lambda _: None),
    }
)


def test_a_chain_waits_at_each_part_that_takes_time() -> None:
    kettle, errors = Kettle(), Errors(longest=5, signed=True)
    chain = INTERPRETER.begin(kettle, "NAME?;BOIL?;NAME?;*WAI;STOP", errors)
    assert not chain.advance()
    assert not chain.advance()
    assert chain.replies == ["kettle"]
    kettle.boils = True
    assert chain.advance()
    assert chain.replies == ["kettle", "boiled", "kettle"]
    assert errors.take() == '+0,"No error"'


def test_a_part_that_fails_in_the_end_leaves_an_error_and_the_others_go_on() -> None:
    kettle, errors = Kettle(), Errors(longest=5)
    chain = INTERPRETER.begin(kettle, "BOIL?;NAME?", errors)
    assert not chain.advance()
    kettle.boils = kettle.broken = True
    assert chain.advance()
    assert chain.replies == ["kettle"]
    assert errors.take().startswith("-230,")


@pytest.mark.parametrize(
    ("text", "asks"),
    [("BOIL?", True), ("*WAI", False), ("*WAI;NAME?", True), ("NAME?;*WAI", True)],
)
def test_a_chain_knows_whether_its_host_expects_a_reply(text: str, asks: bool) -> None:
    chain = INTERPRETER.begin(Kettle(), text, Errors(longest=5))
    assert not chain.advance()
    assert chain.asks is asks
