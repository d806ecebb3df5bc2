"""Framing, clock, faults and look-up: the pure parts."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

import simulators
from simulators._bench import Bench
from simulators._lakeshore336_commands import signed
from simulators._operations import Operations
from simulators.clock import SimulatedClock
from simulators.device import LineFramer, SimulatorError
from simulators.faults import KINDS, Faults, parameters_of
from simulators.lakeshore336 import LakeShore336


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_messages_do_not_depend_on_how_the_bytes_arrive(chunks: list[bytes]) -> None:
    piecewise, at_once = LineFramer(longest=16), LineFramer(longest=16)
    messages = [message for chunk in chunks for message in piecewise.feed(chunk)]
    assert messages == at_once.feed(b"".join(chunks))


def test_both_terminators_are_accepted_and_empty_lines_ignored() -> None:
    assert LineFramer(longest=99).feed(b"\nA\r\n\r\n  \nB\n\n") == [b"A", b"B"]


def test_endless_bytes_without_a_terminator_take_no_memory() -> None:
    framer = LineFramer(longest=1024)
    for _ in range(1000):
        assert framer.feed(b"x" * 4096) == []
    assert len(framer._pending) <= 1026
    [message, after] = framer.feed(b"\nKRDG? A\n")
    assert len(message) > 1024
    assert after == b"KRDG? A"


@given(st.binary(max_size=200))
def test_no_bytes_whatever_break_the_model(message: bytes) -> None:
    tc = LakeShore336()
    tc.answer(message)
    assert tc.answer(b"*OPC?") == b"1\r\n"


@given(
    st.lists(
        st.sampled_from(["SETP", "PID", "*ESR?", "INTYPE", "1", "A", ",", ";", " ", '"', "-", "9"])
    )
)
def test_no_mixture_of_good_words_breaks_the_model(words: list[str]) -> None:
    tc = LakeShore336()
    tc.answer("".join(words).encode())
    tc.step(1.0)
    assert tc.answer(b"*OPC?") == b"1\r\n"


@given(st.floats(-99_999, 99_999))
def test_a_written_number_reads_back_to_five_digits(value: float) -> None:
    text = signed(value)
    assert text[0] in "+-"
    assert len(text) <= 7
    assert float(text) == pytest.approx(value, rel=1e-4, abs=5.1e-5)


def test_a_zero_is_never_negative() -> None:
    assert signed(-0.00001) == "+0.0000"


def test_simulated_time_runs_at_its_factor_and_can_be_stopped() -> None:
    real = iter([0.0, 1.0, 2.0, 5.0, 6.0, 7.0, 8.0])
    clock = SimulatedClock(10.0, source=lambda: next(real))
    assert clock.now_s() == 10.0
    clock.factor = 0.0  # at 2.0
    assert clock.now_s() == 20.0
    clock.skip(100.0)
    assert clock.now_s() == 120.0
    clock.factor = 1.0  # at 7.0
    assert clock.now_s() == 121.0


def test_time_never_goes_back() -> None:
    clock = SimulatedClock()
    with pytest.raises(ValueError, match="factor"):
        clock.factor = -1.0
    with pytest.raises(ValueError, match="factor"):
        SimulatedClock(float("nan"))
    with pytest.raises(ValueError, match="forward"):
        clock.skip(-1.0)


def test_who_asks_is_answered_although_time_runs_faster_than_it_is_computed() -> None:
    real_s = [0.0]

    class Heavy(LakeShore336):
        def step(self, dt_s: float) -> None:
            real_s[0] += dt_s

    bench = Bench(Heavy(), SimulatedClock(2.0, source=lambda: real_s[0]), Faults(seed=1))
    real_s[0] = 5000.0

    async def asked() -> dict[str, object]:
        return await asyncio.wait_for(Operations(bench, []).perform({"cmd": "get"}), 20)

    assert asyncio.run(asked())["values"]
    assert 10_000 <= bench.stepped_to_s < bench.clock.now_s()


def test_the_same_seed_gives_the_same_mishaps() -> None:
    def mishaps(seed: int) -> list[list[bytes]]:
        faults = Faults(seed=seed)
        faults.start("garbage", parameters_of("garbage", {"probability": 0.5}))
        faults.start("truncated", parameters_of("truncated", {"probability": 0.5}))
        return [[p.data for p in faults.deform(b"+77.000\r\n")] for _ in range(20)]

    assert mishaps(3) == mishaps(3)
    assert mishaps(3) != mishaps(4)


def test_a_fault_ends_after_its_count() -> None:
    faults = Faults(seed=1)
    faults.start("mute", parameters_of("mute", {"count": 2}))
    assert [bool(faults.deform(b"x\r\n")) for _ in range(3)] == [False, False, True]
    assert faults.active() == {}


@pytest.mark.parametrize(
    ("name", "parameters", "complaint"),
    [
        ("lat", {}, "did you mean late"),
        ("late", {"delay": 2}, "did you mean delay_s"),
        ("late", {"delay_s": -1}, "within 0 to 3600"),
        ("late", {"delay_s": float("nan")}, "within"),
        ("late", {"delay_s": True}, "number"),
        ("late", {"delay_s": "2"}, "number"),
        ("late", {"probability": 2}, "within 0 to 1"),
        ("wrong-identity", {"identity": 5}, "text"),
        ("wrong-identity", {"identity": "A\r\nB"}, "text"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(
    name: str, parameters: dict[str, object], complaint: str
) -> None:
    with pytest.raises(SimulatorError, match=complaint):
        parameters_of(name, parameters)


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.deform])
@given(reply=st.binary(min_size=1, max_size=30), seed=st.integers(0, 99))
def test_no_reply_breaks_a_fault(name: str, reply: bytes, seed: int) -> None:
    kind = KINDS[name]
    assert kind.deform is not None
    faults = Faults(seed=seed)
    faults.start(name, parameters_of(name, {}))
    pieces = faults.deform(reply)
    assert all(piece.delay_s >= 0 for piece in pieces)


def test_every_model_loads_and_is_called_as_its_driver() -> None:
    for name, model in simulators.MODELS.items():
        device = model.load()(seed=1)
        assert device.name == name
        assert model.transports
        assert set(model.transports) <= set(simulators.TRANSPORTS)
        assert (device.unit is not None) == model.addressed


def test_an_unknown_twin_is_refused_with_a_suggestion() -> None:
    with pytest.raises(simulators.SimulatorError, match="did you mean lakeshore336"):
        simulators.start_twin("lakeshore335")
    with pytest.raises(simulators.SimulatorError, match="transport"):
        simulators.start_twin("lakeshore336", "gpib")
