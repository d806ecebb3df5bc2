"""What callbacks are called with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mktl.callbacks import Callbacks
from mktl.lanes import Lanes
from mktl.payload import Payload
from tests._support import wait_until


class Named:
    full_key = "cryo.temp"


@pytest.fixture
def lanes() -> Iterator[Lanes]:
    made = Lanes("test")
    yield made
    made.close(timeout_s=1.0)


def test_each_payload_comes_with_its_quality_and_in_order(lanes: Lanes) -> None:
    item, seen = Named(), []
    callbacks = Callbacks(item, lambda: lanes)

    def take(_item: Any, payload: Payload) -> None:
        seen.append(payload)

    callbacks.add(take, payloads=True)
    sent = [Payload(n, float(n), quality="invalid", reason=f"{n}") for n in range(100)]
    for payload in sent:
        callbacks.deliver(payload)
    wait_until(lambda: len(seen) == len(sent))
    assert all(one is other for one, other in zip(seen, sent, strict=True))


def test_values_and_payloads_go_to_those_who_asked_for_them(lanes: Lanes) -> None:
    item, values, payloads = Named(), [], []
    callbacks = Callbacks(item, lambda: lanes)

    def take_value(_item: Any, value: Any, time: float | None) -> None:
        values.append((value, time))

    def take_payload(_item: Any, payload: Payload) -> None:
        payloads.append(payload)

    callbacks.add(take_value)
    callbacks.add(take_payload, payloads=True)
    sent = Payload(77.35, 5.0)
    callbacks.deliver(sent)
    wait_until(lambda: values and payloads)
    assert (values, payloads) == ([(77.35, 5.0)], [sent])
    callbacks.remove(take_payload)
    callbacks.deliver(Payload(78, 6.0))
    wait_until(lambda: len(values) == 2)
    assert payloads == [sent]


def test_a_callback_that_fails_at_each_value_does_not_flood_the_log(
    lanes: Lanes, caplog: pytest.LogCaptureFixture
) -> None:
    item, heard = Named(), []
    callbacks = Callbacks(item, lambda: lanes)

    def wrong(_item: Any, value: Any, _time: float | None) -> None:
        raise ValueError(f"the first cannot take {value}")

    def wrong_too(_item: Any, value: Any, _time: float | None) -> None:
        heard.append(value)
        raise SystemExit(f"the other cannot take {value}")

    callbacks.add(wrong)
    callbacks.add(wrong_too)
    for number in range(100):
        callbacks.deliver(Payload(number, float(number)))
    wait_until(lambda: heard == list(range(100)))
    reasons = [str(record.exc_info[1]) for record in caplog.records if record.exc_info]
    assert reasons == ["the first cannot take 0", "the other cannot take 0"]
    assert all("a callback of cryo.temp failed" in record.message for record in caplog.records)
