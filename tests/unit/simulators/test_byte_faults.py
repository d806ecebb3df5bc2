"""Faults that hit single bytes of what a device sends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.device import SimulatorError
from simulators.faults import Faults, parameters_of

LINE = b"+77.350\r\n"


def with_fault(name: str, seed: int = 1, **parameters: float) -> Faults:
    faults = Faults(seed=seed)
    faults.start(name, parameters_of(name, parameters))
    return faults


def sent(faults: Faults, data: bytes) -> bytes:
    return b"".join(piece.data for piece in faults.deform(data))


def differing(a: bytes, b: bytes) -> int:
    return sum(left != right for left, right in zip(a, b, strict=True))


@pytest.mark.parametrize("probability", [0.001, 0.01, 0.2])
def test_noise_changes_that_share_of_all_bytes(probability: float) -> None:
    faults = with_fault("noise", probability=probability)
    data = bytes(range(256)) * 4
    changed = sum(differing(sent(faults, data), data) for _ in range(100))
    assert changed == pytest.approx(102_400 * probability, rel=0.3)


def test_lost_bytes_are_that_share_of_all_bytes() -> None:
    faults = with_fault("lost-bytes")
    lost = sum(1000 - len(sent(faults, bytes(1000))) for _ in range(100))
    assert 60 < lost < 140


def test_noise_of_all_bytes_leaves_none_as_it_was_and_spares_no_line_end() -> None:
    faults = with_fault("noise", probability=1)
    heard = [sent(faults, LINE) for _ in range(50)]
    assert all(differing(each, LINE) == len(LINE) for each in heard)
    assert len(set(heard)) == 50


def test_when_all_bytes_are_lost_nothing_is_sent() -> None:
    assert with_fault("lost-bytes", probability=1).deform(LINE) == []


@pytest.mark.parametrize("name", ["noise", "lost-bytes"])
def test_the_same_seed_hits_the_same_bytes(name: str) -> None:
    heard = [[sent(with_fault(name, seed, probability=0.1), LINE * 20)] for seed in (3, 3, 4)]
    assert heard[0] == heard[1] != heard[2]


def test_a_count_is_one_of_bytes_whichever_message_they_are_in() -> None:
    faults = with_fault("noise", probability=1, count=12)
    assert [differing(sent(faults, LINE), LINE) for _ in range(3)] == [9, 3, 0]
    assert faults.active() == {}


def test_noise_comes_on_top_of_other_faults() -> None:
    faults = with_fault("noise", probability=1)
    faults.start("split", parameters_of("split", {}))
    pieces = faults.deform(LINE)
    assert len(pieces) == 2
    assert differing(b"".join(piece.data for piece in pieces), LINE) == len(LINE)


@pytest.mark.parametrize("name", ["noise", "lost-bytes"])
@given(reply=st.binary(max_size=30), seed=st.integers(0, 99))
def test_no_reply_breaks_a_fault(name: str, reply: bytes, seed: int) -> None:
    data = sent(with_fault(name, seed, probability=0.5), reply)
    assert len(data) <= len(reply)


def test_a_probability_beyond_one_is_refused() -> None:
    with pytest.raises(SimulatorError, match="within 0 to 1"):
        parameters_of("noise", {"probability": 2})
