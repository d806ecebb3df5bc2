"""Devices that talk until they are told to be quiet, and units of lines that name none."""

from __future__ import annotations

import threading

from drivers.controller import Controller
from drivers.settings import LineSettings
from tests.unit.drivers.fakes import IDENTITY, answer_with_name, device, line_to


class Gauge(Controller):
    multi_drop = True
    usual_unit = 122
    line_defaults = LineSettings()


def test_a_device_that_never_stops_talking_is_told_to_before_the_line_is_drained():
    hushed = threading.Event()

    def answer(message: str) -> bytes | None:
        if message == "HUSH":
            hushed.set()
            return None
        return answer_with_name(message)

    with device(answer) as fake:

        def talk() -> None:
            while not hushed.wait(0.01):
                fake.send(b"+77.350\r\n")

        talker = threading.Thread(target=talk)
        talker.start()
        with line_to(fake.url, hush=b"HUSH\n", drain_s=5.0) as line:
            assert line.exchange(b"hello\n") == b"re hello"
            assert fake.received == ["HUSH", IDENTITY.ask.decode().strip(), "hello"]
        talker.join()


def test_a_url_without_a_unit_means_the_usual_one_of_the_driver():
    with Gauge("tcp://127.0.0.1:2") as usual, Gauge("tcp://127.0.0.1:2?unit=7") as other:
        assert (usual.unit, other.unit) == (122, 7)
